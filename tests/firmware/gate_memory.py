"""Lock-out, nonces and sequences by themselves, one operation after the other, at times that matter."""

from collections.abc import Mapping
from random import Random
from struct import Struct
from typing import Final

from tests.firmware.toolchain import MAX_NONCES
from tests.firmware.wire import Wire

from keyswitch.gate import lockout
from keyswitch.gate.nonces import LIFETIME_MS, Nonces
from keyswitch.policy.enums import ProofKind
from keyswitch.proof import sequence

KINDS: Final = (ProofKind.SEQUENCE, ProofKind.CHALLENGE, ProofKind.PERMIT)
MOST: Final = 2**32 - 1
_HEAD, _U32, _U16 = Struct("<BQBB"), Struct("<I"), Struct("<H")
_KEPT: Final = Struct("<6I3IBB")
"""After each operation: what each kind still waits, from none to one beyond the last; failures; how much is kept."""


def question(wire: Wire, operations: list[bytes]) -> bytes:
    """All of these, one after the other."""
    return b"\5" + wire.number + _U16.pack(len(operations)) + b"".join(operations)


def restored(failures: Mapping[ProofKind, int], now_ms: int) -> bytes:
    """The device comes up with so many in its store."""
    return _HEAD.pack(0, now_ms, 0, 0) + b"".join(_U32.pack(failures.get(kind, 0)) for kind in KINDS)


def wrong(kind: ProofKind, now_ms: int) -> bytes:
    """A wrong proof of this kind."""
    return _HEAD.pack(1, now_ms, KINDS.index(kind) + 1, 0)


def heard(answer: bytes) -> tuple[dict[ProofKind, int], dict[ProofKind, int]]:
    """Failures and waits after the last operation, by the core's answer."""
    kept = _KEPT.unpack(answer[-_KEPT.size :])
    return dict(zip(KINDS, kept[6:9], strict=True)), dict(zip(KINDS, kept[1:4], strict=True))


class GateMemory:
    """One device's, as Python has it and as it is told to the C core."""

    def __init__(self, wire: Wire, chance: Random) -> None:
        self.wire, self.chance = wire, chance
        self.settings = wire.policy.entry.lockout
        self.sequence = wire.policy.entry.sequence
        self.now_ms = chance.choice((0, 1_000, 2**32 - 500, 2**40))
        self.lockout = lockout.Lockout()
        self.nonces = Nonces(most=MAX_NONCES)
        self.sequences: dict[tuple[int, int, int], sequence.SequenceProgress] = {}
        self.given: dict[int, int] = {}
        self.asked: list[bytes] = []
        self.told: list[bytes] = []
        self.seen: list[str] = []

    def question(self) -> bytes:
        return question(self.wire, self.asked)

    def answer(self) -> bytes:
        return b"".join(self.told)

    def happens(self, operations: int) -> None:
        """So many of them, of each kind."""
        for place in range(operations):
            if place == operations // 2:
                self._crowd()
            self._pass_time()
            self.chance.choice((self._lock, self._lock, self._give, self._give, self._take, self._forget, self._step))()

    def _pass_time(self) -> None:
        marks = [self.now_ms, self.now_ms + 1, self.now_ms + 500]
        marks += [until + off for until in self.lockout.until_ms.values() for off in (-1, 0, 1)]
        marks += [each.until_ms + off for each in self.sequences.values() for off in (-1, 0)]
        marks += [until + off for until in self.given.values() for off in (-1, 0)]
        self.now_ms = max(self.now_ms, self.chance.choice(marks)) if self.chance.random() < 0.3 else self.now_ms

    def _note(self, kind: int, first: int, second: int, more: bytes, told: bytes) -> None:
        self.asked.append(_HEAD.pack(kind, self.now_ms, first, second) + more)
        remaining = [0, *(self.lockout.remaining_ms(each, self.now_ms) for each in KINDS), 0, 0]
        failures = [min(self.lockout.failures.get(each, 0), MOST) for each in KINDS]
        told += b"".join(map(_U32.pack, (*remaining, *failures)))
        self.told.append(told + bytes([len(self.nonces._given), len(self.sequences)]))
        self.seen.append(f"{self.now_ms}: {kind} {first} {second} {more.hex()}")

    def _lock(self) -> None:
        place = self.chance.randrange(5)
        kind = KINDS[place - 1] if 1 <= place <= 3 else None
        what = self.chance.randrange(12)
        if what == 0:
            free = self.settings.free_tries
            counts = [self.chance.choice((0, 1, free, free + 1, free + 12, free + 32, 2**31, MOST)) for _ in KINDS]
            kept = {each.value: count for each, count in zip(KINDS, counts, strict=True)}
            self.lockout = lockout.restore(self.settings, kept, self.now_ms)
            self._note(0, 0, 0, b"".join(map(_U32.pack, counts)), b"")
        elif what <= 9:
            self.lockout = self.lockout if kind is None else self.lockout.wrong(self.settings, kind, self.now_ms)
            self._note(1, place, 0, b"", b"")
        else:
            before = self.lockout
            self.lockout = before if kind is None else before.right(kind)
            self._note(2, place, 0, b"", bytes([self.lockout is not before]))

    def _give(self) -> None:
        peer, mode = self.chance.randrange(1, 41), self.chance.randrange(2)
        nonce = self.chance.randbytes(16)
        self.nonces.give(peer, str(mode), nonce, self.now_ms)
        self.given[peer] = self.now_ms + LIFETIME_MS
        self._note(3, peer, mode, nonce, b"")

    def _crowd(self) -> None:
        """More peers than there is room for; then each tries its nonce, or its next step."""
        for peer in range(1, MAX_NONCES + 3):
            nonce = self.chance.randbytes(16)
            self.nonces.give(peer, "0", nonce, self.now_ms)
            self._note(3, peer, 0, nonce, b"")
            if self.sequence is not None:
                self._advance(peer, 0, 0, 1)
        for peer in range(1, MAX_NONCES + 3):
            if peer % 3:
                nonce = self.nonces.take(peer, "0", self.now_ms) or b""
                self._note(4, peer, 0, b"", bytes([bool(nonce)]) + (nonce or bytes(16)))
            elif self.sequence is not None:
                self._advance(peer, 0, 0, 2)

    def _take(self) -> None:
        peer, mode = self.chance.randrange(1, 41), self.chance.randrange(2)
        nonce = self.nonces.take(peer, str(mode), self.now_ms)
        self.given.pop(peer, None)
        self._note(4, peer, mode, b"", bytes([nonce is not None]) + (nonce or bytes(16)))

    def _forget(self) -> None:
        if self.chance.random() < 0.3:
            peer = self.chance.randrange(1, 41)
            self.nonces.forget(peer)
            self.sequences = {key: each for key, each in self.sequences.items() if key[0] != peer}
            self._note(5, peer, 0, b"", b"")

    def _step(self) -> None:
        if self.sequence is None:
            return
        going = list(self.sequences)
        if going and self.chance.random() < 0.6:
            peer, mode, purpose = self.chance.choice(going)
        else:
            peer, mode, purpose = (self.chance.randrange(1, 41), self.chance.randrange(2), self.chance.randrange(2))
        so_far = self.sequences.get((peer, mode, purpose))
        done = 0 if so_far is None else so_far.done
        self._advance(peer, mode, purpose, self.chance.choice((1, done, done + 1, done + 1, done + 2, 0, 255)))

    def _advance(self, peer: int, mode: int, purpose: int, step: int) -> None:
        assert self.sequence is not None
        so_far = self.sequences.pop((peer, mode, purpose), None)
        found = sequence.advance(
            so_far, step, steps=self.sequence.steps, window_ms=self.sequence.window_ms, now_ms=self.now_ms
        )
        left, result = 0, 1 if isinstance(found, sequence.Opens) else 2
        if isinstance(found, sequence.SequenceProgress):
            left, result = self.sequence.steps - found.done, 0
            while len(self.sequences) >= MAX_NONCES:
                del self.sequences[next(iter(self.sequences))]
            self.sequences[peer, mode, purpose] = found
        self._note(6, peer, mode | purpose << 7, bytes([step]), bytes([result, left]))
