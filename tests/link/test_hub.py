"""HCI over TCP: foreign hosts attach, vanish, and send nonsense."""

import asyncio
import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.link.radios import ADDRESS, SMP, World

from keyswitch.errors import InputError, LinkLostError, RemoteError
from keyswitch.link.air import hub as hub_module
from keyswitch.link.air.hub import HciParser, Hub
from keyswitch.link.bumble.central import BumbleAdapter, Wishes
from keyswitch.link.bumble.radio import transport

RESET = bytes.fromhex("01030c00")
ACL = bytes.fromhex("0201000300abcdef")


@given(st.lists(st.sampled_from([RESET, ACL]), max_size=6), st.lists(st.integers(1, 9), max_size=40))
def test_packets_come_out_however_the_stream_is_cut(packets, cuts):
    stream, parser, out = b"".join(packets), HciParser(), []
    for size in [*cuts, len(stream), len(stream)]:
        parser.feed(stream[:size])
        taken = parser.take(2)
        assert len(taken) <= 2
        out += taken
        stream = stream[size:]
    assert out + parser.take(6) == packets


@pytest.mark.parametrize("first", [0, 3, 4, 5, 0xFF])
def test_what_hosts_do_not_send_is_no_hci(first):
    parser = HciParser()
    parser.feed(RESET + bytes((first,)))
    assert parser.take(2) is None


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
            assert await asyncio.wait_for(answers.get(), 60) == bytes(20)
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
                assert await asyncio.wait_for(reader.read(), 60) == b""
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
                answer = await asyncio.wait_for(reader.read(100), 60)
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


@contextlib.asynccontextmanager
async def raw_client(hub):
    """A socket that says what it is told to; what comes back is read and dropped."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.name.rpartition(":")[2]))

    async def drain():
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass

    reading = asyncio.ensure_future(drain())
    yield writer
    reading.cancel()
    writer.close()


UNKNOWN, ADVERTISE, SCAN = (bytes.fromhex(each) for each in ("01ffff00", "010a200101", "010c20020100"))


@pytest.mark.parametrize(
    "command", [RESET, UNKNOWN, ADVERTISE, SCAN, ACL], ids=["reset", "unknown", "adv", "scan", "acl"]
)
def test_clients_that_flood_get_one_bounded_turn_each_turn_of_the_loop(command, monkeypatch):
    taken, packets = [], hub_module.AirController.on_packet

    def counted(self, packet):
        taken.append(packet)
        return packets(self, packet)

    async def main():
        async with attached() as (_, hub), raw_client(hub) as one, raw_client(hub) as other:
            monkeypatch.setattr(hub_module.AirController, "on_packet", counted)
            for writer in (one, other):
                writer.write(command * 500)
            turns = []
            while sum(turns) < 1_000:
                before = len(taken)
                await asyncio.sleep(0)  # one turn of the loop
                turns.append(len(taken) - before)
            assert max(turns) == hub_module.PACKETS_A_TURN

    asyncio.run(asyncio.wait_for(main(), 120))


def test_others_are_served_while_a_client_floods(monkeypatch):
    asked, answered, packets = [0], [], hub_module.AirController.on_packet
    flooding = asyncio.Event()

    def counted(self, packet):
        if packet == UNKNOWN:
            asked[0] += 1
            flooding.set()
        return packets(self, packet)

    async def main():
        async with attached() as (world, hub), raw_client(hub) as flood:
            host = world.adapter()
            link = await host.connect(ADDRESS, 5_000)
            answers = asyncio.Queue()
            await link.subscribe(*SMP, answers.put_nowait)
            monkeypatch.setattr(hub_module.AirController, "on_packet", counted)
            flood.write(UNKNOWN * 20_000)
            await flooding.wait()
            for _ in range(5):
                await link.write(*SMP, b"ping")
                answered.append(await asyncio.wait_for(answers.get(), 60))
            assert asked[0] < 20_000, "the flood is not over yet"
            assert answered == [bytes(20)] * 5

    asyncio.run(main())


def create(interval, latency, supervision):
    """LE Create Connection to the device, with these parameters (Vol 4 Part E 7.8.12)."""
    peer = bytes.fromhex(ADDRESS.replace(":", ""))[::-1]
    numbers = [interval, interval, latency, supervision, 0, 0]
    body = bytes.fromhex("600060000001") + peer + b"\x00" + b"".join(n.to_bytes(2, "little") for n in numbers)
    return b"\x01\x0d\x20" + bytes([len(body)]) + body


@pytest.mark.parametrize(
    ("interval", "latency", "supervision", "status"),
    [
        (6, 0, 10, 0x00),
        (5, 0, 10, 0x12),
        (0, 0, 10, 0x12),
        (3200, 0, 801, 0x00),
        (3201, 0, 900, 0x12),
        (6, 500, 3200, 0x12),
        (6, 0, 9, 0x12),
        (6, 0, 3201, 0x12),
        (100, 3, 100, 0x12),
        (100, 3, 101, 0x00),
    ],
)
def test_a_connection_that_cannot_be_is_refused(interval, latency, supervision, status):
    async def main():
        async with attached() as (_, hub):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.name.rpartition(":")[2]))
            writer.write(create(interval, latency, supervision))
            answer = await asyncio.wait_for(reader.readexactly(7), 60)
            assert answer == bytes((4, 0x0F, 4, status, 1, 0x0D, 0x20))  # command status
            writer.close()

    asyncio.run(main())


def test_a_command_that_this_air_has_not_disturbs_no_advertiser():
    """LE Extended Create Connection (Vol 4 Part E 7.8.66) to the device: it would have to hear what it knows not of."""
    peer = bytes.fromhex(ADDRESS.replace(":", ""))[::-1]
    numbers = (0x60, 0x60, 6, 6, 0, 10, 0, 0)
    body = b"\x00\x00\x01" + peer + b"\x01" + b"".join(number.to_bytes(2, "little") for number in numbers)

    async def main():
        async with attached() as (_, hub), raw_client(hub) as writer:
            writer.write(b"\x01\x43\x20" + bytes([len(body)]) + body)
            await asyncio.sleep(0.3)
            adapter = fast(hub)
            assert (await adapter.connect(ADDRESS, 2_000)).closed is None
            await adapter.close()

    asyncio.run(main())


async def connected(reader):
    """The handle of the connection that comes."""
    while True:
        kind, event, size = await asyncio.wait_for(reader.readexactly(3), 60)
        body = await reader.readexactly(size)
        if (kind, event, body[0], body[1]) == (4, 0x3E, 1, 0):
            return body[2:4]


@pytest.mark.parametrize(
    ("packets", "size", "stays"), [(96, 251, True), (3_000, 1, False), (1, 252, False), (1, 0, True)]
)
def test_a_host_that_sends_more_than_its_buffers_is_dropped(packets, size, stays):
    async def main():
        async with attached() as (_, hub):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.name.rpartition(":")[2]))
            writer.write(create(3200, 0, 3200))
            handle = await connected(reader)
            writer.write((b"\x02" + handle + size.to_bytes(2, "little") + bytes(size)) * packets)
            for _ in range(1 if stays else 20):
                await asyncio.sleep(0.1)
                if not hub.attached:
                    break
            assert bool(hub.attached) is stays
            writer.close()

    asyncio.run(main())


def test_a_host_has_96_buffers_and_not_one_more():
    """Without a turn of the event loop in between: else the air may have taken some of the packets already."""

    async def main():
        async with attached() as (_, hub):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.name.rpartition(":")[2]))
            writer.write(create(3200, 0, 3200))
            packet = b"\x02" + await connected(reader) + b"\x01\x00\x00"
            (client,) = hub.attached
            for _ in range(96):
                client._controller.on_packet(packet)
            with pytest.raises(RemoteError, match="more than 96 data packets"):
                client._controller.on_packet(packet)
            writer.close()

    asyncio.run(main())


@pytest.mark.parametrize(("octets", "status"), [(0, 0x12), (26, 0x12), (27, 0x00), (251, 0x00), (252, 0x12)])
def test_a_data_length_that_cannot_be_is_refused(octets, status):
    async def main():
        async with attached() as (_, hub):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(hub.name.rpartition(":")[2]))
            writer.write(create(6, 0, 100))
            handle = await connected(reader)
            writer.write(b"\x01\x22\x20\x06" + handle + octets.to_bytes(2, "little") + b"\x48\x08")
            while (event := await asyncio.wait_for(reader.readexactly(3), 60))[1] != 0x0E:
                await reader.readexactly(event[2])
            assert (await reader.readexactly(event[2]))[3] == status
            writer.close()

    asyncio.run(main())
