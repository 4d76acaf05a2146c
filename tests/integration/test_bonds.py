"""Bonds outlive a device that is killed: the keys of before encrypt the link again, and nobody pairs anew."""

import asyncio
import json
from pathlib import Path

from tests.integration.test_processes import device

from keyswitch.demo.workshop import Workshop
from keyswitch.device.state_dir import BONDS
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.radio import transport

OPERATOR = "C8:00:00:00:00:01"


def pair(hci: str, address: str, bonds: Bonds) -> None:
    """Connect, pair or encrypt with known keys, go."""

    async def story() -> None:
        adapter = BumbleAdapter(transport(hci), address=OPERATOR, bonds=bonds)
        link = await adapter.connect(address, 10_000)
        await link.pair()
        await asyncio.sleep(1)  # the device's keys are the last to travel
        await link.close()
        await adapter.close()

    asyncio.run(story())


def test_bonds_survive_a_kill(pump: Workshop, tmp_path: Path) -> None:
    bonds = Bonds(OPERATOR)
    with device(pump, tmp_path) as first:
        pair(first.ready["ble"], first.ready["address"], bonds)
        first.process.kill()
        first.process.wait()
    kept = json.loads((tmp_path / BONDS).read_text())
    assert (tmp_path / BONDS).stat().st_mode & 0o777 == 0o600
    assert OPERATOR in str(kept)
    with device(pump, tmp_path) as again:
        assert again.ready["address"] == first.ready["address"]
        pair(again.ready["ble"], again.ready["address"], bonds)
    assert json.loads((tmp_path / BONDS).read_text())["bonds"] == kept["bonds"]
