"""HCI over TCP: foreign hosts attach, vanish, and send nonsense."""

import asyncio
import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.link.radios import ADDRESS, SMP, World

from keyswitch.errors import InputError, LinkLostError
from keyswitch.link.air import hub as hub_module
from keyswitch.link.air.hub import HciParser, Hub
from keyswitch.link.bumble.central import BumbleAdapter, Wishes
from keyswitch.link.bumble.radio import transport

RESET = bytes.fromhex("01030c00")
ACL = bytes.fromhex("0201000300abcdef")


@given(st.lists(st.sampled_from([RESET, ACL]), max_size=6), st.lists(st.integers(1, 9), max_size=40))
def test_packets_come_out_however_the_stream_is_cut(packets, cuts):
    stream, parser, out = b"".join(packets), HciParser(), []
    for size in [*cuts, len(stream)]:
        out += parser.feed(stream[:size])
        stream = stream[size:]
    out += parser.feed(stream)
    assert out == packets


@pytest.mark.parametrize("first", [0, 3, 4, 5, 0xFF])
def test_what_hosts_do_not_send_is_no_hci(first):
    assert HciParser().feed(RESET + bytes((first,))) is None


@contextlib.asynccontextmanager
async def attached():
    async with World("interval_ms=7.5,phy=2M,dle=251", size=4) as world:
        hub = Hub(world.air)
        await hub.start()
        yield world, hub
        await hub.close()


def fast(hub):
    return BumbleAdapter(transport(hub.name), wishes=Wishes(supervision=20))


def test_another_process_attaches_and_is_answered():
    async def main():
        async with attached() as (_, hub):
            adapter = fast(hub)
            link = await adapter.connect(ADDRESS, 5_000)
            answers = asyncio.Queue()
            await link.subscribe(*SMP, answers.put_nowait)
            await link.write(*SMP, b"ping")
            assert await asyncio.wait_for(answers.get(), 5) == bytes(20)
            await adapter.close()

    asyncio.run(main())


def test_a_socket_that_ends_is_a_radio_without_power():
    async def main():
        async with attached() as (world, hub):
            adapter = fast(hub)
            await adapter.connect(ADDRESS, 5_000)
            members = len(world.air._members)
            await adapter._radio.hci.close()
            await asyncio.sleep(0.05)
            assert len(world.air._members) == members - 1
            assert world.device.words()[-1] == "connected"  # not told ...
            await asyncio.sleep(0.35)
            assert "supervision" in world.device.seen[-1][2]  # ... but it notices within the timeout
            assert (await fast(hub).connect(ADDRESS, 5_000)).closed is None

    asyncio.run(main())


def test_a_hub_that_ends_is_a_controller_that_is_gone():
    async def main():
        async with attached() as (_, hub):
            link = await fast(hub).connect(ADDRESS, 5_000)
            await hub.close()
            assert await link.wait_closed(2_000) == "the controller is gone"
            with pytest.raises(LinkLostError):
                await link.write(*SMP, b"x")

    asyncio.run(main())


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"\x04\x0e\x04\x01\x03\x0c\x00", b"\xff" * 100])
def test_nonsense_ends_the_socket_and_nothing_else(junk):
    async def main():
        async with attached() as (world, hub):
            good = fast(hub)
            link = await good.connect(ADDRESS, 5_000)
            reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.name.rpartition(":")[2]))
            writer.write(junk)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
            await link.subscribe(*SMP, lambda _: None)
            assert world.device.words()[-1] == "subscribed"
            await good.close()

    asyncio.run(main())


def test_commands_without_sense_are_answered_or_end_the_socket():
    async def main():
        async with attached() as (world, hub):
            for command in ("0120200101", "01ff0300", "01060403000013", "0113200100"):
                reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.name.rpartition(":")[2]))
                writer.write(RESET + bytes.fromhex(command) + RESET)
                answer = await asyncio.wait_for(reader.read(100), 5)
                assert answer == b"" or answer.startswith(bytes.fromhex("040e0401030c00"))
                writer.close()
                await writer.wait_closed()
            await asyncio.sleep(0.05)
            assert world.device.words() == []
            assert not hub.attached

    asyncio.run(main())


def test_a_client_that_does_not_read_is_dropped(monkeypatch):
    monkeypatch.setattr(hub_module, "UNREAD", 20_000)

    async def main():
        async with attached() as (world, hub):
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                client.connect(("127.0.0.1", int(hub.name.rpartition(":")[2])))
                await asyncio.sleep(0.05)
                (end,) = hub.attached
                end._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
                members = len(world.air._members)
                client.setblocking(False)
                for _ in range(50):
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        client.send(RESET * 200)
                    await asyncio.sleep(0.01)
                    if not hub.attached:
                        break
                assert len(world.air._members) == members - 1

    asyncio.run(main())


def test_a_port_that_is_taken_is_one_line():
    async def main():
        async with attached() as (world, hub):
            port = int(hub.name.rpartition(":")[2])
            with pytest.raises(InputError, match=f"port {port}: .*in use"):
                await Hub(world.air).start(port)

    asyncio.run(main())
