"""The machine with its hands: what the device knows, and how the machine's effects on flash and memory are done.

Rules kept here:

* Effects are carried out in the order the machine gives them; one that touches flash or store has reached the medium
  when the next begins. What needs a radio or a process is collected for the runtime.
* There is no rule about modes here: the machine decides, this module obeys.
* What is in RAM is gone at `boot`, whatever it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from keyswitch.device import events
from keyswitch.device.events import DeviceEvent, HolderCredential
from keyswitch.device.server.components import Components, Writer
from keyswitch.device.server.output import NOTHING, OutgoingAnswer, Output, RuntimeEffect
from keyswitch.device.server.queue import Waiting
from keyswitch.device.storage.store import Memory
from keyswitch.gate import effects as do
from keyswitch.gate import machine, record
from keyswitch.gate.decision import RESETTING, Decision, Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import (
    ArmFailed,
    AttachProved,
    Booted,
    CommandServed,
    EnterProved,
    Event,
    Expired,
    FirmwareCommand,
    Timer,
)
from keyswitch.gate.lockout import Lockout
from keyswitch.gate.peer import Peer
from keyswitch.gate.permit_uses import Uses
from keyswitch.gate.state import PairImages
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.bootloader import BootReport
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.image import ImageFault
from keyswitch.mcuboot.layout import Layout, Slot, area
from keyswitch.mcuboot.report import ImageReport
from keyswitch.policy.model import Policy, Value
from keyswitch.proof.challenge import Purpose
from keyswitch.proof.sequence import SequenceProgress
from keyswitch.reasons import Reason
from keyswitch.smp.groups import mode as mode_group

MAX_FIRED: Final = 16
"""Time limits that one call fires at most: limits of 0 ms that restart themselves go on at the next call."""

_ORDER: Final = {timer: place for place, timer in enumerate(Timer)}

SequenceKey = tuple[int, str, Purpose]
"""Whose steps, into which mode, for what."""


@dataclass(slots=True, kw_only=True)
class UploadSession:
    """An upload under way. Who owns it is the machine's to know.

    Attributes:
        slot: where it goes.
        length: of the whole file in bytes.
        sha: SHA-256 of the whole file as the client named it, or the part of it that it named; empty if it did not.
        writer: takes the data.
    """

    slot: Slot
    length: int
    sha: bytes
    writer: Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHeader:
    """The header of a whole upload, where writing it is what starts the image.

    Attributes:
        slot: where the rest lies.
        header: whole write blocks.
    """

    slot: Slot
    header: bytes


@dataclass(slots=True)
class Counts:
    """What has happened since boot; told by the stat group. `least_room` is the fewest free buffers a peer had."""

    received: int = 0
    served: int = 0
    refused: int = 0
    overflows: int = 0
    dropped: int = 0
    least_room: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a device is made with; the attributes are explained at `keyswitch.device.server.server.Server`."""

    policy: Policy
    flash: Flash
    layout: Layout
    memory: Memory
    secret: bytes | None
    issuers: tuple[bytes, ...]
    clock_s: Callable[[], int] | None
    random: Callable[[int], bytes]
    maintenance_address: str
    parts: Components


class Core:
    """One device's state, and the hands of its machine."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.policy = setup.policy
        self.flash = setup.flash
        self.layout = setup.layout
        self.parts = setup.parts
        self.state = machine.initial(setup.policy)
        self.report: BootReport | None = None
        self.timers: dict[Timer, int] = {}
        self.lockout = Lockout()
        self.uses: Uses | None = None
        self.token = bytes(mode_group.TOKEN_SIZE)
        self.boot_id = bytes(mode_group.BOOT_ID_SIZE)
        self.loader_asked = False
        """The granted reset is to start the firmware loader."""
        self.kept: dict[int, KeptHeader] = {}
        """Of each image pair, that of an upload that is whole, and no image before its header is written."""
        self.holder: bytes | None = None
        """Key of whose permit opened the session; None: no permit did."""
        self.owner_heard_ms = 0
        """When the session's owner was last heard."""
        self._cost_us = setup.flash.wear.cost_us
        self._answers: list[OutgoingAnswer] = []
        self._effects: list[RuntimeEffect] = []
        self.happened: list[DeviceEvent] = []
        """What is to be recorded, since the last `take`."""
        self._left_before: dict[Timer, int] = {}
        self._mode_before = self.state.mode
        self._forget_all()

    def _forget_all(self) -> None:
        self.peers: dict[int, Peer] = {}
        self.queues = self.parts.queues(self.policy.smp.buf_count)
        self.nonces = self.parts.nonces()
        self.sequences: dict[SequenceKey, SequenceProgress] = {}
        self.upload: UploadSession | None = None
        self.kept = {}
        self.counts = Counts(least_room=self.policy.smp.buf_count)
        self.ending: frozenset[int] = frozenset()
        self.clock: tuple[datetime, int] | None = None
        self.settings: dict[str, bytes] = {}
        self.dropped: list[tuple[int, Waiting]] = []
        self.why_dropped = Refused(Reason.WRONG_MODE, self.state.mode)
        self.timers.clear()
        self._answers.clear()
        self._effects.clear()

    # --- coming up, events, time ---

    def boot(self, report: BootReport, inputs: tuple[tuple[str, Value | None], ...], now_ms: int) -> None:
        """Come up; see `keyswitch.device.server.server.Server.boot`."""
        self._forget_all()
        self._cost_us = self.flash.wear.cost_us  # the bootloader's time has passed already
        self.report = report
        self.boot_id = self.setup.random(mode_group.BOOT_ID_SIZE)
        self.lockout = self.parts.lockout(self.policy.entry.lockout, self.setup.memory.lockout(), now_ms)
        self.uses = self.setup.memory.permits()
        blank = self.setup.memory.blank()
        self.holder = self.setup.memory.holder()
        found = self.setup.memory.take_record()
        on_trial = frozenset(image.image for image in report.images if image.trial)
        goes_on = found is not None and len(found.token) == mode_group.TOKEN_SIZE
        self.token = found.token if found is not None and goes_on else self.setup.random(mode_group.TOKEN_SIZE)
        self.feed(
            Booted(
                record=found,
                running=tuple(self._readable(image) for image in report.images),
                waiting=self._waiting(),
                on_trial=on_trial,
                mode_before=self.setup.memory.mode(),
                blank=blank,
                inputs=inputs,
            ),
            now_ms,
        )

    def feed(self, event: Event, now_ms: int, credential: HolderCredential | None = None) -> Refused | None:
        """Tell the machine, and carry out what it wants.

        Args:
            event: what happened.
            now_ms: the device's time.
            credential: the permit by which the peer of the event proved itself, if it was one.
        """
        done = self.parts.step(self.policy, self.state, event)
        if done.refused is not None:
            return done.refused
        opened = done.state.session is not None and self.state.session is None
        if type(event) is not CommandServed and type(event) is not FirmwareCommand:
            self.happened += events.of_step(self.state, done.state, event, self._running_hashes(), credential)
        self._mode_before = self.state.mode
        self.state = done.state
        if opened and type(event) is not Booted:
            self.token = self.setup.random(mode_group.TOKEN_SIZE)
            self.holder = None
        if type(event) is EnterProved:
            self.holder = None if credential is None else credential.key
        if type(event) in {EnterProved, AttachProved}:
            self.owner_heard_ms = now_ms
        if done.effects:
            self._left_before = {timer: max(0, at_ms - now_ms) for timer, at_ms in self.timers.items()}
            self._carry_out_all(done.effects, now_ms)
        self.kept = {pair: kept for pair, kept in self.kept.items() if self.state.armed_of(pair) is not None}
        if not self.state.reset_pending and not self.state.down:
            self.loader_asked = False
        return None

    def _carry_out_all(self, effects: tuple[Effect, ...], now_ms: int) -> None:
        for effect in effects:
            if not self._carry_out(effect, now_ms):
                return

    def _running_hashes(self) -> tuple[str, ...]:
        return () if self.report is None else tuple(self._readable(image).hex() for image in self.report.images)

    def _readable(self, image: ImageReport) -> bytes:
        """The hash of what runs, where a device can read it."""
        return b"" if image.image in self.layout.copied else image.running_hash

    def _waiting(self) -> PairImages:
        """What lies in the other slot of each image that is only copied."""
        of_slots = (
            (number, slots.read_image(self.flash, self.layout, self.layout.pairs[number].secondary))
            for number in sorted(self.layout.copied)
        )
        return tuple((number, image.hash) for number, image in of_slots if not isinstance(image, ImageFault))

    def note(self, event: DeviceEvent) -> None:
        """Record that this happened."""
        self.happened.append(event)

    def refusal(self, event: Event) -> Refused | None:
        """Why the machine would refuse this now; nothing changes."""
        return self.parts.step(self.policy, self.state, event).refused

    def decide(self, peer: Peer, command: tuple[int, int, int]) -> Decision:
        """What the gate says now to this peer's command (group, id, op)."""
        return self.parts.authorise(self.policy, self.state, peer, command)

    def fire(self, now_ms: int) -> None:
        """Tell the machine of each time limit that is due, the earliest first; of two at once, as `Timer` has them."""
        for _ in range(MAX_FIRED):
            due = min(self.timers.items(), key=lambda item: (item[1], _ORDER[item[0]]), default=None)
            if due is None or due[1] > now_ms:
                return
            del self.timers[due[0]]
            self.feed(Expired(timer=due[0]), now_ms)

    def next_due_ms(self) -> int | None:
        """When the next time limit is due."""
        return min(self.timers.values(), default=None)

    # --- what is going out ---

    def answer(self, answer: OutgoingAnswer) -> None:
        """Send this; if its peer has gone, the runtime drops it."""
        self._answers.append(answer)

    def take(self) -> Output:
        """What has come together since the last call."""
        cost_us = self.flash.wear.cost_us
        spent, self._cost_us = cost_us - self._cost_us, cost_us
        if not self._answers and not self._effects and not spent and not self.happened:
            return NOTHING
        output = Output(tuple(self._answers), tuple(self._effects), spent, events=tuple(self.happened))
        self.happened.clear()
        self._answers.clear()
        self._effects.clear()
        return output

    # --- what others ask about ---

    @property
    def active(self) -> tuple[int, ...]:
        """For each image, the slot that it runs from."""
        return self.report.active if self.report is not None else ()

    @property
    def slots_shown(self) -> Flash:
        """The flash as clients see it: with the headers of whole uploads, which are not written yet."""
        shown: Flash = self.flash
        for kept in self.kept.values():
            shown = slots.HeaderShown(shown, kept.slot, kept.header)
        return shown

    @property
    def gate_open(self) -> bool:
        """Whether firmware may change now, for whoever the mode lets."""
        session = self.state.session
        return session is not None and not session.ending and not self.state.down

    def lease_ms(self, now_ms: int) -> int | None:
        """What is left of the lease, the limit of all extensions included; None without a lease."""
        limits = [self.timers[timer] for timer in (Timer.LEASE, Timer.LEASE_MAX) if timer in self.timers]
        return max(0, min(limits) - now_ms) if limits else None

    # --- the hands ---

    def _carry_out(self, effect: Effect, now_ms: int) -> bool:
        """Do what the machine wants; False: what the step wanted after this is off."""
        match effect:
            case do.StartTimer():
                self.timers[effect.timer] = now_ms + effect.ms
            case do.StopTimer():
                self.timers.pop(effect.timer, None)
            case do.DropQueued():
                self._drop_queued()
            case do.EndConnections():
                self.ending |= effect.peers
                self._effects.append(effect)
            case do.DropReassembly() | do.ResetNow() | do.ShowService() | do.Inhibit() | do.ModeChanged():
                self._effects.append(effect)
            case do.WriteSessionRecord() | do.ClearSessionRecord() | do.MarkStore() | do.PersistMode():
                self._change_store(effect)
            case do.DropUpload() | do.WriteTrailer() | do.Disarm() | do.ConfirmImage():
                return self._change_slots(effect, now_ms)
            case _:
                assert_never(effect)
        return True

    def _change_store(
        self, effect: do.WriteSessionRecord | do.ClearSessionRecord | do.MarkStore | do.PersistMode
    ) -> None:
        match effect:
            case do.WriteSessionRecord():
                self._write_record(effect)
            case do.ClearSessionRecord():
                self.setup.memory.save_record(None)
            case do.MarkStore():
                self.setup.memory.mark()
            case do.PersistMode():
                self.setup.memory.save_mode(effect.mode)
            case _:
                assert_never(effect)

    def _change_slots(self, effect: do.DropUpload | do.WriteTrailer | do.Disarm | do.ConfirmImage, now_ms: int) -> bool:
        match effect:
            case do.DropUpload():
                self._drop_upload(effect)
            case do.WriteTrailer():
                return self._write_trailer(effect, now_ms)
            case do.Disarm():
                self.parts.disarm(self.flash, self.layout, effect.pair, self.active)
            case do.ConfirmImage():
                running = slots.running_slot(self.layout, effect.pair, self.active)
                self.parts.confirm(self.flash, self.layout, running)
            case _:
                assert_never(effect)
        return True

    def _drop_queued(self) -> None:
        self.why_dropped = RESETTING if self.state.down else self._wrong_mode()
        self.dropped.extend(self.queues.take_all())

    def _wrong_mode(self) -> Refused:
        """Meant for maintenance, it comes too late; asked before, too early, and maintenance is no reason to refuse."""
        now = self.policy.modes[self.state.mode]
        return Refused(Reason.WRONG_MODE, self._mode_before if now.maintenance else now.name)

    def _drop_upload(self, effect: do.DropUpload) -> None:
        upload, self.upload = self.upload, None
        if upload is not None and effect.discard:
            slot = area(self.flash, upload.slot)
            # Without its first sector, what arrived of the image is none.
            slot.erase(self.layout.upload_offset(upload.slot), self.layout.geometry.sector_size)
            slot.sync()

    def _write_trailer(self, effect: do.WriteTrailer, now_ms: int) -> bool:
        if not self.layout.algorithm.armed_by_trailer:
            return self._write_header(effect, now_ms)
        slot = slots.other_slot(self.layout, effect.pair, self.active)
        if self.parts.computed_hash(self.flash, self.layout, slot) == effect.image:
            armed = self.parts.arm(self.flash, self.layout, slot, permanent=effect.permanent)
            if armed is not slots.ArmResult.BAD_TRAILER:
                return True
        self.feed(ArmFailed(pair=effect.pair), now_ms)
        return False

    def _write_header(self, effect: do.WriteTrailer, now_ms: int) -> bool:
        """The same where an image starts because it lies there."""
        kept = self.kept.get(effect.pair)
        if kept is None or self.parts.computed_hash(self.slots_shown, self.layout, kept.slot) != effect.image:
            self.feed(ArmFailed(pair=effect.pair), now_ms)
            return False
        slots.write_header(self.flash, self.layout, kept.slot, kept.header)
        return True

    def _write_record(self, effect: do.WriteSessionRecord) -> None:
        # The step may have stopped the lease before it asked for the record: what counts is what was left before it.
        left = self._left_before
        self.setup.memory.save_record(
            record.make(
                self.policy,
                self.state,
                expected=effect.expected,
                token=self.token,
                lease_ms=left.get(Timer.LEASE),
                lease_max_ms=left.get(Timer.LEASE_MAX),
                timeout_ms=left.get(Timer.TIMEOUT),
            ),
            self.holder,
        )
