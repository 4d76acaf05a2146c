"""One attempt as a gateway carries it out, without a database."""

import asyncio
from pathlib import Path

from keyswitch.app.request import UpdateRequest
from keyswitch.campaign.events import DeviceEnded, Event
from keyswitch.campaign.gateways import Gateway
from keyswitch.campaign.model import CampaignDevice


def test_what_cannot_even_begin_has_a_time_and_an_end(tmp_path: Path):
    device = CampaignDevice(id="P", request=UpdateRequest(target="udp:127.0.0.1:9", image=Path("none.bin")))
    told: list[Event] = []

    async def carried_out() -> object:
        gateway = Gateway("north", "postgresql://nowhere/pumps", tmp_path, told.append)
        return await gateway._update({"device": device.to_plain(), "attempt": 1, "image_hashes": []})

    plain = asyncio.run(carried_out())
    assert isinstance(plain, dict)
    assert plain["outcome"] == "refused"
    assert "none.bin" in plain["detail"]
    assert isinstance(plain["duration_ms"], int)
    assert plain["ended_at"]
    ended = told[-1]
    assert isinstance(ended, DeviceEnded)
    assert ended.ended.to_plain() == plain
