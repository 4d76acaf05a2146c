import asyncio

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeer

from keyswitch.errors import LinkLostError
from keyswitch.host.client import Client
from keyswitch.host.reply import Answer
from keyswitch.link.udp import IPV4_ROOM, IPV6_ROOM, UdpLink


def test_requests_and_answers_over_a_real_socket():
    async def story() -> None:
        async with UdpPeer(SmpPeer(make_image())) as served:
            client = Client(await UdpLink.open("127.0.0.1", served.port))
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
        assert link.max_packet == IPV4_ROOM
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


def test_room_is_that_of_an_unfragmented_datagram():
    assert (IPV4_ROOM, IPV6_ROOM) == (1472, 1452)
