"""Ours beside the peers, in real time: by turns on the same device process, over the same modelled link.

    python -m bench.peers [--quick]

Each upload is a process of its own; what is measured is the upload alone, by the process that does it: image bytes over
the time from the first request to the last answer, and that process's CPU time. Medians of `TURNS`. smpclient and
mcumgr-toolkit are unmodified, in `.venv-peers`; over Bluetooth LE the latter takes only a computer's own adapter.
"""

import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rigs import places
from tests.rigs.clients import SMPCLIENT, TOOLKIT, Client

from keyswitch.link.air.bound import upload_bound

TURNS = 5
"""Uploads of each client in a cell."""

TRANSFER_S = 0.8
"""How long one upload may take at the bound: a cell's ten are 8 s."""

LEAST, MOST = 32 * 1024, 420 * 1024
"""Bytes of an image: more than a window, and less than the slot."""

SHARE = {0.0: 0.9, 0.05: 0.7}
"""Of the bound, that ours must reach, by loss."""

BEHIND = 0.9
"""Of a peer's rate, that ours must reach."""

CPU_SHARE = {"ble": 1.0, "udp": 0.5, "serial": 0.5}
"""Of smpclient's CPU time for a byte, that ours may take at most."""

UPLOAD_S = 120
READY_S = 20
PORT_BLE, PORT_UDP = 6499, 1337
"""smpclient 7.3.0 knows no other UDP port than Zephyr's."""

POLICY = """
schema = 1
[device]
name = "Bench"
initial_mode = "normal"
[modes.normal]
allow = ["mode"]
[modes.maintenance]
maintenance = true
allow = ["os", "image", "mode"]
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "button"
hold_s = 1
[gate]
service = "always"
[bootloader]
slot_size = 458752
[smp]
buf_size = {buf_size}
buf_count = 4
transports = ["ble", "udp", "serial"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination. `interval_us` and `loss` mean something over Bluetooth LE alone."""

    transport: str = "ble"
    interval_us: int = 15_000
    buf_size: int = 2475
    loss: float = 0.0

    @property
    def name(self) -> str:
        """For people."""
        if self.transport != "ble":
            return f"{self.transport}, 4 x {self.buf_size}"
        return f"ble, {self.interval_us / 1000:g} ms, 4 x {self.buf_size}, loss {self.loss:g}"

    @property
    def key(self) -> tuple[object, ...]:
        """What tells cells apart in build/bench.json."""
        return (self.transport, self.interval_us if self.transport == "ble" else None, self.buf_size, self.loss, "none")


CELLS = (
    *(
        Cell(interval_us=interval_us, buf_size=buf_size, loss=loss)
        for loss in (0.0, 0.05)
        for interval_us in (7_500, 15_000, 30_000, 50_000)
        for buf_size in (2475, 495, 244)
    ),
    Cell(transport="udp", buf_size=2048),
    Cell(transport="serial", buf_size=2048),
    Cell(transport="serial", buf_size=384),
)

QUICK = (Cell(), Cell(interval_us=30_000, buf_size=495), Cell(loss=0.05), Cell(transport="udp", buf_size=2048))
"""The four cells of `make bench-quick`."""


def run(cells: tuple[Cell, ...] = CELLS) -> dict[str, object]:
    """Measure the cells; they replace those of the same kind in what was written before."""
    if (why := places.why_no_clients()) is not None:
        print(f"no peers: {why}")
        return {"missed": []}
    measured = [measure(cell) for cell in cells]
    result = Path("build/bench.json")
    before = json.loads(result.read_text()).get("cells", []) if result.exists() else []
    keys = {cell.key for cell in cells}
    kept = [cell for cell in before if _key(cell) not in keys]
    return {"cells": [*kept, *measured], "missed": [line for cell in measured for line in _missed(cell)]}


def _key(cell: dict[str, Any]) -> tuple[object, ...]:
    return tuple(cell[name] for name in ("transport", "interval_us", "buf_size", "loss", "flash"))


def _missed(cell: dict[str, Any]) -> Iterator[str]:
    name = f"{cell['transport']} {cell['interval_us']} us {cell['buf_size']} loss {cell['loss']}"
    ours, most = cell["ours_bytes_per_second"], cell["bound_bytes_per_second"]
    if most is not None and ours < SHARE[cell["loss"]] * most:
        yield f"{name}: {ours} B/s of {most}"
    for peer, rate in cell["peers"].items():
        if rate is not None and ours < BEHIND * rate:
            yield f"{name}: {ours} B/s, {peer} {rate}"
    theirs = cell["smpclient_cpu_s_per_mb"]
    if theirs is not None and cell["ours_cpu_s_per_mb"] > CPU_SHARE[cell["transport"]] * theirs:
        yield f"{name}: {cell['ours_cpu_s_per_mb']} CPU s/MB, smpclient {theirs}"


def measure(cell: Cell) -> dict[str, Any]:
    """One cell, by turns."""
    bound = None
    if cell.transport == "ble":
        bound = round(upload_bound(interval_us=cell.interval_us, buf_size=cell.buf_size).bytes_per_second)
    clients = ["ours", SMPCLIENT.name, *([] if cell.transport == "ble" else [TOOLKIT.name])]
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in clients}
    with tempfile.TemporaryDirectory() as directory, _device(cell, Path(directory)) as targets:
        size = min(MOST, max(LEAST, round((bound or MOST / TRANSFER_S) * TRANSFER_S)))
        for turn in range(TURNS):
            for name in clients:
                # A file of its own each time: the same one again could be taken for one that is there already.
                file = Path(directory) / f"{name}-{turn}.bin"
                _sign(Path(directory), file, size, f"2.{clients.index(name)}.{turn}")
                runs[name].append(_upload(name, targets[name], file))
    return _told(cell, bound, runs)


def _told(cell: Cell, bound: int | None, runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    rates = {name: _median(each, lambda one: one["bytes"] / one["seconds"]) for name, each in runs.items()}
    cpu = {name: _median(each, lambda one: one["cpu_s"] * 1e6 / one["bytes"]) for name, each in runs.items()}
    ours = round(rates["ours"] or 0)
    parts = [f"{cell.name}: {ours / 1000:.1f} kB/s"]
    if bound is not None:
        parts.append(f"{100 * ours / bound:.0f} % of {bound / 1000:.1f}")
    for name in (SMPCLIENT.name, TOOLKIT.name):
        rate, seconds = rates.get(name), cpu.get(name)
        if rate and seconds is not None:
            parts.append(f"{name} {rate / 1000:.1f} (x{ours / rate:.2f}; CPU {cpu['ours']:.2f} to {seconds:.2f} s/MB)")
    print(", ".join(parts), flush=True)
    theirs = cpu.get(SMPCLIENT.name)
    return {
        "transport": cell.transport,
        "interval_us": cell.interval_us if cell.transport == "ble" else None,
        "phy": "2M" if cell.transport == "ble" else None,
        "buf_size": cell.buf_size,
        "buf_count": 4,
        "loss": cell.loss,
        "flash": "none",
        "bound_bytes_per_second": bound,
        "ours_bytes_per_second": ours,
        "window1_bytes_per_second": None,
        "peers": {
            "smpclient": _rounded(rates.get(SMPCLIENT.name)),
            "mcumgr_toolkit": _rounded(rates.get(TOOLKIT.name)),
        },
        "ours_cpu_s_per_mb": round(cpu["ours"] or 0, 3),
        "smpclient_cpu_s_per_mb": None if theirs is None else round(theirs, 3),
    }


def _median(runs: list[dict[str, Any]], value: Any) -> float | None:
    good = [value(one) for one in runs if one["ok"]]
    return statistics.median(good) if len(good) > len(runs) // 2 else None


def _rounded(rate: float | None) -> int | None:
    return None if rate is None else round(rate)


def _upload(name: str, target: str, file: Path) -> dict[str, Any]:
    """One upload by one client; `ok` is false with its words where it failed."""
    if name == "ours":
        command: list[str | Path] = [sys.executable, "-m", "bench.ours", target, file]
    else:
        client: Client = {SMPCLIENT.name: SMPCLIENT, TOOLKIT.name: TOOLKIT}[name]
        operations = [["upload", str(file)]]
        if name == TOOLKIT.name:
            operations.insert(0, ["auto_frame"])
        command = [places.PEERS_PYTHON, client.driver, target, json.dumps(operations)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=UPLOAD_S, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"op": "upload"')]
    if not lines or not lines[-1]["ok"]:
        print(f"  {name} failed: {(lines[-1]['said'] if lines else done.stdout + done.stderr)[-300:]}")
        return {"ok": False}
    return dict(lines[-1])


@contextmanager
def _device(cell: Cell, directory: Path) -> Iterator[dict[str, str]]:
    """A device process for the cell; where each client finds it."""
    policy, first, state = directory / "policy.toml", directory / "first.bin", directory / "state"
    policy.write_text(POLICY.format(buf_size=cell.buf_size))
    _sign(directory, first, LEAST, "1.0.0")
    command = [sys.executable, "-m", "keyswitch", "device", str(policy), "--state", str(state), "--image", str(first)]
    air = f"interval_ms={cell.interval_us / 1000:g},phy=2M,loss={cell.loss:g}"
    ways = {
        "ble": ["--ble", f"virtual:{PORT_BLE}", "--air", air],
        "udp": ["--ble", "none", "--udp", f"127.0.0.1:{PORT_UDP}"],
        "serial": ["--ble", "none", "--serial", str(directory / "tty")],
    }
    with subprocess.Popen([*command, *ways[cell.transport], "--json"], stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = _ready(process)
            press = [sys.executable, "-m", "keyswitch", "panel", str(state), "press", "button", "--hold", "1s"]
            subprocess.run(press, check=True, capture_output=True, timeout=READY_S)
            yield {
                "ble": {
                    "ours": f"hci:tcp-client:127.0.0.1:{PORT_BLE}#{ready['name']}",
                    SMPCLIENT.name: f"bumble:tcp-client:127.0.0.1:{PORT_BLE}#{ready['name']}",
                },
                "udp": dict.fromkeys(("ours", SMPCLIENT.name, TOOLKIT.name), "udp:127.0.0.1"),
                "serial": dict.fromkeys(("ours", SMPCLIENT.name, TOOLKIT.name), f"serial:{ready['serial']}"),
            }[cell.transport]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(READY_S)


def _ready(process: "subprocess.Popen[str]") -> dict[str, Any]:
    until = time.monotonic() + READY_S
    for line in process.stdout or ():
        event = json.loads(line)
        if event["event"] == "ready":
            return dict(event)
        if time.monotonic() > until:
            break
    raise RuntimeError("the device did not get ready")


def _sign(directory: Path, to: Path, size: int, version: str) -> None:
    payload = directory / "payload.bin"
    payload.write_bytes(bytes(range(256)) * (size // 256 + 1))
    command = [sys.executable, "-m", "imgtool.main", "sign", "--header-size", "0x200", "--pad-header"]
    command += ["--slot-size", "458752", "--align", "4", "--version", version, str(payload), str(to)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def main(arguments: list[str]) -> int:
    """The quick cells alone, or all of them; written into build/bench.json as `make bench` does."""
    result = run(QUICK if "--quick" in arguments else CELLS)
    missed = result.pop("missed")
    path = Path("build/bench.json")
    path.parent.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | result, indent=1) + "\n")
    for line in missed:  # type: ignore[attr-defined] - a list of lines
        print(f"missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
