"""Who is there, over all transports: what each peer tells the device, and its answers on their way back.

Rules:

* The server hears of a peer before anybody else does: whatever becomes of a report, the peer is served.
* Answers are sent by one task for each peer: a peer that does not read holds up its own requests and nobody else's.
* What could not even be queued is answered past the device's worker: a flood would keep it from executing anything.
"""

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

from keyswitch.device.events import LiveEvent, PeerConnected, PeerDisconnected
from keyswitch.device.runtime.presenter import PasskeyDisplay
from keyswitch.device.server.output import OutgoingAnswer, Output
from keyswitch.device.server.server import Server
from keyswitch.device.transport.ports import DeviceTransport
from keyswitch.device.transport.sender import Sender, Upstream
from keyswitch.gate.peer import Peer
from keyswitch.smp.framing import Received
from keyswitch.terms import Transport


class Inside(Protocol):
    """The device that the peers come to (`device.runtime.runtime.Runtime`)."""

    @property
    def server(self) -> Server:
        """What decides."""
        ...

    def now_ms(self) -> int:
        """The device's time in milliseconds."""
        ...

    def ask(self, call: Callable[[], Output]) -> Output:
        """Tell the server something; if it fails at it, the device stops."""
        ...

    def take(self, output: Output) -> None:
        """Carry this out after all that came before."""
        ...

    def wake(self) -> None:
        """There may be something to execute."""
        ...

    def report(self, event: LiveEvent) -> None:
        """Say what has happened."""
        ...

    def broken(self, error: BaseException) -> None:
        """The device stops with this error."""
        ...

    def lost(self, transport: Transport, error: BaseException) -> None:
        """One transport is gone; the device stops if it was the last."""
        ...


class Peers:
    """All peers; what transports talk to (`device.transport.ports.Arrivals`).

    Args:
        inside: the device.
        carriers: the transports, by name.
        answer_room: answers that may wait for one peer before its next request does.
        display: where passkeys are shown.
    """

    def __init__(
        self,
        inside: Inside,
        carriers: Mapping[Transport, DeviceTransport],
        *,
        answer_room: int,
        display: PasskeyDisplay,
    ) -> None:
        self._inside = inside
        self._carriers = carriers
        self._display = display
        self._upstream = Upstream(room=answer_room, hold=self._hold, failed=inside.broken)
        self._ids = itertools.count(1)
        self._senders: dict[int, Sender] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._waiting_for_room: dict[int, Callable[[], None]] = {}

    # --- what transports tell (device.doors.Arrivals) ---

    def new_peer_id(self) -> int:
        """A number that was never given before."""
        return next(self._ids)

    def now_ms(self) -> int:
        """The device's time in milliseconds."""
        return self._inside.now_ms()

    def peer_came(self, peer: Peer) -> None:
        """A peer is there, or has another security now."""
        inside = self._inside
        self._display.peer_came(peer)
        if peer.id in self._senders:
            inside.server.peer_changed(peer)
            return
        self._senders[peer.id] = Sender(peer, self._carriers[peer.transport], self._upstream)
        inside.take(inside.ask(lambda: inside.server.peer_connected(peer, inside.now_ms())))
        inside.report(PeerConnected(transport=peer.transport, peer=peer.id))

    def peer_went(self, peer_id: int) -> None:
        """A peer has gone."""
        inside = self._inside
        sender = self._senders.pop(peer_id, None)
        if sender is None:
            return
        sender.task.cancel()
        self._display.peer_went(peer_id)
        inside.take(inside.ask(lambda: inside.server.peer_gone(peer_id, inside.now_ms())))
        inside.report(PeerDisconnected(transport=sender.peer.transport, peer=peer_id))

    def received(self, peer: Peer, received: Received) -> None:
        """Queue what arrived; what is too large is answered."""
        if peer.id not in self._senders:
            return
        server, now_ms = self._inside.server, self._inside.now_ms()
        for packet in received.packets:
            self._answer(partial(server.receive, peer.id, packet, now_ms, door=peer.door))
        for dropped in received.dropped:
            if dropped.header:
                self._answer(partial(server.too_large, peer.id, dropped.header, door=peer.door))
        self._inside.wake()

    def dropped(self, peer: Peer, packets: Iterable[bytes]) -> None:
        """Answer packets that a carrier had held back and that the gate has dropped."""
        for packet in packets:
            self._answer(partial(self._inside.server.drop, peer.id, packet, door=peer.door))

    def broken(self, error: BaseException) -> None:
        """A transport works no longer, and the device without it would be another one: it stops."""
        self._inside.broken(error)

    def lost(self, transport: Transport, error: BaseException) -> None:
        """A transport is gone; the device goes on with the others."""
        self._inside.lost(transport, error)

    def room(self, peer_id: int) -> int:
        """How many packets this peer may send now; a carrier whose link can wait makes it wait at 0."""
        return self._inside.server.room(peer_id)

    def owns(self, peer_id: int) -> bool:
        """Whether the session or the running upload is this peer's."""
        return self._inside.server.owns(peer_id)

    def when_room(self, peer_id: int, then: Callable[[], None]) -> None:
        """Call `then` once this peer may send again, or has gone."""
        self._waiting_for_room[peer_id] = then
        self._inside.wake()

    # --- what the device wants ---

    def answer(self, answers: Iterable[OutgoingAnswer]) -> None:
        """Hand answers to their peers' senders; those of peers that have gone are dropped."""
        for answer in answers:
            sender = self._senders.get(answer.peer)
            if sender is not None:
                sender.put(answer)

    def tell_room(self) -> None:
        """Let those send on for whom there is room again."""
        for peer_id in [each for each in self._waiting_for_room if self.room(each)]:
            self._waiting_for_room.pop(peer_id)()

    def end(self, peer_id: int, *, after_answers: bool) -> None:
        """End a peer's connection in the background, with `after_answers` once it has its answers (bounded)."""
        sender = self._senders.get(peer_id)
        if sender is None:
            return
        ending = sender.end(after_answers=after_answers)
        task = asyncio.get_running_loop().create_task(ending, name=f"end {peer_id}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def end_all(self) -> None:
        """Let everybody have its answers and end every connection, all at the same time, each within its bound.

        Who comes meanwhile is told as well, once: a flood of comers holds up no reset.
        """
        there = list(self._senders.values())
        await asyncio.gather(*(sender.end(after_answers=True) for sender in there))
        late = [sender for sender in self._senders.values() if sender not in there]
        await asyncio.gather(*(sender.end(after_answers=False) for sender in late))

    async def forget(self) -> None:
        """Nobody is there any more, and nobody is told."""
        tasks = [sender.task for sender in self._senders.values()] + list(self._ending)
        self._senders.clear()
        self._waiting_for_room.clear()
        self._display.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answer(self, call: Callable[[], Output]) -> None:
        self.answer(self._inside.ask(call).answers)

    def _hold(self, peer_id: int, held: bool) -> None:  # noqa: FBT001 - `Upstream.hold`
        self._inside.server.hold(peer_id, held=held)
        if not held:
            self._inside.wake()
