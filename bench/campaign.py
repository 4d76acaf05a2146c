"""What the campaigns' engine costs, with devices whose update takes no time: seconds, CPU and bytes a device.

    python -m bench.campaign [COUNT …]        # exit code 1 if a promise is not kept

Counted is the whole process of `keyswitch campaign` from the first write to the last: the engine, its database, the
campaign's own record. A device has two recorded steps of its own (it is begun, its attempt ended), and two in the
campaign's flow (it was begun, its end was seen). `KEYSWITCH_BENCH_DATABASE` is the URL of an empty database on a
PostgreSQL that is measured as well.
"""

import asyncio
import contextlib
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from keyswitch.campaign.carry_out import Hand, begin
from keyswitch.campaign.events import Attempt, CampaignStatus
from keyswitch.campaign.load import read_campaign
from keyswitch.campaign.model import Campaign, CampaignDevice, CampaignFiles
from keyswitch.campaign.outcomes import Outcome

COUNTS = (10, 100, 1_000)
CPU_MS_A_DEVICE = 30
CPU_MS_A_STEP = 15
"""Promised: of CPU a device, and for each recorded step behind the first."""
STEPS = 4
STATUS_S = 0.5
"""Promised: of CPU, for `keyswitch campaign status` of a thousand devices; a busy machine makes no difference."""
IDLE_S = 5.0


async def _update(_device: CampaignDevice, _campaign: Campaign, _sink: Any) -> Attempt:
    return Attempt(outcome=Outcome.CONFIRMED, detail="confirmed")


def written(directory: Path, count: int) -> Path:
    """A campaign file of so many devices."""
    rows = "".join(f"P-{n:05},udp:10.{n // 65536}.{n // 256 % 256}.{n % 256}\n" for n in range(count))
    (directory / "pumps.csv").write_text(f"id,target\n{rows}")
    file = directory / "pumps.toml"
    text = 'devices = "pumps.csv"\n[release]\nimage = "new.bin"\n[run]\nconcurrency = 8\n'
    file.write_text(f'{text}[campaign]\nname = "pumps{count}"\n')
    return file


def carried_out(file: Path, database: str | None) -> dict[str, float]:
    """Seconds, CPU and bytes of one campaign."""
    read, files = read_campaign(file), CampaignFiles.of(file, database)

    async def whole() -> CampaignStatus:
        return await begin(read, files, lambda _event: None, hand=Hand(), update=_update)

    began, cpu = time.monotonic(), time.process_time()
    status = asyncio.run(whole())
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    count = len(read.devices)
    if status.outcomes["confirmed"] != count:
        raise RuntimeError(status.outcomes)
    size = sum(path.stat().st_size for path in files.directory.rglob("*") if path.is_file())
    return {
        "seconds": round(seconds, 2),
        "cpu_ms_a_device": round(cpu / count * 1000, 2),
        "bytes_a_device": round(size / count),
    }


def idle_cpu_ms(file: Path) -> float:
    """CPU of a second in which a campaign waits: the engine looks at its queue meanwhile."""
    text = file.read_text() + "[retry.waiting]\nattempts = 2\nwait_s = 600\n"
    file = file.with_name("waits.toml")
    file.write_text(text.replace('name = "pumps', 'name = "waits'))
    read, files, hand = read_campaign(file), CampaignFiles.of(file), Hand()

    async def update(_device: CampaignDevice, _campaign: Campaign, _sink: Any) -> Attempt:
        return Attempt(outcome=Outcome.WAITING, detail="moves")

    async def waits() -> float:
        running = asyncio.ensure_future(begin(read, files, lambda _event: None, hand=hand, update=update))
        await asyncio.sleep(IDLE_S)
        cpu = time.process_time()
        await asyncio.sleep(IDLE_S)
        cpu = time.process_time() - cpu
        hand.interrupt()
        await running
        return cpu / IDLE_S * 1000

    return asyncio.run(waits())


def status_cpu_s(file: Path) -> float:
    """CPU of `keyswitch campaign status`, as a process of its own."""
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "keyswitch", "campaign", "status", str(file), "--json"],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def run(counts: tuple[int, ...] = COUNTS) -> dict[str, object]:
    """Measure and print; `missed` says which promise was not kept."""
    missed: list[str] = []
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with contextlib.redirect_stdout(io.StringIO()):
            carried_out(written(directory, 3), None)  # what is imported and made once
        stores: list[tuple[str, str | None]] = [("SQLite", None)]
        if database := os.environ.get("KEYSWITCH_BENCH_DATABASE"):
            stores.append(("PostgreSQL", database))
        for store, url in stores:
            for count in counts:
                (directory / f"{store}{count}").mkdir()
                file = written(directory / f"{store}{count}", count)
                row = {"store": store, "devices": count, **carried_out(file, url)}
                print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
                rows.append(row)
                most = CPU_MS_A_DEVICE + CPU_MS_A_STEP * (STEPS - 1)
                if store == "SQLite" and count >= 100 and float(str(row["cpu_ms_a_device"])) > most:
                    missed.append(
                        f"{count} devices on SQLite: {row['cpu_ms_a_device']} ms of CPU each, promised {most}"
                    )
                if store == "SQLite" and count == max(counts):
                    taken = status_cpu_s(file)
                    print(f"status of {count} devices: {taken:.2f} s of CPU, promised {STATUS_S}")
                    if taken > STATUS_S:
                        missed.append(f"status of {count} devices: {taken:.2f} s")
        idle = idle_cpu_ms(written(directory, 3))
        print(f"a campaign that waits: {idle:.1f} ms of CPU a second")
    return {"campaign": {"rows": rows, "steps": STEPS, "status_cpu_s": taken, "idle_cpu_ms": idle}, "missed": missed}


if __name__ == "__main__":
    sys.exit(bool(run(tuple(map(int, sys.argv[1:])) or COUNTS)["missed"]))
