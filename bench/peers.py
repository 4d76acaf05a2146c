"""Uploads in real time, ours and the peers' by turns, to the same device process over the same modelled link.

    python -m bench peers          every cell
    python -m bench.peers --quick  four cells

Each run is a process of its own: connect, erase the slot, upload the same image, end. They take turns (ours, peer,
ours, peer, …) and the median counts. A run that fails gives no rate, and is a mark that was missed: one of ours, and
one of a peer as well, because nothing was compared with it. The bound is `keyswitch.timing.bound`, computed from the
rules of the air alone. mcumgr-toolkit has no way to a virtual radio, so it is compared over UDP and serial only.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyswitch.testing.device import DeviceUnderTest, running_device
from keyswitch.testing.example import Example, example_policy, write_example
from keyswitch.timing import bound
from keyswitch.timing.rules import Phy

ROUNDS = 5
RUN_S = 60
"""Bound of one run: the slowest peer at the slowest interval needs about ten seconds."""

SHARE = 0.9
SHARE_WITH_LOSS = 0.7
SLOWER = 0.9
"""Ours may never be slower than a peer by more than 10 %."""

TRANSFER_S = 2.4
"""What an upload at the bound would take: long enough that neither the first request, which is alone, nor the last
answers are what is measured; a peer that sends one request at a time, at a third of it, needs seven seconds."""
SMALLEST, LARGEST = 12_000, 400_000
UDP_PORT = 1337
"""The only one that smpclient connects to."""

PEERS_PYTHON = Path(".venv-peers/bin/python")
DRIVERS = Path("tests/rigs/drivers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination."""

    transport: str = "ble"
    interval_us: int | None = None
    buf_size: int = 2475
    buf_count: int = 4
    loss: float = 0.0

    @property
    def name(self) -> str:
        """In words."""
        link = f"{self.interval_us / 1000:g} ms, loss {self.loss:.0%}, " if self.interval_us else ""
        return f"{self.transport}: {link}{self.buf_count} x {self.buf_size} bytes"

    @property
    def bound(self) -> int | None:
        """Bytes per second that the link allows; None where only the machine bounds it."""
        if self.interval_us is None:
            return None
        limit = bound.upload_bound(
            interval_us=self.interval_us, buf_size=self.buf_size, buf_count=self.buf_count, phy=Phy.LE_2M
        )
        return round(limit.bytes_per_second)

    @property
    def image_bytes(self) -> int:
        """How large an image to send."""
        return LARGEST if self.bound is None else min(LARGEST, max(SMALLEST, round(self.bound * TRANSFER_S)))


RADIO = tuple(
    Cell(interval_us=interval_us, buf_size=buf_size, loss=loss)
    for loss in (0.0, 0.05)
    for interval_us in (7_500, 15_000, 30_000, 50_000)
    for buf_size in (2475, 495, 244)
)
WIRES = tuple(Cell(transport=transport, buf_size=2475) for transport in ("udp", "serial"))
QUICK = (RADIO[3], RADIO[8], RADIO[15], WIRES[0])


@dataclass(slots=True)
class Runs:
    """What one client did in a cell."""

    rates: list[float] = field(default_factory=list)
    cpu_s_per_mb: list[float] = field(default_factory=list)

    def add(self, said: dict[str, Any]) -> None:
        """One run."""
        self.rates.append(said["bytes"] / said["seconds"])
        self.cpu_s_per_mb.append(said["cpu_s"] / said["bytes"] * 1e6)

    @property
    def done(self) -> int:
        """How many runs did not fail."""
        return len(self.rates)

    @property
    def rate(self) -> int | None:
        """Median bytes per second."""
        return round(statistics.median(self.rates)) if self.rates else None

    @property
    def cpu(self) -> float | None:
        """Median CPU seconds per megabyte."""
        return round(statistics.median(self.cpu_s_per_mb), 4) if self.cpu_s_per_mb else None


def run() -> dict[str, object]:
    """Every cell."""
    return measure_all(RADIO + WIRES)


def measure_all(cells: Sequence[Cell]) -> dict[str, object]:
    """Measure cells; says which marks were missed."""
    if not PEERS_PYTHON.exists():
        return {"missed": [f"{PEERS_PYTHON} is missing: run tools/peers/setup"]}
    results, missed = [], []
    for cell in cells:
        with tempfile.TemporaryDirectory(prefix="keyswitch-bench-") as directory:
            result = measure(cell, Path(directory))
        results.append(result)
        missed += misses(cell, result)
    return {"cells": results, "missed": missed}


def measure(cell: Cell, directory: Path) -> dict[str, Any]:
    """One cell: all clients by turns."""
    example = write_example(directory / "policy", _policy(cell))
    payload = directory / "firmware.bin"
    payload.write_bytes(bytes(range(256)) * (cell.image_bytes // 256))
    first = example.sign(_small(directory), "1.0.0")
    image = example.sign(payload, "1.1.0")
    clients = ["ours", "smpclient"] if cell.transport == "ble" else ["ours", "smpclient", "mcumgr_toolkit"]
    runs = {client: Runs() for client in clients}
    interval_ms = cell.interval_us / 1000 if cell.interval_us else 15
    air = f"interval_ms={interval_ms:g},phy=2M,dle=251,loss={cell.loss:g}"
    with running_device(
        directory / "device",
        policy=example.policy_file,
        image=first,
        air=air,
        udp=f"127.0.0.1:{UDP_PORT}" if cell.transport == "udp" else False,
        serial=cell.transport == "serial",
    ) as device:
        device.press(5)
        for _ in range(ROUNDS):
            for client in clients:
                said = _one(client, _target(client, cell, device), image)
                if said is not None:
                    runs[client].add(said)
    return _result(cell, example, image, runs)


def _result(cell: Cell, example: Example, image: Path, runs: dict[str, Runs]) -> dict[str, Any]:
    ours, smpclient = runs["ours"], runs["smpclient"]
    peers = {name: runs[name].rate if name in runs else None for name in ("smpclient", "mcumgr_toolkit")}
    ratios = ", ".join(
        f"{name} {rate / 1000:.1f} ({ours.rate / rate:.1f} x)" for name, rate in peers.items() if rate and ours.rate
    )
    of = f", {100 * (ours.rate or 0) / cell.bound:.0f} % of {cell.bound / 1000:.1f}" if cell.bound else ""
    print(
        f"{cell.name}: ours {(ours.rate or 0) / 1000:.1f} kB/s{of}; {ratios}; "
        f"CPU s/MB ours {ours.cpu}, smpclient {smpclient.cpu}",
        flush=True,
    )
    return {
        "transport": cell.transport,
        "interval_us": cell.interval_us,
        "phy": Phy.LE_2M.word if cell.interval_us else None,
        "buf_size": example.policy.smp.buf_size,
        "buf_count": cell.buf_count,
        "loss": cell.loss,
        "flash": "none",
        "image_bytes": image.stat().st_size,
        "bound_bytes_per_second": cell.bound,
        "ours_bytes_per_second": ours.rate,
        "window1_bytes_per_second": None,
        "peers": peers,
        "runs": {name: each.done for name, each in runs.items()},
        "ours_cpu_s_per_mb": ours.cpu,
        "smpclient_cpu_s_per_mb": smpclient.cpu,
    }


def misses(cell: Cell, result: dict[str, Any]) -> list[str]:
    """What a cell promised and did not keep."""
    ours, most = result["ours_bytes_per_second"] or 0, result["bound_bytes_per_second"]
    failed = {name: ROUNDS - done for name, done in result["runs"].items() if done < ROUNDS}
    lines = [f"{cell.name}: {count} of {ROUNDS} runs of {name} failed" for name, count in failed.items()]
    share = SHARE_WITH_LOSS if cell.loss else SHARE
    if most and ours < share * most:
        lines.append(f"{cell.name}: {ours} B/s of {most}, {share:.0%} was promised")
    for name, rate in result["peers"].items():
        if rate and ours < SLOWER * rate:
            lines.append(f"{cell.name}: {ours} B/s, {name} {rate}")
    cpu, theirs = result["ours_cpu_s_per_mb"], result["smpclient_cpu_s_per_mb"]
    if cpu and theirs and cpu > theirs * (1 if cell.transport == "ble" else 0.5):
        lines.append(f"{cell.name}: {cpu} CPU seconds per MB, smpclient {theirs}")
    return lines


def _policy(cell: Cell) -> str:
    text = example_policy()
    for old, new in {
        'service = "reconnect"': 'service = "always"',
        "lease_s = 900": "lease_s = 7200",
        "lease_max_s = 3600": "lease_max_s = 14400",
        "idle_s = 120": "idle_s = 3600",
        "buf_size = 2475": f"buf_size = {cell.buf_size}",
        "buf_count = 4": f"buf_count = {cell.buf_count}",
    }.items():
        if old not in text:
            raise RuntimeError(f"the example policy has no line {old!r}")
        text = text.replace(old, new)
    return text


def _small(directory: Path) -> Path:
    path = directory / "small.bin"
    path.write_bytes(bytes(4096))
    return path


def _target(client: str, cell: Cell, device: DeviceUnderTest) -> str:
    match cell.transport:
        case "ble":
            name = device.ready["name"]
            return f"hci:{device.hci}#{name}" if client == "ours" else f"bumble:{device.hci}#{name}"
        case "udp":
            return "udp:127.0.0.1"
        case _:
            return f"serial:{device.serial}"


def _one(client: str, target: str, image: Path) -> dict[str, Any] | None:
    """One upload; None if the client failed, which is told."""
    if client == "ours":
        command = [sys.executable, "-m", "bench.drivers.ours", target, str(image)]
    else:
        driver = DRIVERS / ("smpclient_driver.py" if client == "smpclient" else "toolkit_driver.py")
        # mcumgr-toolkit sends 384 bytes at a time unless it is asked to take what the device offers.
        first = [] if client == "smpclient" else [["auto_frame"]]
        command = [str(PEERS_PYTHON), str(driver), target, json.dumps([*first, ["erase"], ["upload", str(image)]])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_S)
    except subprocess.TimeoutExpired:
        print(f"    {client}: nothing within {RUN_S} s", flush=True)
        return None
    for line in reversed(done.stdout.splitlines()):
        with suppress(ValueError, KeyError):
            said = json.loads(line)
            if said["bytes"] and said["seconds"]:
                return dict(said)
    print(f"    {client}: {(done.stderr or done.stdout).strip()[-300:]}", flush=True)
    return None


if __name__ == "__main__":
    from bench.__main__ import merge

    sys.exit(merge(measure_all(QUICK if "--quick" in sys.argv else RADIO + WIRES)))
