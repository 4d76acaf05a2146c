"""A tray of real devices for campaigns: each a process of its own, reached over UDP, its flash in a file.

What happened on a device is read from the device: its own recording of events, never the campaign's records.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from keyswitch.demo.workshop import Workshop
from keyswitch.panel.client import ask

CAMPAIGN = """
[campaign]
name = "tray"

[release]
image = "{image}"
policy = "{policy}"{health}

[run]
concurrency = {concurrency}{deadline}
"""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One device: its id, the state directory, where it is reached."""

    id: str
    state: Path
    target: str

    def moves(self, *, is_true: bool) -> None:
        ask(self.state, {"do": "set", "name": "motion", "value": str(is_true).lower()})

    def time_passes(self, duration_ms: int) -> None:
        ask(self.state, {"do": "advance", "ms": duration_ms})

    def flash_work(self) -> tuple[int, int]:
        """Blocks written and sectors erased since the device was made, as its flash has counted them."""
        blocks, sectors = self.state.with_suffix(".flash").read_text().split()
        return int(blocks), int(sectors)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the device has written of this kind, since it was made."""
        text = self.state.with_suffix(".out").read_text()
        return [event for event in map(json.loads, text.splitlines()) if event["event"] == kind]


def _command(pump: Workshop, state: Path, *, radio: bool) -> list[str]:
    counted = [sys.executable, "-m", "tests.campaign.counted_device", str(state.with_suffix(".flash"))]
    device = [*counted, str(pump.policy_file), "--state", str(state)]
    served = ["--ble", "virtual:0"] if radio else ["--ble", "none", "--virtual-time"]
    return [*device, "--image", str(pump.old), *served, "--udp", "127.0.0.1:0", "--json"]


@contextlib.contextmanager
def tray(
    pump: Workshop, directory: Path, count: int, *, moving: Sequence[int] = (), radio: bool = False
) -> Generator[list[Unit]]:
    """So many devices, at rest besides those that move; ended with the test. With a `radio`, each on its own air."""
    with contextlib.ExitStack() as stack:
        running: list[tuple[Path, subprocess.Popen[str]]] = []
        for number in range(count):
            state = directory / f"d{number}"
            out = stack.enter_context(state.with_suffix(".out").open("w"))
            process = subprocess.Popen(_command(pump, state, radio=radio), stdout=out, text=True)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            running.append((state, process))
        units = [
            Unit(id=f"P-{n}", state=state, target=_target(_ready(state, it), radio=radio))
            for n, (state, it) in enumerate(running)
        ]
        for number, unit in enumerate(units):
            unit.moves(is_true=number in moving)
        yield units


def _target(ready: dict[str, Any], *, radio: bool) -> str:
    return f"hci:{ready['ble']}#{ready['name']}" if radio else f"udp:{ready['udp']}"


def _ready(state: Path, process: "subprocess.Popen[str]") -> dict[str, Any]:
    out = state.with_suffix(".out")
    with subprocess.Popen(["tail", "-f", "-n", "+1", str(out)], stdout=subprocess.PIPE, text=True) as tail:
        assert tail.stdout is not None
        try:
            for event in map(json.loads, tail.stdout):
                if event["event"] == "ready":
                    return dict(event)
        finally:
            tail.kill()
    raise AssertionError(process.poll())


def write_campaign(
    directory: Path,
    pump: Workshop,
    units: Sequence[Unit],
    more: str = "",
    *,
    concurrency: int = 3,
    health: str = "",
    gateways: Sequence[str] = (),
    deadline: datetime | None = None,
) -> Path:
    """The campaign file for these devices; `more` is added to it."""
    checked = f'\nhealth = "{health}"' if health else ""
    until = f'\ndeadline = "{deadline.isoformat()}"' if deadline else ""
    files = {"image": pump.new, "policy": pump.policy_file}
    text = CAMPAIGN.format(**files, concurrency=concurrency, health=checked, deadline=until)
    for number, unit in enumerate(units):
        text += f'\n[[device]]\nid = "{unit.id}"\ntarget = "{unit.target}"\n'
        text += f'gateway = "{gateways[number % len(gateways)]}"\n' if gateways else ""
    file = directory / "tray.toml"
    file.write_text(text + more)
    return file
