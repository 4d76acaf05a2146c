"""The device's UDP carrier over real sockets: who is a peer, who is forgotten, who is answered."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from tests.device.arrivals import Heard

from keyswitch.device.udp import CONVERSING_MS, MAX_PEERS, SILENT_MS, UdpCarrier
from keyswitch.errors import InputError, LinkLostError
from keyswitch.gate.peer import Door
from keyswitch.terms import Transport

ECHO = bytes.fromhex("0a00000600004200a16164626869")


class Client(asyncio.DatagramProtocol):
    """One socket."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answers.put_nowait(data)

    @classmethod
    async def open(cls, carrier: UdpCarrier) -> tuple[asyncio.DatagramTransport, "Client"]:
        host, port = carrier.name.rsplit(":", 1)
        return await asyncio.get_running_loop().create_datagram_endpoint(cls, remote_addr=(host, int(port)))


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(story)


async def started() -> tuple[UdpCarrier, Heard]:
    carrier, heard = UdpCarrier("127.0.0.1", 0, max_packet=64), Heard()
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
        await carrier.send(1, Door.SMP, b"answer")
        assert await asyncio.wait_for(client.answers.get(), 5) == b"answer"
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


def test_the_peer_that_was_silent_longest_makes_room() -> None:
    async def story() -> None:
        carrier, heard = await started()
        for number in range(MAX_PEERS + 1):
            heard.time_ms = number
            carrier.datagram_received(ECHO, ("192.0.2.1", 1000 + number))
        assert heard.went == [1]
        with pytest.raises(LinkLostError):
            await carrier.send(1, Door.SMP, b"answer")
        await carrier.close()

    run(story())


@pytest.mark.parametrize(("silent_ms", "heard_still"), [(CONVERSING_MS, True), (CONVERSING_MS + 1, False)])
def test_a_flood_of_addresses_cuts_no_conversation_off(silent_ms: int, heard_still: bool) -> None:  # noqa: FBT001
    async def story() -> None:
        carrier, heard = await started()
        for _ in range(2):
            carrier.datagram_received(ECHO, ("192.0.2.1", 1))
        heard.time_ms = silent_ms
        for number in range(10 * MAX_PEERS):
            carrier.datagram_received(ECHO, ("192.0.2.2", 1000 + number))
        assert (1 not in heard.went) is heard_still
        assert len(carrier._by_peer) == len(carrier._by_address) == MAX_PEERS
        await carrier.close()

    run(story())


def test_among_conversations_alone_nobody_new_is_heard() -> None:
    async def story() -> None:
        carrier, heard = await started()
        for number in range(2 * MAX_PEERS):
            carrier.datagram_received(ECHO, ("192.0.2.1", 1000 + number % MAX_PEERS))
        carrier.datagram_received(ECHO, ("192.0.2.2", 1))
        assert (len(heard.came), heard.went) == (MAX_PEERS, [])
        heard.time_ms = CONVERSING_MS + 1
        carrier.datagram_received(ECHO, ("192.0.2.2", 1))
        assert heard.went == [1]
        await carrier.close()

    run(story())


@pytest.mark.parametrize(("silent_ms", "forgotten"), [(SILENT_MS, []), (SILENT_MS + 1, [1])])
def test_a_silent_peer_is_forgotten_when_somebody_new_comes(silent_ms: int, forgotten: list[int]) -> None:
    async def story() -> None:
        carrier, heard = await started()
        carrier.datagram_received(ECHO, ("192.0.2.1", 1))
        heard.time_ms = silent_ms
        carrier.datagram_received(ECHO, ("192.0.2.2", 1))
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
        with pytest.raises(InputError, match=f"--udp 127.0.0.1:{port}"):
            await UdpCarrier("127.0.0.1", port, max_packet=64).bind()
        await carrier.close()

    run(story())
