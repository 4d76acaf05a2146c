"""What happens to a gate. The caller knows the time; the machine only hears that a time limit was reached (`Expired`).

Who calls: the device's server, in this order for each frame: timers that are due, then the frame. An event that
carries a `Peer` must carry what the device knows of it, never what the peer said.
"""

from dataclasses import dataclass
from enum import StrEnum

from keyswitch.frozen import quickly_made
from keyswitch.gate.peer import Peer
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.state import PairImages
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import Value


class Timer(StrEnum):
    """The time limits that the machine starts and stops. At most one of each runs."""

    __hash__ = str.__hash__  # as the word that it equals, and not in Python: the prover looks it up by the thousand

    TIMEOUT = "timeout"
    """The mode's own `timeout_s`."""
    LEASE = "lease"
    LEASE_MAX = "lease_max"
    """The limit that extensions cannot move."""
    IDLE = "idle"
    TRIAL = "trial"
    RESET = "reset"
    """A granted reset, after its answer has had time to leave."""
    QUIET = "quiet"
    """What a mode inhibits stays inhibited until then, whatever the mode is."""


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """The device has come up; always the first event, and the only one that a state of before does not outlive.

    Attributes:
        record: the session record that was found in flash. The caller has erased it before it tells: single use.
        running: hash of the image that runs, for each image pair by its number; empty where nothing is known of it, as
            of one that is only copied (`ImagePair.copied`): what runs of it cannot be read.
        waiting: the image in the other slot of each pair that is only copied, where one lies there: the bootloader has
            not taken it.
        on_trial: numbers of the pairs whose image runs on trial (the bootloader would revert it at the next boot).
        mode_before: what `PersistMode` last saved; None if nothing.
        blank: nothing was ever written to the store: this is the first gated image that this device runs. A record that
            was lost or used up does not make a store blank.
        inputs: values read at boot, by name; an input that is not here has its `initial` value. A session goes on only
            if its guards hold for these.
    """

    record: SessionRecord | None = None
    running: tuple[bytes, ...] = ()
    waiting: PairImages = ()
    on_trial: frozenset[int] = frozenset()
    mode_before: str | None = None
    blank: bool = False
    inputs: tuple[tuple[str, Value | None], ...] = ()

    @property
    def trial(self) -> bool:
        """Whether anything runs on trial."""
        return bool(self.on_trial)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A BLE central has connected. Other transports know no connections and tell nothing."""

    peer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """A peer has gone: a BLE central's link has ended, or the server has forgotten a UDP or serial peer."""

    peer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterProved:
    """A peer asked for a mode and its proof was verified (`OnEnter` without proofs: `proof` is None).

    Attributes:
        peer: who.
        to: the mode asked for.
        proof: the kind that was verified.
        images: the permit's limit.
    """

    peer: Peer
    to: str
    proof: ProofKind | None = None
    images: frozenset[bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachProved:
    """A peer has proved that the session is its own: by the kind of proof that opened it, made for attaching."""

    peer: Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveAsked:
    """A peer asked to leave."""

    peer: Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendAsked:
    """A peer asked for the lease to start again."""

    peer: Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class InputChanged:
    """An input has this value now; None: it can no longer be read."""

    name: str
    value: Value | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonHeld:
    """The button has been held this long, and was let go or has reached the longest hold that matters."""

    hold_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """A time limit that the machine started was reached."""

    timer: Timer


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStarted:
    """A peer's first chunk is about to be written, or its next one after the upload lost its owner.

    Attributes: peer: who; pair: number of the image pair whose slot changes.
    """

    peer: Peer
    pair: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadEnded:
    """The upload is complete, or was given up (an error, an erase)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmAsked:
    """A peer asked for an image to boot next.

    Attributes:
        peer: who.
        image: the hash computed over the slot, not the one that the peer claims.
        permanent: without a trial.
        pair: number of the image pair in whose slot it was found.
    """

    peer: Peer
    image: bytes
    permanent: bool
    pair: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFailed:
    """`WriteTrailer` found another hash in the slot than the one that was armed, or could not write.

    Attributes: pair: number of the image pair.
    """

    pair: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetAsked:
    """A peer asked for a reset."""

    peer: Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmAsked:
    """A peer asked to confirm the running image of one pair; the application does so by `SelfConfirmed`.

    Attributes: peer: who; pair: number of the image pair.
    """

    peer: Peer
    pair: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfConfirmed:
    """The application says that what runs is good, the images of all pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareCommand:
    """A command that can change firmware was let through and is about to be executed, with whatever success."""

    peer: Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandServed:
    """A command of this peer was executed and answered without an error (asking in the mode group does not count)."""

    peer: Peer


Event = (
    Booted
    | Connected
    | Disconnected
    | EnterProved
    | AttachProved
    | LeaveAsked
    | ExtendAsked
    | InputChanged
    | ButtonHeld
    | Expired
    | UploadStarted
    | UploadEnded
    | ArmAsked
    | ArmFailed
    | ResetAsked
    | ConfirmAsked
    | SelfConfirmed
    | FirmwareCommand
    | CommandServed
)
