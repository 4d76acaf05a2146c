"""What the gate remembers: frozen, hashable and without a clock, so that the prover can hold millions of them.

A field says only what is true now: there is a `session` exactly while a maintenance mode lasts.
"""

from dataclasses import dataclass

from keyswitch.policy.model import Value
from keyswitch.policy.words import ProofKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One stay in maintenance.

    Attributes:
        way: index of the transition that opened it; its guards must stay true.
        proof: how entry was proved; None: nobody had to (an input that a person operates).
        owner: id of the peer it belongs to; None after that peer has gone, until somebody attaches.
        images: the only image hashes that may be armed; None: no limit.
        ending: the stay is over but for the revert of an unconfirmed trial. Nothing is served any more.
    """

    way: int
    proof: ProofKind | None
    owner: int | None = None
    images: frozenset[bytes] | None = None
    ending: bool = False


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
    """

    image: bytes
    permanent: bool
    written: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GateState:
    """Everything the machine knows.

    Attributes:
        mode: name of the mode.
        inputs: values in the order of `Policy.inputs`; None where nothing was reported yet.
        connections: ids of the connected BLE centrals.
        session: the stay in maintenance, None outside it.
        upload: the running upload.
        arming: what boots next, if not what runs.
        trial: what runs is on trial and not confirmed.
        reset_pending: a reset was granted and takes place when its timer expires.
        service_shown: the SMP service is in the GATT table (and the second identity in use, where there is one).
        down: a reset has been ordered: nothing is served until `Booted`.
    """

    mode: str
    inputs: tuple[Value | None, ...] = ()
    connections: frozenset[int] = frozenset()
    session: Session | None = None
    upload: Upload | None = None
    arming: Arming | None = None
    trial: bool = False
    reset_pending: bool = False
    service_shown: bool = False
    down: bool = False
