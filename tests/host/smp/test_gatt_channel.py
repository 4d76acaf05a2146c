import asyncio

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import CONTROL, MODE_SERVICE, SMP_SERVICE, Faults, PeerGattLink, SmpPeer

from keyswitch.errors import LinkLostError
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.gatt_channel import GattChannel
from keyswitch.host.smp.reply import Answer
from keyswitch.link.air.clock import run

SMP_CHARACTERISTIC = "da2e7828-fbce-4e01-ae9e-260174997c48"


def link_to(peer: SmpPeer) -> PeerGattLink:
    return PeerGattLink(peer, Faults())


async def channel_to(link: PeerGattLink) -> GattChannel:
    return await GattChannel.open(link, SMP_SERVICE, SMP_CHARACTERISTIC)


def test_packets_larger_than_a_write_go_in_pieces_and_come_back_whole():
    async def story() -> None:
        client = SmpClient(await channel_to(link_to(SmpPeer(make_image(), gated=False))))
        text = "x" * 2000
        assert await client.write(0, 0, {"d": text}) == Answer(values={"r": text})

    run(story())


def test_pieces_of_several_packets_are_never_mixed():
    async def story() -> None:
        link = link_to(SmpPeer(make_image(), gated=False))
        channel = await channel_to(link)
        written: list[bytes] = []
        write = link.write

        async def slowly(service: str, characteristic: str, data: bytes) -> None:
            written.append(data)
            await asyncio.sleep(0.01)
            await write(service, characteristic, data)

        link.write = slowly
        client = SmpClient(channel)
        told = await asyncio.gather(*(client.write(0, 0, {"d": f"{n}" * 600}) for n in range(3)))
        assert [reply.values["r"] for reply in told if isinstance(reply, Answer)] == [f"{n}" * 600 for n in range(3)]
        assert [len(piece) for piece in written] == [244, 244, 126] * 3

    run(story())


def test_a_packet_left_half_sent_ends_the_link():
    async def story() -> None:
        link = link_to(SmpPeer(make_image(), gated=False))
        channel = await channel_to(link)
        ended: list[str] = []
        channel.on_closed(ended.append)

        async def stuck(service: str, characteristic: str, data: bytes) -> None:
            del service, characteristic, data
            if stuck_after.pop():
                await asyncio.sleep(3600)

        stuck_after = [True, False]
        link.write = stuck
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await channel.send(b"\x08" + b"x" * 500)
        assert ended == ["a packet was left half sent"]
        assert channel.closed == "a packet was left half sent"
        with pytest.raises(LinkLostError, match="half sent"):
            await channel.send(b"next")

    run(story())


def test_a_packet_not_begun_leaves_the_link_usable():
    async def story() -> None:
        link = link_to(SmpPeer(make_image(), gated=False))
        channel = await channel_to(link)
        write = link.write

        async def stuck(service: str, characteristic: str, data: bytes) -> None:
            del service, characteristic, data
            await asyncio.sleep(3600)

        link.write = stuck
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await channel.send(b"\x08" + b"x" * 500)
        link.write = write
        assert isinstance(await SmpClient(channel).write(0, 0), Answer)

    run(story())


@pytest.mark.parametrize("by", ["us", "peer"])
def test_the_end_is_told_once(by: str):
    async def story() -> None:
        link = link_to(SmpPeer(make_image(), gated=False))
        channel = await channel_to(link)
        ended: list[str] = []
        channel.on_closed(ended.append)
        if by == "us":
            await channel.close()
        else:
            link.lost("supervision timeout")
        await asyncio.sleep(0.1)
        assert ended == ["closed by us" if by == "us" else "supervision timeout"]

    run(story())


def test_the_control_characteristic_is_a_channel_too():
    async def story() -> None:
        link = link_to(SmpPeer(make_image()))
        client = SmpClient(await GattChannel.open(link, MODE_SERVICE, CONTROL))
        reply = await client.read(19283, 0)
        assert isinstance(reply, Answer)
        assert reply.values["mode"] == "normal"
        assert str(await client.read(1, 0)) == "not on this service"

    run(story())


def test_a_link_that_refuses_leaves_no_task_behind():
    async def story() -> None:
        link = link_to(SmpPeer(make_image()))
        with pytest.raises(Exception, match="no service"):
            await channel_to(link)
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1

    run(story())
