import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import MODE_SERVICE, SMP_SERVICE, PeerAir, SmpPeer
from tests.policy.samples import PUMP_FILE

from keyswitch.errors import LinkLostError
from keyswitch.host.connect.scan import FoundDevice, Shows, listen, seen_as
from keyswitch.link.air.clock import run
from keyswitch.link.ports import Sighting
from keyswitch.policy.load import read_policy

OLD = make_image()


@pytest.mark.parametrize(
    ("services", "manufacturer", "shows", "mode_index", "token"),
    [
        ({SMP_SERVICE}, (0xFFFF, b"\x13abcd"), Shows.UPDATE_SERVICE, 3, b"abcd"),
        ({MODE_SERVICE}, (0xFFFF, b"\x10abcd"), Shows.MODE_SERVICE, 0, b"abcd"),
        ({SMP_SERVICE}, None, Shows.UPDATE_SERVICE, None, b""),
        (set[str](), (0x59, b"\x01"), Shows.NEITHER, None, b""),
    ],
)
def test_what_advertisements_tell(
    services: set[str], manufacturer: tuple[int, bytes] | None, shows: Shows, mode_index: int | None, token: bytes
):
    heard = Sighting(address="A", services=frozenset(services), manufacturer=manufacturer)
    company_id = None if manufacturer is None else manufacturer[0]
    assert seen_as(heard) == FoundDevice(
        address="A",
        name="",
        rssi_dbm=None,
        shows=shows,
        mode_index=mode_index,
        token=token,
        company_id=company_id,
    )


PUMP = read_policy(PUMP_FILE)


def near(**changes: Any) -> FoundDevice:
    told = {"name": "Pump 7", "company_id": 0xFFFF, "mode_index": 1, **changes}
    return FoundDevice(address="A", rssi_dbm=None, shows=Shows.MODE_SERVICE, token=b"", **told)


@pytest.mark.parametrize(
    ("changes", "mode"),
    [
        ({}, "active"),
        ({"mode_index": 3}, "maintenance"),
        ({"mode_index": 4}, None),
        ({"mode_index": None}, None),
        ({"name": "Pump 8"}, None),
        ({"name": ""}, None),
        ({"company_id": 0x59}, None),
        ({"company_id": None}, None),
    ],
)
def test_a_mode_has_a_name_only_by_the_policy_of_a_device_that_looks_like_it(changes: dict[str, Any], mode: str | None):
    assert near(**changes).mode_by(PUMP) == mode


@pytest.mark.parametrize(("count", "mode"), [(15, None), (16, "m15"), (17, None)])
def test_the_last_index_is_that_of_several_modes(count: int, mode: str | None):
    modes = {f"m{n}": PUMP.modes["normal"] for n in range(count)}
    assert near(mode_index=15).mode_by(replace(PUMP, modes=modes)) == mode


def test_each_device_once_as_heard_last_the_strongest_first():
    class Air(PeerAir):
        async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
            for n, rssi in (("1", -80), ("2", -60), ("3", -70), ("1", -40)):
                yield Sighting(address=n, services=frozenset({SMP_SERVICE} if n != "3" else set()), rssi_dbm=rssi)
            await asyncio.sleep(timeout_ms / 1000)

    async def story() -> None:
        found = await listen(Air(), 1000)
        assert [(near.address, near.rssi_dbm) for near in found] == [("1", -40), ("2", -60)]
        everything = await listen(Air(), 1000, everything=True)
        assert [near.address for near in everything] == ["1", "2", "3"]

    run(story())


def test_listening_connects_to_nobody():
    async def story() -> None:
        peers = [SmpPeer(OLD), SmpPeer(OLD, address="C0:00:00:00:00:02")]
        peers[1].mode = "maintenance"
        found = await listen(PeerAir(*peers), 1000)
        assert {near.address: near.shows for near in found} == {
            "C0:00:00:00:00:01": Shows.MODE_SERVICE,
            "C0:00:00:00:00:02": Shows.UPDATE_SERVICE,
        }
        assert [peer.served for peer in peers] == [0, 0]

    run(story())


def test_a_radio_that_hangs_is_bounded():
    class Dead(PeerAir):
        async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
            await asyncio.sleep(timeout_ms * 1000)
            yield Sighting(address="never")

    async def story() -> None:
        with pytest.raises(LinkLostError, match="within 6000 ms"):
            await listen(Dead(), 1000)

    run(story())
