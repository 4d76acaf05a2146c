"""What the machine wants done. The caller carries the effects out in the order given, and decides nothing itself.

`GateEffect`s are all that a step can ask for. Those that touch flash must have reached it (synced) before the next one
is begun: the order is the safety.
"""

from dataclasses import dataclass

from keyswitch.gate.events import Timer
from keyswitch.gate.state import PairImages


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """Start the time limit, or start it again; `Expired(timer)` when `ms` are over."""

    timer: Timer
    ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTimer:
    """Forget the time limit; nothing happens if it does not run."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class DropQueued:
    """Forget every request that was received and not yet executed, of every peer."""


@dataclass(frozen=True, slots=True)
class DropReassembly:
    """Forget every half-received frame, of every peer and transport."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropUpload:
    """End the upload session. Attributes: discard: make what was written unusable as well."""

    discard: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTrailer:
    """Mark the image in a pair's other slot for the next boot: hash it again, then write and sync the trailer.

    If the slot's hash is no longer `image`, nothing is written, the rest of this step's effects is dropped, and the
    caller tells `ArmFailed`.
    """

    image: bytes
    permanent: bool
    pair: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disarm:
    """Take a pair's written trailer back: only if the swap type is TEST or PERM, and never during a trial."""

    pair: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmImage:
    """Make the running image of a pair stay."""

    pair: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSessionRecord:
    """Write and sync the single-use record that carries the session across the coming reset (`gate.record.make`).

    Attributes:
        expected: the images that must run afterwards for the session to go on; none: whatever runs, but not on trial.
    """

    expected: PairImages


@dataclass(frozen=True, slots=True)
class ClearSessionRecord:
    """Erase the record, if there is one."""


@dataclass(frozen=True, slots=True)
class MarkStore:
    """Write and sync that this store is in use, so that no later boot finds it blank (`Booted.blank`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistMode:
    """Remember the mode's name for `Booted.mode_before`; None: forget it."""

    mode: str | None


@dataclass(frozen=True, slots=True)
class ResetNow:
    """Reset. An unconfirmed trial is reverted by the bootloader then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndConnections:
    """End these BLE connections. Attributes: after_answer: once the answer at hand was delivered (bounded wait)."""

    peers: frozenset[int]
    after_answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowService:
    """Put the SMP service into the GATT table or take it out, and use the second identity meanwhile if there is one."""

    shown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibit:
    """From now on the application must not do any of these, and may do what is not among them."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeChanged:
    """Advertise, notify and log the mode."""

    mode: str


Effect = (
    StartTimer
    | StopTimer
    | DropQueued
    | DropReassembly
    | DropUpload
    | WriteTrailer
    | Disarm
    | ConfirmImage
    | WriteSessionRecord
    | ClearSessionRecord
    | MarkStore
    | PersistMode
    | ResetNow
    | EndConnections
    | ShowService
    | Inhibit
    | ModeChanged
)
