"""A tray of real devices for campaigns: in a process of their own, reached over UDP, their flash in files.

What happened on a device is read from the device: its own recording of events, never the campaign's records.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from tests.campaign.devices import Spec

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


@contextlib.contextmanager
def running(directory: Path, specs: Sequence[Spec], *, adapters: int = 0) -> Generator[list[dict[str, Any]]]:
    """The `ready` event of each of these devices, which run in a process of their own; ended with the test."""
    file = directory / "devices.json"
    file.write_text(json.dumps({"devices": [asdict(spec) for spec in specs], "adapters": adapters}))
    command = [sys.executable, "-m", "tests.campaign.devices", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = [json.loads(line) for line in islice(process.stdout, len(specs))]
            assert len(ready) == len(specs), process.wait()
            yield sorted(ready, key=lambda event: event["number"])
        finally:
            process.terminate()


@contextlib.contextmanager
def tray(
    pump: Workshop, directory: Path, count: int, *, moving: Sequence[int] = (), radio: bool = False
) -> Generator[list[Unit]]:
    """So many devices, at rest besides those that move. With a `radio`, in real time, each on its own air."""
    specs = [
        Spec(
            state=str(directory / f"d{number}"),
            policy=str(pump.policy_file),
            image=str(pump.old),
            ble="virtual:0" if radio else "none",
            virtual_time=not radio,
        )
        for number in range(count)
    ]
    with running(directory, specs) as ready:
        units = [
            Unit(id=f"P-{n}", state=Path(spec.state), target=_target(event, radio=radio))
            for n, (spec, event) in enumerate(zip(specs, ready, strict=True))
        ]
        for number, unit in enumerate(units):
            unit.moves(is_true=number in moving)
        yield units


def _target(ready: dict[str, Any], *, radio: bool) -> str:
    return f"hci:{ready['ble']}#{ready['name']}" if radio else f"udp:{ready['udp']}"


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
