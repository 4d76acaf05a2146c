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

from keyswitch.device.events import PeerConnected, PeerDisconnected
from keyswitch.device.runtime.passkey import PasskeyDisplay
from keyswitch.device.server.output import OutgoingAnswer, Output
from keyswitch.device.transport.disconnect import disconnect
from keyswitch.device.transport.ports import DeviceTransport, RuntimePort
from keyswitch.device.transport.sender import Sender, Upstream
from keyswitch.gate.peer import Peer
from keyswitch.smp.framing import Received
from keyswitch.terms import Transport


class Peers:
    """All peers; what transports talk to (`device.transport.ports.TransportSink`).

    Args:
        runtime: the device that the peers come to.
        carriers: the transports, by name.
        answer_room: answers that may wait for one peer before its next request does.
        display: where passkeys are shown.
    """

    def __init__(
        self,
        runtime: RuntimePort,
        carriers: Mapping[Transport, DeviceTransport],
        *,
        answer_room: int,
        display: PasskeyDisplay,
    ) -> None:
        self._runtime = runtime
        self._carriers = carriers
        self._display = display
        self._upstream = Upstream(room=answer_room, hold=self._hold, failed=runtime.broken)
        self._ids = itertools.count(1)
        self._senders: dict[int, Sender] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._waiting_for_room: dict[int, Callable[[], None]] = {}

    # --- what transports tell (device.transport.ports.TransportSink) ---

    def new_peer_id(self) -> int:
        """A number that was never given before."""
        return next(self._ids)

    def now_ms(self) -> int:
        """The device's time in milliseconds."""
        return self._runtime.now_ms()

    def peer_came(self, peer: Peer) -> None:
        """A peer is there, or has another security now."""
        runtime = self._runtime
        self._display.peer_came(peer)
        if peer.id in self._senders:
            runtime.server.peer_changed(peer)
            return
        self._senders[peer.id] = Sender(peer, self._carriers[peer.transport], self._upstream)
        runtime.take(runtime.ask(lambda: runtime.server.peer_connected(peer, runtime.now_ms())))
        runtime.report(PeerConnected(transport=peer.transport, peer=peer.id))

    def peer_went(self, peer_id: int) -> None:
        """A peer has gone."""
        runtime = self._runtime
        sender = self._senders.pop(peer_id, None)
        if sender is None:
            return
        sender.task.cancel()
        self._display.peer_went(peer_id)
        runtime.take(runtime.ask(lambda: runtime.server.peer_gone(peer_id, runtime.now_ms())))
        runtime.report(PeerDisconnected(transport=sender.peer.transport, peer=peer_id))

    def may_access_smp(self, peer_id: int) -> bool:
        """Whether the gate lets this peer access the SMP service now."""
        return peer_id in self._senders and self._runtime.server.may_access_smp(peer_id)

    def received(self, peer: Peer, received: Received) -> None:
        """Queue what arrived; what is too large is answered."""
        if peer.id not in self._senders:
            return
        server, now_ms = self._runtime.server, self._runtime.now_ms()
        for packet in received.packets:
            self._answer(partial(server.receive, peer.id, packet, now_ms, door=peer.door))
        for dropped in received.dropped:
            if dropped.header:
                self._answer(partial(server.too_large, peer.id, dropped.header, door=peer.door))
        self._runtime.wake()

    def dropped(self, peer: Peer, packets: Iterable[bytes]) -> None:
        """Answer packets that a carrier had held back and that the gate has dropped."""
        for packet in packets:
            self._answer(partial(self._runtime.server.drop, peer.id, packet, door=peer.door))

    def broken(self, error: BaseException) -> None:
        """A transport works no longer, and the device without it would be another one: it stops."""
        self._runtime.broken(error)

    def lost(self, transport: Transport, error: BaseException) -> None:
        """A transport is gone; the device goes on with the others."""
        self._runtime.lost(transport, error)

    def room(self, peer_id: int) -> int:
        """How many packets this peer may send now; a carrier whose link can wait makes it wait at 0."""
        return self._runtime.server.room(peer_id)

    def owns(self, peer_id: int) -> bool:
        """Whether the session or the running upload is this peer's."""
        return self._runtime.server.owns(peer_id)

    def when_room(self, peer_id: int, then: Callable[[], None]) -> None:
        """Call `then` once this peer may send again, or has gone."""
        self._waiting_for_room[peer_id] = then
        self._runtime.wake()

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
        ending = disconnect(sender, after_answers=after_answers)
        task = asyncio.get_running_loop().create_task(ending, name=f"end {peer_id}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def end_all(self) -> None:
        """Let everybody have its answers and end every connection, all at the same time, each within its bound.

        Who comes meanwhile is told as well, once: a flood of comers holds up no reset.
        """
        there = list(self._senders.values())
        await asyncio.gather(*(disconnect(sender, after_answers=True) for sender in there))
        late = [sender for sender in self._senders.values() if sender not in there]
        await asyncio.gather(*(disconnect(sender, after_answers=False) for sender in late))

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
        self.answer(self._runtime.ask(call).answers)

    def _hold(self, peer_id: int, held: bool) -> None:  # noqa: FBT001 - `Upstream.hold`
        self._runtime.server.hold(peer_id, held=held)
        if not held:
            self._runtime.wake()
