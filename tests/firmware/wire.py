"""The questions and answers of `harness.c` as bytes: what Python puts to the C core, and what it expects to hear."""

from collections.abc import Callable, Iterable
from functools import cache
from struct import Struct
from typing import Final, Generic, TypeVar

from keyswitch.export.limits import inhibits_of
from keyswitch.export.numbers import PROOFS, TIMERS
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.decision import Allowed, Decision, Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event
from keyswitch.gate.machine import Step
from keyswitch.gate.peer import Peer, Service
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.state import GateState, PairImages
from keyswitch.policy.model import Policy, Value
from keyswitch.proof.challenge import Challenge, Purpose

NO_LIMIT = 0xFFFF_FFFF
NO_MODE = NO_TRANSITION = 0xFF
NONSENSE = 0x7B
"""Where a field means nothing."""

T = TypeVar("T")

_U16, _U32, _VALUE = Struct("<H"), Struct("<I"), Struct("<Bi")
_PEER, _SESSION, _QUIET = Struct("<IBB"), Struct("<BBII"), Struct("<II")

KINDS: Final = {
    on.Booted: 0,
    on.Connected: 1,
    on.Disconnected: 2,
    on.EnterProved: 3,
    on.AttachProved: 4,
    on.LeaveAsked: 5,
    on.ExtendAsked: 6,
    on.InputChanged: 7,
    on.ButtonHeld: 8,
    on.Expired: 9,
    on.UploadStarted: 10,
    on.UploadEnded: 11,
    on.ArmAsked: 12,
    on.ArmFailed: 13,
    on.ResetAsked: 14,
    on.ConfirmAsked: 15,
    on.SelfConfirmed: 16,
    on.CommandServed: 17,
    on.FirmwareCommand: 18,
}


def hash_bytes(image: bytes | None) -> bytes:
    data = image or b""
    return bytes([len(data)]) + data


def pairs_bits(pairs: Iterable[int]) -> int:
    """A set of image pairs."""
    return sum(1 << pair for pair in pairs)


def pair_images_bytes(images: PairImages) -> bytes:
    """Of which pairs, and their images."""
    hashes = b"".join(hash_bytes(image) for _, image in images)
    return bytes([pairs_bits(pair for pair, _ in images)]) + hashes


def images_bytes(images: frozenset[bytes] | None) -> bytes:
    if images is None:
        return b"\0\0"
    return bytes([1, len(images)]) + b"".join(hash_bytes(each) for each in sorted(images))


def value_bytes(value: Value | None) -> bytes:
    return _VALUE.pack(value is not None, 0 if value is None else int(value))


def peer_bytes(peer: Peer) -> bytes:
    return _PEER.pack(peer.id, peer.security, 1 if peer.door is Service.MODE else 0)


def limit(ms: int | None) -> int:
    return NO_LIMIT if ms is None else ms


class _Remembered(Generic[T]):
    """Bytes of values that come again as the same objects: to compare a state with another takes longer than a step."""

    def __init__(self, make: Callable[[T], bytes], most: int) -> None:
        self._make, self._most = make, most
        self._known: dict[int, tuple[T, bytes]] = {}

    def __contains__(self, value: T) -> bool:
        return id(value) in self._known  # which keeps it: no other object has this number meanwhile

    def __call__(self, value: T) -> bytes:
        known = self._known.get(id(value))
        if known is None:
            if len(self._known) == self._most:
                self._known.clear()
            known = self._known[id(value)] = (value, self._make(value))
        return known[1]


QUESTIONS: Final = (
    "steps",
    "the door",
    "records",
    "lives",
    "proofs",
    "lock-out, nonces, sequences",
    "requests' maps",
    "permits",
    "edges",
    "units' data",
    "proofs' messages",
)
"""What a question is about, by its first byte."""


class Wire:
    """The bytes of one policy's values. So many of them are remembered, and kept with what they are bytes of."""

    def __init__(self, policy: Policy, number: int, *, remembers: int = 50_000) -> None:
        self.policy = policy
        self.number = _U16.pack(number)
        self.inhibits = inhibits_of(policy)
        self.modes = {name: mode.index for name, mode in policy.modes.items()}
        self.inputs = {each.name: place for place, each in enumerate(policy.inputs)}
        self.asked_state = _Remembered[GateState](lambda state: self.state(state, asked=True), remembers)
        self._unchanged = _Remembered[GateState](lambda state: self.state(state, asked=False), remembers)
        self._told_state = cache(lambda state: self.state(state, asked=False))
        self.event = _Remembered[Event](self._event, remembers)
        self.effect = cache(self._effect)

    # --- questions ---

    def ask_step(self, state: GateState, event: Event) -> bytes:
        return b"\0" + self.number + self.asked_state(state) + self.event(event)

    def ask_door(self, state: GateState, peer: Peer, commands: bytes) -> bytes:
        return b"\1" + self.number + self.asked_state(state) + peer_bytes(peer) + commands

    def ask_record(self, data: bytes) -> bytes:
        return b"\2" + self.number + _U16.pack(len(data)) + data

    def ask_proof(self, mode: str, attaching: bool, nonce: bytes, token: bytes, mac: bytes) -> bytes:
        head = b"\4" + self.number + bytes([self.modes[mode], attaching])
        return head + nonce + token.ljust(4, b"\xee") + mac

    def ask_message(self, asked: Challenge) -> bytes:
        """For the bytes that a challenge's MAC covers."""
        texts = (asked.device.encode(), asked.mode.encode())
        head = b"\x0a" + self.number + b"".join(bytes([len(each)]) + each for each in texts)
        return head + bytes([asked.purpose is Purpose.ATTACH]) + asked.nonce + asked.session.ljust(4, b"\xee")

    def ask_cbor(self, data: bytes, number: int) -> bytes:
        return b"\6" + self.number + _U16.pack(len(data)) + data + _U32.pack(number)

    def ask_edges(self) -> bytes:
        return b"\x08" + self.number

    def state(self, state: GateState, *, asked: bool) -> bytes:
        session, upload, armed = state.session, state.upload, state.armed
        arming = pairs_bits(each.pair for each in armed)
        # How a pair is armed that is not means nothing.
        nonsense = (1 << len(self.policy.bootloader.pairs)) - 1 & ~arming if asked else 0
        flags = sum(
            bool(each) << bit
            for bit, each in enumerate(
                (
                    session is not None,
                    session is not None and session.ending,
                    upload is not None,
                    state.first_trial,
                    state.reset_pending,
                    state.service_shown,
                    state.down,
                )
            )
        )
        parts = [
            bytes([self.modes[state.mode]]),
            _U16.pack(flags),
            bytes(
                (
                    arming,
                    pairs_bits(each.pair for each in armed if each.permanent) | nonsense,
                    pairs_bits(each.pair for each in armed if each.written) | nonsense,
                    pairs_bits(state.on_trial),
                )
            ),
            _U32.pack(0 if upload is None else upload.owner or 0),
            _QUIET.pack(*((0, 0) if state.quiet is None else (self.bits(state.quiet.names), state.quiet.ms))),
        ]
        if session is not None:
            way = NO_TRANSITION if session.way is None else session.way
            parts.append(_SESSION.pack(way, PROOFS[session.proof], session.owner or 0, limit(session.idle_ms)))
            parts.append(images_bytes(session.images))
        elif asked:
            parts.append(_SESSION.pack(NONSENSE, NONSENSE, NONSENSE, NONSENSE) + b"\0\0")
        parts += [hash_bytes(each.image) for each in armed]
        parts.append(self.peers(state.connections))
        if asked:
            parts.append(bytes([len(state.inputs)]))
        parts += [value_bytes(each) for each in state.inputs]
        return b"".join(parts)

    def bits(self, names: frozenset[str]) -> int:
        """What the application must not do, as the core has it."""
        return sum(1 << self.inhibits.index(name) for name in names)

    def peers(self, peers: frozenset[int]) -> bytes:
        return bytes([len(peers)]) + b"".join(_U32.pack(each) for each in sorted(peers))

    def told_state(self, state: GateState) -> bytes:
        """As the core tells it. Most steps change nothing: the state is then the one that was asked about."""
        return self._unchanged(state) if state in self.asked_state else self._told_state(state)

    def record(self, record: SessionRecord) -> bytes:
        return b"".join(
            (
                bytes([self.modes.get(record.mode, NO_MODE), PROOFS[record.proof]]),
                bytes([record.policy == self.policy.digest, bool(record.entry)]),
                record.entry.ljust(8, b"\xee"),
                images_bytes(record.images),
                pair_images_bytes(record.expected),
                bytes([record.ending]),
                *(_U32.pack(limit(each)) for each in _times(record)),
            )
        )

    def _event(self, event: Event) -> bytes:  # noqa: C901, PLR0911 - a table
        kind = bytes([KINDS[type(event)]])
        match event:
            case on.Booted():
                read = dict(event.inputs)
                before = event.mode_before
                return b"".join(
                    (
                        kind,
                        b"\0" if event.record is None else b"\1" + self.record(event.record),
                        self.running(event),
                        bytes([NO_MODE if before is None else self.modes.get(before, NO_MODE)]),
                        bytes([pairs_bits(event.on_trial), event.blank]),
                        *(value_bytes(read.get(each.name, each.initial)) for each in self.policy.inputs),
                    )
                )
            case on.Connected() | on.Disconnected():
                return kind + _PEER.pack(event.peer, 0, 0)
            case on.EnterProved():
                to = bytes([self.modes.get(event.to, NO_MODE), PROOFS[event.proof]])
                return kind + peer_bytes(event.peer) + to + images_bytes(event.images)
            case on.InputChanged():
                return kind + bytes([self.inputs[event.name]]) + value_bytes(event.value)
            case on.ButtonHeld():
                return kind + _U32.pack(event.hold_ms)
            case on.Expired():
                return kind + bytes([TIMERS[event.timer]])
            case on.ArmAsked():
                return kind + peer_bytes(event.peer) + hash_bytes(event.image) + bytes([event.permanent, event.pair])
            case on.UploadStarted() | on.ConfirmAsked():
                return kind + peer_bytes(event.peer) + bytes([event.pair])
            case on.ArmFailed():
                return kind + bytes([event.pair])
            case on.UploadEnded() | on.SelfConfirmed():
                return kind
            case _:
                return kind + peer_bytes(event.peer)

    def running(self, event: on.Booted) -> bytes:
        """What the core is told of each pair: what runs; where nobody can read that, what waits in the other slot."""
        pairs, waiting = self.policy.bootloader.pairs, dict(event.waiting)
        read = (*event.running, *(b"",) * len(pairs))
        told = [waiting.get(number, b"") if pair.copied else read[number] for number, pair in enumerate(pairs)]
        return bytes([len(told)]) + b"".join(map(hash_bytes, told))

    # --- answers ---

    def told_step(self, done: Step) -> bytes:
        effects = b"".join([self.effect(each) for each in done.effects])
        return decision_bytes(done.refused) + _U16.pack(len(done.effects)) + effects + self.told_state(done.state)

    def told_record(self, record: SessionRecord) -> bytes:
        return b"".join(
            (
                bytes([self.modes.get(record.mode, NO_MODE), PROOFS[record.proof]]),
                bytes([record.policy == self.policy.digest, bool(record.entry)]) + record.entry,
                bytes([bool(record.token)]) + record.token,
                images_bytes(record.images),
                pair_images_bytes(record.expected),
                bytes([record.ending]),
                *(_U32.pack(limit(each)) for each in _times(record)),
            )
        )

    def _effect(self, effect: Effect) -> bytes:  # noqa: C901, PLR0911, PLR0912 - a table
        match effect:
            case do.StartTimer():
                return bytes([0, TIMERS[effect.timer]]) + _U32.pack(effect.ms)
            case do.StopTimer():
                return bytes([1, TIMERS[effect.timer], 0, 0, 0, 0])
            case do.DropQueued():
                return bytes([2, 0, 0, 0, 0, 0])
            case do.DropReassembly():
                return bytes([3, 0, 0, 0, 0, 0])
            case do.DropUpload():
                return bytes([4, effect.discard, 0, 0, 0, 0])
            case do.WriteTrailer():
                return bytes([5, effect.permanent, effect.pair]) + hash_bytes(effect.image)
            case do.Disarm():
                return bytes([6, 0, effect.pair, 0, 0, 0])
            case do.ConfirmImage():
                return bytes([7, 0, effect.pair, 0, 0, 0])
            case do.WriteSessionRecord():
                return b"\x08" + pair_images_bytes(effect.expected)
            case do.ClearSessionRecord():
                return bytes([9, 0, 0, 0, 0, 0])
            case do.MarkStore():
                return bytes([10, 0, 0, 0, 0, 0])
            case do.PersistMode():
                return bytes([11, NO_MODE if effect.mode is None else self.modes[effect.mode], 0, 0, 0, 0])
            case do.ResetNow():
                return bytes([12, 0, 0, 0, 0, 0])
            case do.EndConnections():
                return bytes([13, effect.after_answer]) + self.peers(effect.peers)
            case do.ShowService():
                return bytes([14, effect.shown, 0, 0, 0, 0])
            case do.Inhibit():
                return bytes([15, 0]) + _U32.pack(self.bits(effect.names))
            case do.ModeChanged():
                return bytes([16, self.modes[effect.mode], 0, 0, 0, 0])


def _times(record: SessionRecord) -> tuple[int | None, ...]:
    """By their timer, as the core has them."""
    return (record.timeout_ms, record.lease_ms, record.lease_max_ms, record.idle_ms, record.trial_ms)


def decision_bytes(decision: Decision | None) -> bytes:
    if decision is None or isinstance(decision, Allowed):
        return b"\0\0"
    assert isinstance(decision, Refused)
    return _refused(decision)


@cache
def _refused(refused: Refused) -> bytes:
    text = refused.text.encode()
    return bytes([refused.rc, len(text)]) + text


def commands_bytes(commands: list[tuple[int, int, int]]) -> bytes:
    each = Struct("<HBB")
    return _U16.pack(len(commands)) + b"".join(each.pack(*command) for command in commands)
