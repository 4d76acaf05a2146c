"""The last answer before a connection is ended, and that nobody is waited for without end."""

import asyncio
from collections.abc import Iterable

import pytest

from keyswitch.device.server.output import OutgoingAnswer
from keyswitch.device.transport.disconnect import DELIVERED_WITHIN_MS, FLUSH_WITHIN_MS, disconnect
from keyswitch.device.transport.ports import TransportSink
from keyswitch.device.transport.sender import Sender, Upstream
from keyswitch.errors import LinkLostError
from keyswitch.gate.peer import Peer, Service
from keyswitch.link.air.clock import run
from keyswitch.terms import Transport

PEER = Peer(id=1, transport=Transport.BLE)


def now_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1000)


class Air:
    """A transport whose link takes each packet after a time, and whose peer has it after another."""

    def __init__(self, *, takes_ms: int = 0, arrives_ms: int = 0, gone: bool = False) -> None:
        self.takes_ms, self.arrives_ms, self.gone = takes_ms, arrives_ms, gone
        self.done: list[tuple[str, int]] = []

    async def start(self, arrivals: TransportSink) -> None: ...

    async def close(self) -> None: ...

    async def power_lost(self) -> None: ...

    def drop_partial(self) -> None: ...

    async def send(self, peer_id: int, door: Service, packet: bytes) -> None:
        await asyncio.sleep(self.takes_ms / 1000)
        if self.gone:
            raise LinkLostError("gone")
        self.done.append((packet.decode(), now_ms()))

    async def delivered(self, peer_id: int, within_ms: int) -> None:
        await asyncio.sleep(min(self.arrives_ms, within_ms) / 1000)
        self.done.append(("delivered", now_ms()))

    async def end(self, peer_id: int) -> None:
        self.done.append(("ended", now_ms()))


def ended(air: Air, answers: Iterable[bytes], *, after_answers: bool) -> list[tuple[str, int]]:
    async def story() -> None:
        sender = Sender(PEER, air, Upstream(room=8, hold=lambda _peer, _held: None, failed=pytest.fail))
        for packet in answers:
            sender.put(OutgoingAnswer(PEER.id, packet, Service.MODE))
        await disconnect(sender, after_answers=after_answers)
        sender.task.cancel()

    run(story())
    return air.done


def test_the_last_answer_has_arrived_before_the_connection_ends() -> None:
    done = ended(Air(takes_ms=30, arrives_ms=100), [b"one", b"two"], after_answers=True)
    assert done == [("one", 30), ("two", 60), ("delivered", 160), ("ended", 160)]


def test_where_no_answer_is_owed_the_connection_ends_at_once() -> None:
    assert ended(Air(takes_ms=30), [b"one"], after_answers=False) == [("ended", 0)]


@pytest.mark.parametrize("beyond_ms", [-1, 1])
def test_a_link_that_takes_nothing_is_waited_for_within_a_bound(beyond_ms: int) -> None:
    done = ended(Air(takes_ms=FLUSH_WITHIN_MS + beyond_ms), [b"one"], after_answers=True)
    if beyond_ms < 0:
        taken_ms = FLUSH_WITHIN_MS - 1
        assert done == [("one", taken_ms), ("delivered", taken_ms), ("ended", taken_ms)]
    else:
        assert done == [("ended", FLUSH_WITHIN_MS)]  # and no second wait for who did not read in the first


def test_an_answer_that_does_not_arrive_is_waited_for_within_a_bound() -> None:
    done = ended(Air(arrives_ms=3_600_000), [b"one"], after_answers=True)
    assert done[-1] == ("ended", DELIVERED_WITHIN_MS)


def test_a_peer_that_has_gone_keeps_nobody_waiting() -> None:
    assert ended(Air(gone=True), [b"one"], after_answers=True) == [("delivered", 0), ("ended", 0)]
