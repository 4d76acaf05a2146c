"""What the campaigns' engine costs, with devices whose update takes no time: seconds, CPU, bytes and steps a device.

    python -m bench.campaign [COUNT …]        # on SQLite, and on PostgreSQL where Debian's package is installed
    python -m bench.campaign --deep           # ten thousand devices on SQLite, into build/deep.json

Exit code 1 if a promise is not kept. Counted is the whole process of `keyswitch campaign` from the first write to the
last: the engine, its database, the campaign's own record; a PostgreSQL's own CPU is not. Steps are the engine's rows:
a device has begun, its attempt has ended, and its end was seen, besides what each campaign has once. The table of
docs/campaigns.md is what this prints; `python -m bench.plots docs/campaigns.md` draws it.
"""

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.campaign.postgresql import server

from bench import deep
from keyswitch.campaign.carry_out import Hand, begin
from keyswitch.campaign.events import Attempt, CampaignStatus, DeviceEnded, Event
from keyswitch.campaign.load import read_campaign
from keyswitch.campaign.model import Campaign, CampaignDevice, CampaignFiles
from keyswitch.campaign.outcomes import Outcome
from keyswitch.campaign.postgresql import connect_postgresql
from keyswitch.host.report.evidence_file import RUN_BEGUN, RUN_ENDED

COUNTS = (10, 100, 1_000)
DEEP_COUNT = 10_000
FEW = 100
"""Below, what each campaign costs once is more than its devices: no promise is held against it."""
CPU_MS_A_DEVICE = 30
CPU_MS_A_STEP = 15
"""Promised: of CPU a device, and for each recorded step behind the first."""
STATUS_OF = 1_000
STATUS_S = 0.5
"""Promised: of CPU on cores of its own, for `keyswitch campaign status` of so many devices.

Where others share them, the same work was seen to take up to half as much again."""
HEAD = ("store", "devices", "seconds", "CPU ms a device", "promised", "steps a device", "bytes a device")
IDLE_S = 5.0
KINDS = (RUN_BEGUN, RUN_ENDED)
"""Of the records of one run."""
BODY = '"outcome":"waiting","says":"' + 4_000 * "x" + '"'
"""Some four kilobytes, as those of a run have."""


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
    kept = sum(path.stat().st_size for path in files.directory.rglob("*") if path.is_file())
    steps, size = in_tables(files)
    return {
        "seconds": round(seconds, 2),
        "cpu_ms_a_device": round(cpu / count * 1000, 2),
        "steps_a_device": round(steps / count, 1),
        "bytes_a_device": round((kept + size) / count),
    }


def in_tables(files: CampaignFiles) -> tuple[int, int]:
    """Steps that the engine has kept, and bytes of a database that is no file of the campaign's."""
    if files.url is None:
        with contextlib.closing(sqlite3.connect(files.database)) as database:
            return int(database.execute("SELECT count(*) FROM operation_outputs").fetchone()[0]), 0
    with connect_postgresql(files.url) as database:
        steps = database.execute("SELECT count(*) FROM dbos.operation_outputs").fetchone()[0]
        return int(steps), int(database.execute("SELECT pg_database_size(current_database())").fetchone()[0])


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


def left_unfinished(file: Path) -> Path:
    """The file of the same campaign, interrupted when the first attempt at each device has ended and none was the last.

    Each device has its own chain of records, as updates over BLE leave it: `look` reads the end of each.
    """
    text = file.read_text() + "[retry.waiting]\nattempts = 9\nwait_s = 600\n"
    file = file.with_name("unfinished.toml")
    file.write_text(text.replace('name = "pumps', 'name = "unfinished'))
    read, files, hand = read_campaign(file), CampaignFiles.of(file), Hand()
    left = len(read.devices)

    async def update(device: CampaignDevice, _campaign: Campaign, _sink: Any) -> Attempt:
        records = "".join(f'{{"n":{n},"kind":"{kind}","body":{{{BODY}}}}}\n' for n, kind in enumerate(KINDS, 1))
        files.evidence(device.id).write_text(records)
        return Attempt(outcome=Outcome.WAITING, detail="it moves", reason="guard", next_step="bring it to rest")

    def hear(event: Event) -> None:
        nonlocal left
        left -= isinstance(event, DeviceEnded)
        if not left:
            asyncio.get_running_loop().call_later(IDLE_S, hand.interrupt)

    asyncio.run(begin(read, files, hear, hand=hand, update=update))
    return file


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


@contextlib.contextmanager
def databases(*, with_postgresql: bool) -> Generator[dict[str, Any]]:
    """By the name of each store: a function that gives the URL of a new database for so many devices, or None."""
    found: dict[str, Any] = {"SQLite": lambda _count: None}
    with contextlib.ExitStack() as stack:
        if with_postgresql and any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
            postgresql = stack.enter_context(server())
            found["PostgreSQL"] = lambda count: postgresql.url(f"pumps{count}")
        yield found


def run(counts: tuple[int, ...] = COUNTS, *, with_postgresql: bool = True) -> dict[str, object]:
    """Measure and print; `missed` says which promise was not kept."""
    missed: list[str] = []
    rows: list[dict[str, object]] = []
    taken: float | None = None
    unfinished: float | None = None
    with tempfile.TemporaryDirectory() as name, databases(with_postgresql=with_postgresql) as stores:
        directory = Path(name)
        carried_out(written(directory, 3), None)  # what is imported and made once
        print(f"| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|")
        for store, new in stores.items():
            for count in counts:
                (directory / f"{store}{count}").mkdir()
                file = written(directory / f"{store}{count}", count)
                row: dict[str, Any] = {"store": store, "devices": count, **carried_out(file, new(count))}
                most = round(CPU_MS_A_DEVICE + CPU_MS_A_STEP * (row["steps_a_device"] - 1), 1)
                rows.append({**row, "promised_cpu_ms": most if store == "SQLite" else None})
                print(_line(rows[-1]), flush=True)
                if store == "SQLite" and count >= FEW and row["cpu_ms_a_device"] > most:
                    missed.append(f"{count} devices on SQLite: {row['cpu_ms_a_device']} ms of CPU each")
                if store == "SQLite" and count == STATUS_OF:
                    taken, unfinished = status_cpu_s(file), status_cpu_s(left_unfinished(file))
        if taken is not None:
            print(f"status of {STATUS_OF} devices: {taken:.2f} s of CPU, promised {STATUS_S}")
            missed += [f"status of {STATUS_OF} devices: {taken:.2f} s"] if taken > STATUS_S else []
        if unfinished is not None:
            print(f"status of {STATUS_OF} unfinished devices: {unfinished:.2f} s of CPU, promised {STATUS_S}")
            missed += [f"status of {STATUS_OF} unfinished: {unfinished:.2f} s"] if unfinished > STATUS_S else []
        idle = idle_cpu_ms(written(directory, 3))
        print(f"a campaign that waits: {idle:.1f} ms of CPU a second")
    return {
        "campaign": {"rows": rows, "status_cpu_s": taken, "unfinished_status_cpu_s": unfinished, "idle_cpu_ms": idle},
        "missed": missed,
    }


def _line(row: dict[str, Any]) -> str:
    """A row of the table in docs/campaigns.md."""
    promised = "none" if row["promised_cpu_ms"] is None else f"{row['promised_cpu_ms']:g}"
    cells = (
        row["store"],
        f"{row['devices']:,}",
        f"{row['seconds']:.1f}",
        f"{row['cpu_ms_a_device']:.1f}",
        promised,
        f"{row['steps_a_device']:g}",
        f"{row['bytes_a_device']:,}",
    )
    return f"| {' | '.join(cells)} |"


def keep(row: dict[str, Any]) -> None:
    """Note a row beside the results of the deep tests."""
    kept = json.loads(deep.SOURCE.read_text()) if deep.SOURCE.exists() else {}
    kept["cost"] = {"date": datetime.now(UTC).date().isoformat(), **row}
    deep.SOURCE.parent.mkdir(exist_ok=True)
    deep.SOURCE.write_text(json.dumps(kept, indent=1) + "\n")


def main(arguments: list[str]) -> int:
    """Measure what was asked for; 1 if a promise was not kept."""
    if arguments != ["--deep"]:
        return bool(run(tuple(map(int, arguments)) or COUNTS)["missed"])
    measured: Any = run((DEEP_COUNT,), with_postgresql=False)
    keep(measured["campaign"]["rows"][0])
    return bool(measured["missed"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
