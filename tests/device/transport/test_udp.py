"""The device's UDP carrier over real sockets: who is a peer, who is forgotten, who is answered."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from tests.device.transport.sink import Heard

from keyswitch.device.transport.udp import (
    CONVERSING_MS,
    MAX_PEERS,
    MAX_PEERS_OF_AN_ADDRESS,
    PLACE_MS,
    READ_MOST,
    SILENT_MS,
    UdpTransport,
)
from keyswitch.errors import InputError, LinkLostError
from keyswitch.gate.peer import Service
from keyswitch.smp.framing.udp import MAX_DATAGRAM
from keyswitch.terms import Transport

ECHO = bytes.fromhex("0a00000600004200a16164626869")


class Client(asyncio.DatagramProtocol):
    """One socket."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.put_nowait(data)

    @classmethod
    async def open(cls, carrier: UdpTransport) -> tuple[asyncio.DatagramTransport, "Client"]:
        host, port = carrier.name.rsplit(":", 1)
        return await asyncio.get_running_loop().create_datagram_endpoint(cls, remote_addr=(host, int(port)))


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def started() -> tuple[UdpTransport, Heard]:
    carrier, heard = UdpTransport("127.0.0.1", 0, max_packet=64), Heard()
    await carrier.start(heard)
    return carrier, heard


def test_a_datagram_is_a_packet_and_its_sender_is_answered() -> None:
    async def story() -> None:
        carrier, heard = await started()
        transport, client = await Client.open(carrier)
        transport.sendto(ECHO)
        await heard.next()
        assert heard.packets == [(1, ECHO)]
        assert [(peer.id, peer.transport) for peer in heard.came] == [(1, Transport.UDP)]
        await carrier.send(1, Service.SMP, b"answer")
        assert await asyncio.wait_for(client.answers.get(), 60) == b"answer"
        transport.close()
        await carrier.close()

    run(story())


@pytest.mark.parametrize(("data", "reason"), [(b"\x0a" * 7, "datagram of 7 bytes"), (b"\x0a" * 65, "larger")])
def test_what_is_no_packet_is_dropped(data: bytes, reason: str) -> None:
    async def story() -> None:
        carrier, heard = await started()
        transport, _ = await Client.open(carrier)
        transport.sendto(data)
        await heard.next()
        assert heard.packets == []
        assert reason in heard.dropped[0][1]
        transport.close()
        await carrier.close()

    run(story())


async def ask(carrier: UdpTransport, heard: Heard, host: str, port: int = 1, *, answered: bool = True) -> bool:
    """One request from there, and its answer; whether the sender was heard."""
    before = len(heard.packets)
    carrier.datagram_received(ECHO, (host, port))
    if len(heard.packets) == before:
        return False
    if answered:
        await carrier.send(heard.packets[-1][0], Service.SMP, b"answer")
    return True


async def flood(carrier: UdpTransport, heard: Heard) -> None:
    """One answered request from each of many ports of two hosts."""
    for number in range(10 * MAX_PEERS):
        await ask(carrier, heard, f"192.0.2.{100 + number % 2}", 1000 + number)
    assert len(carrier._by_peer) == len(carrier._by_address) == MAX_PEERS


def test_the_peer_that_was_silent_longest_makes_room() -> None:
    async def story() -> None:
        carrier, heard = await started()
        for number in range(MAX_PEERS + 1):
            heard.time_ms += PLACE_MS
            await ask(carrier, heard, f"192.0.2.{number}")
        assert heard.went == [1]
        with pytest.raises(LinkLostError):
            await carrier.send(1, Service.SMP, b"answer")
        await carrier.close()

    run(story())


@pytest.mark.parametrize(("silent_ms", "heard_still"), [(CONVERSING_MS, True), (CONVERSING_MS + 1, False)])
def test_a_flood_of_addresses_cuts_no_conversation_off(silent_ms: int, heard_still: bool) -> None:
    async def story() -> None:
        carrier, heard = await started()
        for _ in range(2):
            await ask(carrier, heard, "192.0.2.1")
        heard.time_ms = silent_ms
        await flood(carrier, heard)
        assert (1 not in heard.went) is heard_still
        await carrier.close()

    run(story())


def test_who_waits_for_an_answer_is_not_forgotten_nor_just_after_it() -> None:
    """An erase takes seconds, and what is known of it then is its answer."""

    async def story() -> None:
        carrier, heard = await started()
        await ask(carrier, heard, "192.0.2.1")
        await ask(carrier, heard, "192.0.2.1", answered=False)
        heard.time_ms = 2 * CONVERSING_MS
        await flood(carrier, heard)
        await carrier.send(1, Service.SMP, b"erased")
        heard.time_ms += CONVERSING_MS
        await flood(carrier, heard)
        assert 1 not in heard.went
        await carrier.close()

    run(story())


def test_who_asked_once_is_there_until_it_is_answered() -> None:
    async def story() -> None:
        carrier, heard = await started()
        await ask(carrier, heard, "192.0.2.1", answered=False)
        await flood(carrier, heard)
        assert 1 not in heard.went
        await carrier.send(1, Service.SMP, b"answer")
        heard.time_ms += PLACE_MS
        await flood(carrier, heard)
        assert 1 in heard.went
        await carrier.close()

    run(story())


def test_the_owner_of_the_session_or_upload_is_not_forgotten_however_long_it_is_silent() -> None:
    async def story() -> None:
        carrier, heard = await started()
        await ask(carrier, heard, "192.0.2.1")
        heard.owners = {1}
        heard.time_ms = 10 * SILENT_MS
        await flood(carrier, heard)
        assert 1 not in heard.went
        heard.owners.clear()
        await flood(carrier, heard)
        assert 1 in heard.went
        await carrier.close()

    run(story())


def test_the_sockets_of_one_host_keep_no_other_host_out() -> None:
    async def story() -> None:
        carrier, heard = await started()
        for number in range(2 * MAX_PEERS):
            await ask(carrier, heard, "192.0.2.1", 1000 + number // 2)
        assert (len(heard.came), heard.went) == (MAX_PEERS_OF_AN_ADDRESS, [])
        for number in range(2, 7):
            heard.time_ms += PLACE_MS
            assert await ask(carrier, heard, f"192.0.2.{number}")
        assert heard.went == [MAX_PEERS_OF_AN_ADDRESS + 1], "of the others, the one that was silent longest"
        await carrier.close()

    run(story())


def test_at_its_limit_a_host_makes_room_for_itself() -> None:
    async def story() -> None:
        carrier, heard = await started()
        await ask(carrier, heard, "192.0.2.2")
        for number in range(MAX_PEERS_OF_AN_ADDRESS + 1):
            heard.time_ms += PLACE_MS
            await ask(carrier, heard, "192.0.2.1", 1000 + number)
        assert heard.went == [2]
        await carrier.close()

    run(story())


@pytest.mark.parametrize(("silent_ms", "hosts"), [(PLACE_MS - 1, 1), (PLACE_MS, 1), (PLACE_MS - 1, 2), (PLACE_MS, 2)])
def test_ever_new_ports_cost_no_more_peers_than_a_place_each_for_a_while(silent_ms: int, hosts: int) -> None:
    async def story() -> None:
        carrier, heard = await started()
        for number in range(10 * MAX_PEERS):
            await ask(carrier, heard, f"192.0.2.{number % hosts}", 1000 + number)
        places = MAX_PEERS if hosts > 1 else MAX_PEERS_OF_AN_ADDRESS
        assert (len(heard.came), heard.went) == (places, [])
        heard.time_ms = silent_ms
        again = await ask(carrier, heard, "192.0.2.0", 9999)
        assert (again, heard.went) == ((True, [1]) if silent_ms == PLACE_MS else (False, []))
        await carrier.close()

    run(story())


def test_among_conversations_alone_nobody_new_is_heard() -> None:
    async def story() -> None:
        carrier, heard = await started()
        for number in range(2 * MAX_PEERS):
            await ask(carrier, heard, f"192.0.2.{number % MAX_PEERS}")
        assert not await ask(carrier, heard, "192.0.2.99")
        assert (len(heard.came), heard.went) == (MAX_PEERS, [])
        heard.time_ms = CONVERSING_MS + 1
        assert await ask(carrier, heard, "192.0.2.99")
        assert heard.went == [1]
        await carrier.close()

    run(story())


@pytest.mark.parametrize("size", [64, MAX_DATAGRAM])
def test_what_is_read_at_once_is_the_whole_datagram(size: int) -> None:
    async def story() -> None:
        carrier, heard = UdpTransport("127.0.0.1", 0, max_packet=MAX_DATAGRAM), Heard()
        await carrier.start(heard)
        assert carrier._socket.max_size == READ_MOST
        transport, _ = await Client.open(carrier)
        transport.sendto(ECHO.ljust(size, b"x"))
        await heard.next()
        assert [len(packet) for _, packet in heard.packets] == [size]
        transport.close()
        await carrier.close()

    run(story())


@pytest.mark.parametrize(("silent_ms", "forgotten"), [(SILENT_MS, []), (SILENT_MS + 1, [1])])
@pytest.mark.parametrize("answered", [False, True])
def test_a_silent_peer_is_forgotten_when_somebody_new_comes(
    silent_ms: int,
    forgotten: list[int],
    answered: bool,
) -> None:
    async def story() -> None:
        carrier, heard = await started()
        await ask(carrier, heard, "192.0.2.1", answered=answered)
        heard.time_ms = silent_ms
        await ask(carrier, heard, "192.0.2.2")
        assert heard.went == forgotten
        await carrier.close()

    run(story())


def test_after_a_power_cut_the_same_address_is_another_peer() -> None:
    async def story() -> None:
        carrier, heard = await started()
        carrier.datagram_received(ECHO, ("192.0.2.1", 1))
        await carrier.power_lost()
        carrier.datagram_received(ECHO, ("192.0.2.1", 1))
        assert [peer.id for peer in heard.came] == [1]
        await carrier.start(heard)
        carrier.datagram_received(ECHO, ("192.0.2.1", 1))
        assert [peer.id for peer in heard.came] == [1, 2]
        await carrier.close()

    run(story())


def test_a_taken_port_is_one_clear_line() -> None:
    async def story() -> None:
        carrier, _ = await started()
        port = int(carrier.name.rsplit(":", 1)[1])
        with pytest.raises(InputError, match=f"^udp 127.0.0.1:{port}"):
            await UdpTransport("127.0.0.1", port, max_packet=64).bind()
        await carrier.close()

    run(story())
