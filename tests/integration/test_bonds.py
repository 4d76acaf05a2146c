"""Bonds outlive a device that is killed: the keys of before encrypt the link again, and nobody pairs anew.

What a bonded central knows of the table outlives it too, so that it learns when the new firmware's is another one.
"""

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path

from tests.integration.test_processes import device

from keyswitch.demo.workshop import Workshop
from keyswitch.device.storage.state_dir import BONDS
from keyswitch.gatt.services import CLIENT_FEATURES_UUID, SERVICE_CHANGED_UUID
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.radio import transport
from keyswitch.smp.framing import ble

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


ALL_HANDLES = bytes.fromhex("0100ffff")
ROBUST_CACHING = b"\x01"


async def meet(hci: str, address: str, bonds: Bonds) -> tuple[list[bytes], bool]:
    """Connect and encrypt: what the device tells of its table, and whether SMP is in it.

    At first the central asks to be told, and says that it keeps what it knows.
    """
    adapter = BumbleAdapter(transport(hci), address=OPERATOR, bonds=bonds)
    known = bool(bonds.peers)
    link = await adapter.connect(address, 10_000)
    (generic,) = [each.uuid for each in link.found if SERVICE_CHANGED_UUID in {c.uuid for c in each.characteristics}]
    told: list[bytes] = []
    link._sinks[link._characteristic(generic, SERVICE_CHANGED_UUID).handle] = told.append
    if known:
        await link.pair()
    else:
        await link.watch_services(told.append)
        await link.request(generic, CLIENT_FEATURES_UUID, ROBUST_CACHING)
        await link.pair()
    await asyncio.sleep(1)
    served = ble.SERVICE_UUID in link.services
    await link.close()
    await adapter.close()
    return told, served


def test_a_bonded_central_is_told_that_the_new_firmware_has_another_table(pump: Workshop, tmp_path: Path) -> None:
    """It has been away while the firmware was exchanged: it is told once, and not when nothing has changed."""
    shutil.copytree(pump.policy_file.parent, tmp_path / "new")
    new = replace(pump, policy_file=tmp_path / "new" / pump.policy_file.name)
    rules = new.policy_file.read_text()
    assert 'service = "reconnect"' in rules
    new.policy_file.write_text(rules.replace('service = "reconnect"', 'service = "always"'))
    bonds = Bonds(OPERATOR)
    seen: list[tuple[list[bytes], bool]] = []
    for firmware in (pump, pump, new, new):
        with device(firmware, tmp_path / "state") as running:
            seen.append(asyncio.run(meet(running.ready["ble"], running.ready["address"], bonds)))
    assert seen == [([], False), ([], False), ([ALL_HANDLES], True), ([], True)]
