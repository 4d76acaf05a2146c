"""What the gate remembers: frozen, hashable and without a clock, so that the prover can hold millions of them.

A field says only what is true now: there is a `session` exactly while a maintenance mode lasts.
"""

from dataclasses import dataclass

from keyswitch.frozen import quickly_made
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import Mode, Value

PairImages = tuple[tuple[int, bytes], ...]
"""Hashes of images, each with the number of its image pair: in rising order of the numbers, each number once."""


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One stay in maintenance.

    Attributes:
        way: index of the transition whose guards must stay true: the one that opened it. None: it was opened under
            another revision of the policy, and no single transition of this one says all that binds it
            (`gate.guards.binding`).
        proof: how entry was proved; None: nobody had to (an input that a person operates).
        owner: id of the peer it belongs to; None after that peer has gone, until somebody attaches.
        images: the only image hashes that may be armed; None: no limit.
        ending: the stay is over but for the revert of an unconfirmed trial. Nothing is served any more.
        idle_ms: the idle limit it was opened with, where that is shorter than the mode's own.
    """

    way: int | None
    proof: ProofKind | None
    owner: int | None = None
    images: frozenset[bytes] | None = None
    ending: bool = False
    idle_ms: int | None = None


def least(*limits_ms: int | None) -> int | None:
    """The shortest of these time limits; None is none."""
    return min((each for each in limits_ms if each is not None), default=None)


def idle_limit_ms(mode: Mode, session: Session | None) -> int | None:
    """How long a stay in `mode` may be idle; None: without limit."""
    return least(mode.idle_ms, None if session is None else session.idle_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A running upload. Attributes: owner: id of the peer that sends it; None after that peer has gone."""

    owner: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arming:
    """An image marked for the next boot.

    Attributes:
        image: its hash, computed over the slot by this device.
        permanent: without a trial.
        written: the trailer is in flash. False: remembered only (`arm = "late"`).
        pair: number of its image pair.
    """

    image: bytes
    permanent: bool
    written: bool
    pair: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """What stays inhibited after firmware was worked on, until `Timer.QUIET` is reached.

    Attributes:
        names: what the application must not do, whatever the mode is.
        ms: how long after the last command that can change firmware.
    """

    names: frozenset[str]
    ms: int


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """Everything the machine knows.

    Attributes:
        mode: name of the mode.
        inputs: values in the order of `Policy.inputs`; None where nothing was reported yet.
        connections: ids of the connected BLE centrals.
        session: the stay in maintenance, None outside it.
        upload: the running upload.
        armed: what boots next, if not what runs: at most one image of each pair, in the order of their numbers.
        on_trial: numbers of the image pairs of which what runs is on trial and not confirmed.
        first_trial: the first gated image that this device runs is on trial, outside any session: it may be asked
            about and confirmed, and nothing else happens until then (`gate.boot`).
        reset_pending: a reset was granted and takes place when its timer expires.
        service_shown: the SMP service is in the GATT table (and the second identity in use, where there is one).
        quiet: what stays inhibited for a while, None if nothing does.
        down: a reset has been ordered: nothing is served until `Booted`.
    """

    mode: str
    inputs: tuple[Value | None, ...] = ()
    connections: frozenset[int] = frozenset()
    session: Session | None = None
    upload: Upload | None = None
    armed: tuple[Arming, ...] = ()
    on_trial: frozenset[int] = frozenset()
    first_trial: bool = False
    reset_pending: bool = False
    service_shown: bool = False
    quiet: Quiet | None = None
    down: bool = False

    @property
    def trial(self) -> bool:
        """Whether anything that runs is on trial: a trial of several images ends when each is confirmed."""
        return bool(self.on_trial)

    def armed_of(self, pair: int) -> Arming | None:
        """What boots next of this image pair, if not what runs."""
        return next((each for each in self.armed if each.pair == pair), None)
