"""Many devices in one process, each the whole of `keyswitch device`: `python -m tests.campaign.devices SPECS.json`.

SPECS.json has a list of `Spec`s. A line on stdout is the `ready` event of one of them, with its number; what a device
tells is in STATE.out, and what was done to its flash, since it was made and over all power cycles, in STATE.flash:
write blocks programmed and sectors erased.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyswitch.device.process.process import DeviceOptions, serve
from keyswitch.device.storage.flash_file import FlashFile
from keyswitch.link.air.hub import Hub, _Attached
from keyswitch.link.air.link import AirLink
from keyswitch.panel.client import ask
from keyswitch.schema.output import to_line

CRASHES = "crashes"
"""The new image ends in a reset as soon as it runs: its bootloader takes it back."""
DIES = "dies"
"""It is gone with the reset, and does not come back."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One device: its files, where it is reached, and what becomes of it when a new image runs.

    Attributes:
        state: the state directory.
        policy: the policy file.
        image: what it runs at first.
        unit: file that says which unit it is; empty: the policy does.
        ble: its radio, `none`, or the number of the air that it is on.
        virtual_time: whether its time can be advanced.
        fate: `CRASHES`, `DIES`, or nothing of that.
    """

    state: str
    policy: str
    image: str
    unit: str = ""
    ble: str = "none"
    virtual_time: bool = True
    fate: str = ""


def sync_nothing() -> None:
    """Spare the disk: these devices lose no power, but with the machine. What is written survives their process."""

    def synced(_file: object) -> None:
        return None

    os.fsync = os.fdatasync = synced


def count_flash() -> None:
    """Let the work of each flash be counted into a file beside its state directory."""
    counts: dict[Path, list[int]] = {}
    write, erase = FlashFile.write, FlashFile.erase

    def note(flash: FlashFile, blocks: int, sectors: int) -> None:
        state: Path = flash._path.parent
        count = counts.setdefault(state, [0, 0])
        count[0] += blocks
        count[1] += sectors
        state.with_suffix(".flash").write_text(f"{count[0]} {count[1]}\n")

    def counted_write(self: FlashFile, offset: int, data: bytes) -> None:
        write(self, offset, data)
        note(self, len(data) // self.geometry.write_block, 0)

    def counted_erase(self: FlashFile, offset: int, size: int) -> None:
        erase(self, offset, size)
        note(self, 0, size // self.geometry.sector_size)

    FlashFile.write, FlashFile.erase = counted_write, counted_erase


def watch_adapters(path: Path) -> None:
    """Let each adapter's life be written into a file: its beginning, how it stands when that changes, and its end."""
    made, lost, turn = _Attached.connection_made, _Attached.connection_lost, _Attached.take_turn
    stood: dict[_Attached, tuple[bool, int]] = {}

    def note(attached: _Attached, event: str) -> None:
        controller = attached._controller
        if controller is None:
            return
        now = bool(controller.le_scan_enable), len(controller.le_connections)
        if event == "stands" and stood.get(attached) == now:
            return
        stood[attached] = now
        values = {"adapter": attached._hub.name, "event": event, "scans": now[0], "links": now[1]}
        with path.open("a") as file:
            file.write(f"{json.dumps(values)}\n")

    def connection_made(self: _Attached, transport: asyncio.BaseTransport) -> None:
        made(self, transport)
        note(self, "attached")

    def take_turn(self: _Attached) -> bool:
        more = turn(self)
        note(self, "stands")
        return more

    def connection_lost(self: _Attached, exc: Exception | None) -> None:
        note(self, "gone")
        lost(self, exc)

    _Attached.connection_made, _Attached.take_turn, _Attached.connection_lost = (
        connection_made,
        take_turn,
        connection_lost,
    )


async def run(number: int, spec: Spec, hubs: list[Hub]) -> None:
    """One device, until it is cancelled or dies."""
    state = Path(spec.state)
    serving: asyncio.Task[None]
    crashing: list[asyncio.Future[Any]] = []
    with state.with_suffix(".out").open("w", buffering=1) as out:

        def report(event: dict[str, Any]) -> None:
            out.write(f"{json.dumps(event)}\n")
            match event["event"], spec.fate:
                case "ready", _:
                    sys.stdout.write(to_line({**event, "number": number, "hubs": [hub.name for hub in hubs]}) + "\n")
                    sys.stdout.flush()
                case "image-swapped", "crashes":
                    crashing.append(asyncio.ensure_future(asyncio.to_thread(ask, state, {"do": "power-cycle"})))
                case "image-swapped", "dies":
                    serving.cancel()
                case _:
                    pass

        options = DeviceOptions(
            policy=Path(spec.policy),
            state=state,
            first_image=Path(spec.image),
            unit=Path(spec.unit) if spec.unit else None,
            ble=f"{hubs[0].name}" if spec.ble == "air" else spec.ble,
            udp="127.0.0.1:0",
            virtual_time=spec.virtual_time,
        )
        serving = asyncio.ensure_future(serve(options, report))
        await serving


async def run_all(specs: list[Spec], adapters: int) -> None:
    """All of them, and one air with so many further places for controllers, until SIGTERM."""
    async with AsyncExitStack() as stack:
        air, hubs = AirLink(), list[Hub]()
        for _ in range(adapters):
            hubs.append(Hub(air))
            stack.push_async_callback(hubs[-1].close)
            await hubs[-1].start()
        tasks = [asyncio.ensure_future(run(number, spec, hubs)) for number, spec in enumerate(specs)]

        def end() -> None:
            for task in tasks:
                task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for each in ends:
        if isinstance(each, Exception):
            raise each


if __name__ == "__main__":
    sync_nothing()
    count_flash()
    watch_adapters(Path(sys.argv[1]).with_suffix(".adapters"))
    given = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(run_all([Spec(**each) for each in given["devices"]], given["adapters"]))
