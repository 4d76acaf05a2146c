"""The device without its radio, its files and its clock: peers, packets and time in, answers and effects out.

Rules kept here:

* Nothing is executed when it is received: a packet waits in its peer's buffers, and the gate is asked for each frame
  in it at the moment that frame is executed, after the timers that are due.
* Buffers are real: each peer has `smp.buf_count` of `smp.buf_size` bytes. What does not fit is answered ENOMEM at once;
  `room` says beforehand, so that a link that can wait is made to wait.
* Peers take turns, one frame each, so that one that floods slows nobody down by more than its share; a peer that does
  not read its answers (`hold`) waits alone.
* Requests that the gate drops are answered with its reason, not executed, and not forgotten in silence.
"""

from collections.abc import Callable
from typing import Any

from keyswitch.device.output import Output
from keyswitch.device.store import Store
from keyswitch.gate.events import Event
from keyswitch.gate.peer import Door, Peer
from keyswitch.mcuboot.bootloader import BootReport
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.layout import Layout
from keyswitch.policy.model import Policy
from keyswitch.smp.groups import mode


class Server:
    """One device.

    Args:
        policy: the rules.
        flash: with the slots; handlers touch nothing else.
        layout: of the slots.
        store: what survives a reset (`StateDir` is one). Written to before the answer that depends on it is returned.
        secret: for entry by challenge; None: nobody can enter that way.
        random: `random(n)` gives n unpredictable bytes.
        maintenance_address: BLE address in maintenance, if it is another one than outside; told by `enter`.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        flash: Flash,
        layout: Layout,
        store: Store,
        secret: bytes | None,
        random: Callable[[int], bytes],
        maintenance_address: str = "",
    ) -> None:
        raise NotImplementedError

    def boot(self, report: BootReport, now_ms: int) -> Output:
        """Come up after the bootloader: always the first call, and the first after `ResetNow` or a power cut.

        All that was in RAM is gone: peers, queues, upload. The session record is taken from the store (and erased).
        """
        raise NotImplementedError

    def peer_connected(self, peer: Peer, now_ms: int) -> Output:
        """A central has connected, or a UDP or serial peer has sent its first packet. Its `id` was never used before."""
        raise NotImplementedError

    def peer_changed(self, peer: Peer) -> None:
        """The same peer (same `id`), now with another security."""
        raise NotImplementedError

    def peer_gone(self, peer_id: int, now_ms: int) -> Output:
        """The link has ended, or the runtime has forgotten a UDP or serial peer. Its queued requests are dropped."""
        raise NotImplementedError

    def receive(self, peer_id: int, packet: bytes, now_ms: int, *, door: Door = Door.SMP) -> Output:
        """Queue one whole packet. Answers only if it cannot be queued."""
        raise NotImplementedError

    def too_large(self, peer_id: int, header: bytes, *, door: Door = Door.SMP) -> Output:
        """Answer a packet that a receiver dropped because it is larger than `smp.buf_size` (`Dropped.header`)."""
        raise NotImplementedError

    def room(self, peer_id: int) -> int:
        """How many more packets this peer may send now; at 0, a link that can wait should."""
        raise NotImplementedError

    def hold(self, peer_id: int, *, held: bool) -> None:
        """Execute nothing for this peer while it does not take its answers."""
        raise NotImplementedError

    def run_one(self, now_ms: int) -> Output | None:
        """Fire the timers that are due, then execute one queued frame; None if there was neither."""
        raise NotImplementedError

    def event(self, event: Event, now_ms: int) -> Output:
        """Tell the gate what happened outside: `InputChanged`, `ButtonHeld`, `SelfConfirmed`."""
        raise NotImplementedError

    def due(self, now_ms: int) -> Output:
        """Fire the timers that are due. Call it when `next_due_ms` has come."""
        raise NotImplementedError

    def next_due_ms(self) -> int | None:
        """When the next timer is due; None if none runs."""
        raise NotImplementedError

    def status(self, now_ms: int) -> dict[str, Any]:
        """For the panel: mode, lease_ms, gate ("open" or "shut"), running, slots."""
        raise NotImplementedError

    def state_value(self, now_ms: int) -> mode.StateValue:
        """What the state characteristic says now."""
        raise NotImplementedError

    def beacon(self) -> mode.Beacon:
        """What the advertisement says now."""
        raise NotImplementedError
