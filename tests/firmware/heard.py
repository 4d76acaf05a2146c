"""The C core's answers as the device's own values: a step and a decision made of nothing but its bytes."""

from struct import Struct
from typing import Final

from tests.firmware.wire import NO_LIMIT, NO_MODE, NO_TRANSITION

from keyswitch.export.limits import inhibits_of
from keyswitch.export.numbers import PROOFS, TIMERS
from keyswitch.gate import effects as do
from keyswitch.gate.decision import ALLOWED, Decision, Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.machine import Step
from keyswitch.gate.state import Arming, GateState, Quiet, Session, Upload
from keyswitch.policy.enums import InputType
from keyswitch.policy.model import Policy, Value
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc

_U16, _U32, _I32 = Struct("<H"), Struct("<I"), Struct("<i")
_TIMERS: Final = {number: timer for timer, number in TIMERS.items()}
_PROOFS: Final = {number: proof for proof, number in PROOFS.items()}
_FLAGS: Final = (
    *("session", "ending", "uploading"),
    *("first_trial", "reset_pending", "service_shown", "down"),
)


def _pairs(bits: int) -> list[int]:
    """A set of image pairs, in the order of their numbers."""
    return [pair for pair in range(bits.bit_length()) if bits >> pair & 1]


class Heard:
    """What the core has said about one policy, read from front to back."""

    def __init__(self, policy: Policy, data: bytes) -> None:
        self.policy, self._data, self._at = policy, data, 0
        self._modes, self._inhibits = list(policy.modes), inhibits_of(policy)

    def step(self) -> Step:
        """What a step did. Which transitions it took is not told."""
        refused = self._refused()
        effects = tuple(self._effect() for _ in range(self._u16()))
        done = Step(state=self._state(), effects=effects, refused=refused)
        assert self._at == len(self._data)
        return done

    def decision(self) -> Decision:
        """What the door decided."""
        return self._refused() or ALLOWED

    def _take(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        assert len(data) == size
        self._at += size
        return data

    def _u8(self) -> int:
        return self._take(1)[0]

    def _u16(self) -> int:
        return int(_U16.unpack(self._take(2))[0])

    def _u32(self) -> int:
        return int(_U32.unpack(self._take(4))[0])

    def _hash(self) -> bytes:
        return self._take(self._u8())

    def _peers(self) -> frozenset[int]:
        return frozenset(self._u32() for _ in range(self._u8()))

    def _names(self, bits: int) -> frozenset[str]:
        return frozenset(name for bit, name in enumerate(self._inhibits) if bits >> bit & 1)

    def _refused(self) -> Refused | None:
        rc, text = self._u8(), self._take(self._u8()).decode()
        if not rc:
            assert not text
            return None
        word, _, detail = text.partition(": ")
        return Refused(Reason(word), detail, Rc(rc))

    def _effect(self) -> Effect:  # noqa: C901, PLR0911, PLR0912 - a table
        kind, arg = self._u8(), self._u8()
        if kind == 13:
            return do.EndConnections(peers=self._peers(), after_answer=bool(arg))
        if kind == 5:
            return do.WriteTrailer(pair=self._u8(), image=self._hash(), permanent=bool(arg))
        if kind == 8:
            return do.WriteSessionRecord(expected=tuple((pair, self._hash()) for pair in _pairs(arg)))
        value = self._u32()
        match kind:
            case 0:
                return do.StartTimer(timer=_TIMERS[arg], ms=value)
            case 1:
                return do.StopTimer(timer=_TIMERS[arg])
            case 2:
                return do.DropQueued()
            case 3:
                return do.DropReassembly()
            case 4:
                return do.DropUpload(discard=bool(arg))
            case 6:
                return do.Disarm(pair=value)
            case 7:
                return do.ConfirmImage(pair=value)
            case 9:
                return do.ClearSessionRecord()
            case 10:
                return do.MarkStore()
            case 11:
                return do.PersistMode(mode=None if arg == NO_MODE else self._modes[arg])
            case 12:
                return do.ResetNow()
            case 14:
                return do.ShowService(shown=bool(arg))
            case 15:
                return do.Inhibit(names=self._names(value))
            case 16:
                return do.ModeChanged(mode=self._modes[arg])
            case _:
                raise AssertionError(f"no effect has the number {kind}")

    def _state(self) -> GateState:
        mode = self._modes[self._u8()]
        word = self._u16()
        flags = {name: bool(word >> bit & 1) for bit, name in enumerate(_FLAGS)}
        arming, permanent, written, on_trial = (frozenset(_pairs(self._u8())) for _ in range(4))
        owner, quiet, quiet_ms = self._u32() or None, self._u32(), self._u32()
        session = self._session(ending=flags["ending"]) if flags["session"] else None
        armed = tuple(
            Arming(image=self._hash(), permanent=pair in permanent, written=pair in written, pair=pair)
            for pair in sorted(arming)
        )
        return GateState(
            mode=mode,
            connections=self._peers(),
            inputs=tuple(self._value(each.type) for each in self.policy.inputs),
            session=session,
            upload=Upload(owner=owner) if flags["uploading"] else None,
            armed=armed,
            on_trial=on_trial,
            quiet=Quiet(names=self._names(quiet), ms=quiet_ms) if quiet_ms else None,
            **{name: flags[name] for name in ("first_trial", "reset_pending", "service_shown", "down")},
        )

    def _session(self, *, ending: bool) -> Session:
        way, proof, owner, idle_ms = self._u8(), _PROOFS[self._u8()], self._u32() or None, self._u32()
        limited, count = self._u8(), self._u8()
        images = frozenset(self._hash() for _ in range(count))
        return Session(
            way=None if way == NO_TRANSITION else way,
            proof=proof,
            owner=owner,
            images=images if limited else None,
            ending=ending,
            idle_ms=None if idle_ms == NO_LIMIT else idle_ms,
        )

    def _value(self, kind: InputType) -> Value | None:
        known, value = self._u8(), int(_I32.unpack(self._take(4))[0])
        if not known:
            return None
        return bool(value) if kind is InputType.BOOL else value
