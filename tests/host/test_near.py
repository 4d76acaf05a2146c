import asyncio
from collections.abc import AsyncGenerator

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import MODE_SERVICE, SMP_SERVICE, PeerAir, SmpPeer

from keyswitch.errors import LinkLostError
from keyswitch.host.near import Near, listen, seen_as
from keyswitch.host.verdict import Gate
from keyswitch.link.air.clock import run
from keyswitch.link.ports import Sighting

OLD = make_image()


@pytest.mark.parametrize(
    ("services", "manufacturer", "gate", "mode_index", "token"),
    [
        ({SMP_SERVICE}, (0xFFFF, b"\x13abcd"), Gate.OPEN, 3, b"abcd"),
        ({MODE_SERVICE}, (0xFFFF, b"\x10abcd"), Gate.SHUT, 0, b"abcd"),
        ({SMP_SERVICE}, None, Gate.OPEN, None, b""),
        (set[str](), (0x59, b"\x01"), Gate.UNKNOWN, None, b""),
    ],
)
def test_what_advertisements_tell(
    services: set[str], manufacturer: tuple[int, bytes] | None, gate: Gate, mode_index: int | None, token: bytes
):
    heard = Sighting(address="A", services=frozenset(services), manufacturer=manufacturer)
    assert seen_as(heard) == Near(address="A", name="", rssi_dbm=None, gate=gate, mode_index=mode_index, token=token)


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
        assert {near.address: near.gate for near in found} == {
            "C0:00:00:00:00:01": Gate.SHUT,
            "C0:00:00:00:00:02": Gate.OPEN,
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
