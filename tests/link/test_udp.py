import asyncio
import socket

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeer

from keyswitch.errors import LinkLostError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer
from keyswitch.link.udp import UdpLink, _room


def test_requests_and_answers_over_a_real_socket():
    async def story() -> None:
        async with UdpPeer(SmpPeer(make_image())) as served:
            client = SmpClient(await UdpLink.open("127.0.0.1", served.port))
            replies = await asyncio.gather(*(client.write(0, 0, {"d": f"{n}"}) for n in range(3)))
            assert [reply.values["r"] for reply in replies if isinstance(reply, Answer)] == ["0", "1", "2"]
            await client.close()

    asyncio.run(story())


def test_a_refused_port_is_no_lost_link():
    async def story() -> None:
        async with UdpPeer(SmpPeer(make_image())) as served:
            port = served.port
        link = await UdpLink.open("127.0.0.1", port)
        for _ in range(3):
            await link.send(b"nobody")
            await asyncio.sleep(0.01)
        assert link.closed is None
        await link.close()

    asyncio.run(story())


def test_closing_is_told_once_and_ends_sending():
    async def story() -> None:
        link = await UdpLink.open("127.0.0.1", 9)
        told: list[str] = []
        link.on_closed(told.append)
        assert link.max_packet is not None
        assert link.max_packet >= 1472
        await link.close()
        await link.close()
        await asyncio.sleep(0)
        assert told == ["closed by us"]
        assert link.closed == "closed by us"
        with pytest.raises(LinkLostError, match="closed by us"):
            await link.send(b"late")

    asyncio.run(story())


def test_a_host_that_nobody_knows():
    async def story() -> None:
        with pytest.raises(LinkLostError, match=r"udp:no\.such\.host\.invalid"):
            await UdpLink.open("no.such.host.invalid", 1337)

    asyncio.run(story())


@pytest.mark.parametrize(("mtu", "room"), [(1500, 1472), (1280, 1252), (65_536, 65_507), (OSError(), 1472)])
def test_room_is_that_of_a_datagram_that_is_not_fragmented(
    mtu: int | OSError, room: int, monkeypatch: pytest.MonkeyPatch
):
    class Connected:
        family = socket.AF_INET

        def getsockopt(self, _level: int, _option: int) -> int:
            if isinstance(mtu, OSError):
                raise mtu
            return mtu

    monkeypatch.setattr("keyswitch.link.udp.sys.platform", "linux")
    assert _room(Connected()) == room


def test_elsewhere_ethernet_is_assumed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("keyswitch.link.udp.sys.platform", "win32")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as unconnected:
        assert _room(unconnected) == 1452
