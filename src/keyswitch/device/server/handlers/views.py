"""What a handler may see of the device: for each group of commands a narrow view, and nothing beside it.

`device.server.core.Core` fits every one of them. A handler that needs more asks for it here, where it is seen.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from keyswitch.device.events import DeviceEvent, HolderCredential
from keyswitch.device.server.components import Components
from keyswitch.device.server.core import Counts, KeptHeader, SequenceKey, UploadSession
from keyswitch.gate.decision import Decision, Refused
from keyswitch.gate.events import Event
from keyswitch.gate.lockout import Lockout
from keyswitch.gate.nonces import Nonces
from keyswitch.gate.peer import Peer
from keyswitch.gate.permit_uses import Uses
from keyswitch.gate.state import GateState
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.layout import Layout
from keyswitch.policy.model import Policy
from keyswitch.proof.sequence import SequenceProgress


class Recorder(Protocol):
    """Where a handler says what happened."""

    def note(self, event: DeviceEvent) -> None:
        """Record that this happened."""
        ...


class Machine(Recorder, Protocol):
    """The rules, and the machine that keeps them."""

    @property
    def policy(self) -> Policy:
        """The rules."""
        ...

    @property
    def state(self) -> GateState:
        """What the machine knows now."""
        ...

    def feed(self, event: Event, now_ms: int, credential: HolderCredential | None = None) -> Refused | None:
        """Tell the machine, and carry out what it wants; why it refuses, if it does."""
        ...


class ClockView(Recorder, Protocol):
    """For the clock that a client sets. Attributes: clock: what it was set to, and when; None: it never was."""

    clock: tuple[datetime, int] | None


class SettingsView(Protocol):
    """For the settings group, and for wiping the storage."""

    @property
    def settings(self) -> dict[str, bytes]:
        """Values by name, in memory only."""
        ...


class CountsView(Protocol):
    """For the stat group."""

    @property
    def counts(self) -> Counts:
        """What has happened since boot."""
        ...


class BufferQueues(Protocol):
    """The packet buffers, as far as they are told."""

    def depth(self) -> int:
        """Packets that wait, over all peers."""
        ...


class ServerView(CountsView, Machine, Protocol):
    """For the os group: what the server says about itself, and the reset.

    Attributes:
        loader_asked: the granted reset is to start the firmware loader.
    """

    loader_asked: bool

    @property
    def layout(self) -> Layout:
        """Where the slots lie."""
        ...

    @property
    def queues(self) -> BufferQueues:
        """The buffers of all peers."""
        ...


class FirmwareView(Machine, Protocol):
    """For the image group.

    Attributes:
        upload: the one under way.
        kept: of each image pair, the header of a whole upload that is to be started, and is no image before.
    """

    upload: UploadSession | None
    kept: dict[int, KeptHeader]

    @property
    def slots_shown(self) -> Flash:
        """The flash with those headers in their places."""
        ...

    @property
    def flash(self) -> Flash:
        """With the slots."""
        ...

    @property
    def layout(self) -> Layout:
        """Where the slots lie."""
        ...

    @property
    def active(self) -> tuple[int, ...]:
        """For each image, the slot that it runs from."""
        ...

    @property
    def parts(self) -> Components:
        """What hashes slots and takes uploads."""
        ...


class ProofStore(Protocol):
    """What must have reached the medium before an answer goes out."""

    def save_lockout(self, counts: Mapping[str, int]) -> None:
        """Keep the counts of wrong proofs."""
        ...

    def save_permits(self, used: Uses) -> None:
        """Keep the uses of permits."""
        ...


class ProofSetup(Protocol):
    """What proofs are judged with; the attributes are explained at `keyswitch.device.server.server.Server`."""

    @property
    def memory(self) -> ProofStore:
        """Survives resets."""
        ...

    @property
    def secret(self) -> bytes | None:
        """Shared with operators."""
        ...

    @property
    def issuers(self) -> tuple[bytes, ...]:
        """Public keys that may issue permits."""
        ...

    @property
    def clock_s(self) -> Callable[[], int] | None:
        """The time of day, where the device knows it."""
        ...

    @property
    def random(self) -> Callable[[int], bytes]:
        """Unpredictable bytes."""
        ...

    @property
    def maintenance_address(self) -> str:
        """The address in maintenance, where it is another."""
        ...


class ModeView(Machine, Protocol):
    """For the mode group and the proofs of entry.

    Attributes:
        lockout: wrong proofs so far.
        uses: of permits; None: that count is damaged.
    """

    lockout: Lockout
    uses: Uses | None

    @property
    def setup(self) -> ProofSetup:
        """What proofs are judged with."""
        ...

    @property
    def parts(self) -> Components:
        """What hears and checks proofs."""
        ...

    @property
    def peers(self) -> Mapping[int, Peer]:
        """Who is there."""
        ...

    @property
    def nonces(self) -> Nonces:
        """Those that were given out."""
        ...

    @property
    def sequences(self) -> dict[SequenceKey, SequenceProgress]:
        """Sequences half done."""
        ...

    @property
    def token(self) -> bytes:
        """The session's correlation token."""
        ...

    @property
    def boot_id(self) -> bytes:
        """Drawn at each boot."""
        ...

    @property
    def holder(self) -> bytes | None:
        """Key of whose permit opened the session; None: no permit did."""
        ...

    @property
    def owner_heard_ms(self) -> int:
        """When the session's owner was last heard."""
        ...

    @property
    def ending(self) -> frozenset[int]:
        """Peers whose connections end after their answers."""
        ...

    def refusal(self, event: Event) -> Refused | None:
        """Why the machine would refuse this now; nothing changes."""
        ...

    def decide(self, peer: Peer, command: tuple[int, int, int]) -> Decision:
        """What the gate says now to this peer's command (group, id, op)."""
        ...

    def lease_ms(self, now_ms: int) -> int | None:
        """What is left of the lease; None without a lease."""
        ...
