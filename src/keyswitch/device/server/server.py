"""The device without its radio, its files and its clock: peers, packets and time in, answers and effects out.

Rules kept here:

* Nothing is executed when it is received: a packet waits in its peer's buffers, and the gate is asked for each frame
  in it at the moment that frame is executed, after the time limits that are due.
* Buffers are real: each peer has `smp.buf_count` of `smp.buf_size` bytes. What does not fit is answered ENOMEM at once;
  `room` says beforehand, so that a link that can wait is made to wait.
* Peers take turns, one frame each, so that one that floods slows nobody down by more than its share; all of UDP takes
  one turn together. A peer that does not read its answers (`hold`) waits alone.
* Requests that the gate drops are answered with its reason, not executed, and not forgotten in silence.
"""

from collections.abc import Callable
from dataclasses import replace

from keyswitch.device import events
from keyswitch.device.server import dispatch
from keyswitch.device.server.components import Components
from keyswitch.device.server.core import Core, Setup
from keyswitch.device.server.handlers.image import listed
from keyswitch.device.server.output import NOTHING, OutgoingAnswer, Output
from keyswitch.device.server.queue import Waiting
from keyswitch.device.server.reply import encode
from keyswitch.device.storage.store import Memory, Store
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import ButtonHeld, Connected, Disconnected, Event, SelfConfirmed
from keyswitch.gate.peer import Peer, Service
from keyswitch.mcuboot.bootloader import BootReport
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.layout import Layout
from keyswitch.panel.protocol import GateStatus, PanelSlotJson
from keyswitch.policy.model import Policy, Value
from keyswitch.smp.groups import mode
from keyswitch.smp.header import HEADER_SIZE, Header
from keyswitch.terms import Transport


class Server:
    """One device.

    Args:
        policy: the rules.
        flash: with the slots; handlers touch nothing else.
        layout: of the slots.
        store: what survives a reset (`StateDir` is one). Written to before the answer that depends on it is returned.
        secret: for entry by challenge; None: nobody can enter that way.
        issuers: Ed25519 public keys, 32 bytes each, that may issue permits.
        clock_s: seconds since 1970, for permits where the policy trusts the clock; None: no such permit is accepted.
        random: `random(n)` gives n unpredictable bytes.
        maintenance_address: BLE address in maintenance, if it is another one than outside; told by `enter`.
        parts: what the device is made of.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        flash: Flash,
        layout: Layout,
        store: Store,
        secret: bytes | None,
        issuers: tuple[bytes, ...] = (),
        clock_s: Callable[[], int] | None = None,
        random: Callable[[int], bytes],
        maintenance_address: str = "",
        parts: Components | None = None,
    ) -> None:
        self._core = Core(
            Setup(
                policy=policy,
                flash=flash,
                layout=layout,
                memory=Memory(store),
                secret=secret,
                issuers=issuers,
                clock_s=clock_s,
                random=random,
                maintenance_address=maintenance_address,
                parts=parts or Components(),
            )
        )

    @property
    def core(self) -> Core:
        """What the device knows, for whoever looks into it from beside; change nothing in it."""
        return self._core

    def boot(self, report: BootReport, now_ms: int, *, inputs: tuple[tuple[str, Value | None], ...] = ()) -> Output:
        """Come up after the bootloader: always the first call, and the first after `ResetNow` or a power cut.

        All that was in RAM is gone: peers, queues, upload. The session record is taken from the store (and erased).

        Args:
            report: of the bootloader; something runs.
            now_ms: the device's time.
            inputs: values read at boot, by name; an input that is not here has its initial value.
        """
        self._core.boot(report, inputs, now_ms)
        return self._output()

    def peer_connected(self, peer: Peer, now_ms: int) -> Output:
        """A central has connected, or a UDP or serial peer has sent its first packet; its `id` is new."""
        self._core.peers[peer.id] = peer
        if peer.transport is Transport.BLE:
            self._core.feed(Connected(peer=peer.id), now_ms)
        return self._output()

    def peer_changed(self, peer: Peer) -> None:
        """The same peer (same `id`), now with another security."""
        if peer.id in self._core.peers:
            self._core.peers[peer.id] = peer

    def peer_gone(self, peer_id: int, now_ms: int) -> Output:
        """The link has ended, or the runtime has forgotten a UDP or serial peer. Its queued requests are dropped."""
        core = self._core
        if core.peers.pop(peer_id, None) is None:
            return NOTHING
        core.queues.forget(peer_id)
        core.nonces.forget(peer_id)
        core.sequences = {key: each for key, each in core.sequences.items() if key[0] != peer_id}
        core.ending -= {peer_id}
        core.feed(Disconnected(peer=peer_id), now_ms)
        return self._output()

    def receive(self, peer_id: int, packet: bytes, now_ms: int, *, door: Service = Service.SMP) -> Output:  # noqa: ARG002 - all that comes from outside brings its time
        """Queue one whole packet. If it cannot be queued, its first request is answered, and no other."""
        core = self._core
        if peer_id not in core.peers or core.state.down:
            return NOTHING
        if len(packet) > core.policy.smp.buf_size:
            return self.too_large(peer_id, packet[:HEADER_SIZE], door=door)
        core.counts.received += 1
        # An address and port costs nothing: however many there are, they take turns as one.
        lane = Transport.UDP if core.peers[peer_id].transport is Transport.UDP else peer_id
        if core.queues.put(peer_id, packet, door, lane=lane):
            core.counts.least_room = min(core.counts.least_room, core.queues.room(peer_id))
            return NOTHING
        core.counts.overflows += 1
        if core.queues.held(peer_id):
            return NOTHING  # it does not read: there is no way to answer it
        dispatch.refuse(core, peer_id, Waiting(packet, door), dispatch.NOMEM)
        return self._output()

    def too_large(self, peer_id: int, header: bytes, *, door: Service = Service.SMP) -> Output:
        """Answer a packet that a receiver dropped because it is larger than `smp.buf_size` (`Dropped.header`)."""
        core = self._core
        core.counts.overflows += 1
        if peer_id not in core.peers or core.state.down or core.queues.held(peer_id) or len(header) < HEADER_SIZE:
            return NOTHING
        packet = encode(Header.decode(header), dispatch.TOO_LARGE, core.policy.smp.buf_size)
        core.answer(OutgoingAnswer(peer_id, packet, door))
        return self._output()

    def drop(self, peer_id: int, packet: bytes, *, door: Service = Service.SMP) -> Output:
        """Answer a packet that a link had held back and that the gate has dropped: it is not executed."""
        core = self._core
        if peer_id in core.peers:
            dispatch.drop(core, peer_id, Waiting(packet, door))
        return self._output()

    def room(self, peer_id: int) -> int:
        """How many more packets this peer may send now; at 0, a link that can wait should."""
        return self._core.queues.room(peer_id)

    def may_access_smp(self, peer_id: int) -> bool:
        """Whether the gate lets this peer access the SMP service on BLE now, as the peer's link is protected now."""
        core = self._core
        peer = core.peers.get(peer_id)
        return peer is not None and core.parts.may_access_smp(core.policy, core.state, peer)

    def owns(self, peer_id: int) -> bool:
        """Whether the session or the running upload is this peer's."""
        state = self._core.state
        return peer_id in {None if owned is None else owned.owner for owned in (state.session, state.upload)}

    @property
    def uploader(self) -> int | None:
        """Id of the peer whose upload runs; None if none does, or its peer has gone."""
        upload = self._core.state.upload
        return None if upload is None else upload.owner

    @property
    def loader_asked(self) -> bool:
        """Whether the reset that takes place is to start the firmware loader."""
        return self._core.loader_asked

    @property
    def resetting(self) -> bool:
        """Whether a granted reset is due, or takes place: what runs now is about to go."""
        state = self._core.state
        return state.reset_pending or state.down

    def hold(self, peer_id: int, *, held: bool) -> None:
        """Execute nothing for this peer while it does not take its answers."""
        if peer_id in self._core.peers:
            self._core.queues.hold(peer_id, held=held)

    def run_one(self, now_ms: int) -> Output | None:
        """Fire the time limits that are due, then execute one queued frame; None if there was neither."""
        core = self._core
        core.fire(now_ms)
        turn = None if core.state.down else core.queues.next()
        if turn is None:
            output = self._output()
            return output if output or output.events else None
        peer_id, waiting = turn
        finished = dispatch.execute(core, core.peers[peer_id], waiting, now_ms)
        core.queues.done(peer_id, finished=finished)
        return self._output()

    def idle(self) -> Output | None:
        """Work for a moment in which no request waits: erase ahead of a running upload. None if there is none."""
        running = self._core.upload
        if running is None or not running.writer.erase_ahead(running.length):
            return None
        return self._output()

    def event(self, event: Event, now_ms: int) -> Output:
        """Tell the gate what happened outside: `InputChanged`, `ButtonHeld`, `SelfConfirmed`.

        If the machine refuses it, nothing has changed, and `Output.refused` says why.
        """
        self._core.fire(now_ms)
        refused = self._core.feed(event, now_ms)
        if refused is not None:
            self._note_refused(event, refused)
        output = self._output()
        return output if refused is None else replace(output, refused=refused)

    def _note_refused(self, event: Event, refused: Refused) -> None:
        if not isinstance(event, ButtonHeld | SelfConfirmed):
            return
        act = "button" if isinstance(event, ButtonHeld) else "confirm"
        mode_now = self._core.state.mode
        self._core.note(events.ActRefused(act=act, reason=refused.reason, detail=refused.detail, mode=mode_now))

    def due(self, now_ms: int) -> Output:
        """Fire the time limits that are due. Call it when `next_due_ms` has come."""
        self._core.fire(now_ms)
        return self._output()

    def next_due_ms(self) -> int | None:
        """When the next time limit is due; None if none runs."""
        return self._core.next_due_ms()

    def status(self, now_ms: int) -> GateStatus:
        """For the panel."""
        core = self._core
        slots: list[PanelSlotJson] = [
            {
                "image": each.slot.image,
                "slot": each.slot.slot,
                "version": str(each.version),
                "hash": each.hash.hex(),
                "active": each.active,
                "confirmed": each.confirmed,
                "pending": each.pending,
                "permanent": each.permanent,
            }
            for each in listed(core)
        ]
        running = core.report.images[0] if core.report is not None else None
        return {
            "mode": core.state.mode,
            "lease_ms": core.lease_ms(now_ms),
            "gate": "open" if core.gate_open else "shut",
            "running": None
            if running is None
            else {"version": str(running.running_version), "hash": running.running_hash.hex()},
            "slots": slots,
        }

    def state_value(self, now_ms: int) -> mode.StateValue:
        """What the state characteristic says now."""
        core = self._core
        lease_ms = core.lease_ms(now_ms)
        flags = mode.StateFlags(0)
        if core.gate_open:
            flags |= mode.StateFlags.GATE_OPEN
        if lease_ms is not None:
            flags |= mode.StateFlags.LEASED
        if core.state.trial:
            flags |= mode.StateFlags.TRIAL
        return mode.StateValue(
            mode_index=core.policy.modes[core.state.mode].index,
            flags=flags,
            lease_s=-(-(lease_ms or 0) // 1000),
            token=core.token,
        )

    def beacon(self) -> mode.Beacon:
        """What the advertisement says now."""
        return mode.Beacon(mode_index=self._core.policy.modes[self._core.state.mode].index, token=self._core.token)

    def _output(self) -> Output:
        dispatch.refuse_dropped(self._core)
        return self._core.take()
