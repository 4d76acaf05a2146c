"""A campaign in somebody else's loop, as a console has it: typed events, orders by calls, a look from beside."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from keyswitch.campaign.carry_out import Hand, begin, order, resume
from keyswitch.campaign.events import ApprovalAwaited, Attempt, CampaignState, DeviceBegun, Event, WaveApproved
from keyswitch.campaign.load import read_campaign
from keyswitch.campaign.look import look
from keyswitch.campaign.model import CampaignFiles
from keyswitch.campaign.orders import OrderKind
from keyswitch.campaign.outcomes import Outcome

pytestmark = pytest.mark.campaign

FILE = """
[campaign]
name = "tray"
[release]
image = "new.bin"
[waves]
counts = [1, 2]
approval = true
"""


class Listener:
    """Hears events, and waits for them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._heard = asyncio.Event()

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self._heard.set()

    async def until(self, kind: type[Event], count: int = 1) -> None:
        async with asyncio.timeout(60):
            while sum(isinstance(event, kind) for event in self.events) < count:
                self._heard.clear()
                await self._heard.wait()


def test_begun_approved_paused_and_resumed_in_one_loop(tmp_path: Path):
    file = tmp_path / "tray.toml"
    devices = "".join(f'[[device]]\nid = "P-{n}"\ntarget = "udp:10.0.0.{n}"\n' for n in range(1, 5))
    file.write_text(FILE + devices)
    read, files = read_campaign(file), CampaignFiles.of(file)
    listener = Listener()
    sink, until = listener.hear, listener.until

    async def whole() -> None:
        goes_on = asyncio.Event()

        async def update(device: Any, _campaign: Any, _sink: Any) -> Attempt:
            if device.id == "P-2":
                await goes_on.wait()
            return Attempt(outcome=Outcome.CONFIRMED, detail="confirmed")

        hand = Hand()
        running = asyncio.ensure_future(begin(read, files, sink, hand=hand, update=update))
        await until(ApprovalAwaited)
        assert look(read, files).awaits == 2
        assert look(read, files).state is CampaignState.RUNNING
        order(read, files, OrderKind.APPROVE)
        hand.look()
        await until(WaveApproved)
        await until(DeviceBegun, 2)
        order(read, files, OrderKind.PAUSE)
        hand.look()
        await asyncio.sleep(0.1)
        assert not running.done(), "a device is under way"
        goes_on.set()
        paused = await running
        assert (paused.state, paused.outcomes["confirmed"]) == (CampaignState.PAUSED, 2)
        again = Hand()
        running = asyncio.ensure_future(resume(read, files, sink, hand=again, update=update))
        await until(ApprovalAwaited, 2)
        order(read, files, OrderKind.APPROVE, wave=3)
        again.look()
        ended = await running
        assert (ended.state, ended.outcomes["confirmed"]) == (CampaignState.DONE, 4)
        begun = [event.device for event in listener.events if isinstance(event, DeviceBegun)]
        assert begun == ["P-1", "P-2", "P-3", "P-4"], "each once"

    asyncio.run(whole())
