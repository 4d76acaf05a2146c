"""What the device is made of, as values: a test that wants a fault puts another part in, and nothing else changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from keyswitch.device.server.checks import CHECKS, Check
from keyswitch.device.server.queue import Queues
from keyswitch.gate import authorise as gate
from keyswitch.gate import hearing, lockout, machine, visibility
from keyswitch.gate.decision import Decision
from keyswitch.gate.events import Event
from keyswitch.gate.hearing import HearingRule
from keyswitch.gate.lockout import Lockout
from keyswitch.gate.machine import Step
from keyswitch.gate.nonces import Nonces
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.gatt.server import GattServer
from keyswitch.mcuboot import bootloader, slots
from keyswitch.mcuboot.bootloader import BootConfig, BootReport
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.image import ImageFault
from keyswitch.mcuboot.layout import Layout, Slot, max_image_size
from keyswitch.mcuboot.trailer import SwapType
from keyswitch.policy.model import LockoutSettings, Policy
from keyswitch.proof import challenge, sequence
from keyswitch.proof.challenge import Challenge
from keyswitch.smp.framing import Receiver, ble, console, udp
from keyswitch.terms import Transport


class Writer(Protocol):
    """Takes an upload; `keyswitch.mcuboot.slots.SlotWriter` is one."""

    @property
    def received(self) -> int:
        """Bytes taken so far."""
        ...

    @property
    def header(self) -> bytes:
        """What was kept back of an image that starts because it lies there; else empty."""
        ...

    def write(self, data: bytes) -> None:
        """Take the next piece."""
        ...

    def erase_ahead(self, length: int) -> bool:
        """Erase the next sector of an image of `length` bytes early; false if there is nothing to do."""
        ...

    def finish(self) -> None:
        """Make all of it durable."""
        ...


class ArmImage(Protocol):
    """Marks an image for the next boot; `keyswitch.mcuboot.slots.arm` is one."""

    def __call__(self, flash: Flash, layout: Layout, slot: Slot, *, permanent: bool) -> slots.ArmResult:
        """See `keyswitch.mcuboot.slots.arm`."""
        ...


class Boot(Protocol):
    """Boots once; `keyswitch.mcuboot.bootloader.boot` is one."""

    def __call__(
        self, flash: Flash, config: BootConfig, *, counters: tuple[int, ...] = (), loader_asked: bool = False
    ) -> BootReport:
        """See `keyswitch.mcuboot.bootloader.boot`."""
        ...


def receiver_for(transport: Transport, max_packet: int) -> Receiver:
    """A new connection's receiver for packets of at most `max_packet` bytes."""
    match transport:
        case Transport.BLE:
            return ble.BleReceiver(max_packet)
        case Transport.UDP:
            return udp.UdpReceiver(max_packet)
        case Transport.SERIAL:
            return console.ConsoleReceiver(max_packet)


class Advance(Protocol):
    """Takes one step of a sequence; `keyswitch.proof.sequence.advance` is one."""

    def __call__(
        self, progress: sequence.SequenceProgress | None, step: int, *, steps: int, window_ms: int, now_ms: int
    ) -> sequence.SequenceProgress | sequence.Opens | sequence.WrongStep:
        """See `keyswitch.proof.sequence.advance`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The parts, each with its one real implementation as default.

    Attributes:
        authorise: the one door in front of every handler.
        may_access_smp: whether a peer may access the SMP characteristic, where each access asks.
        checks: what a frame has to pass before its handler sees it; one of them asks the door.
        step: the mode machine.
        queues: the buffers of all peers, for so many packets of each.
        hearing: whether a proof is looked at at all.
        nonces: those given out.
        lockout: what wrong proofs cost, from what was stored.
        mac: whether a challenge is answered.
        advance: what a step of a sequence does.
        receiver: framing, one receiver for each connection.
        writer: takes uploads.
        max_image_size: what an upload may be at most.
        computed_hash: over what really lies in a slot.
        arm: marks an image for the next boot.
        disarm: takes that back.
        confirm: keeps the running image.
        boot: the bootloader.
        gatt_server: serves GATT; for whoever makes the device's radio.
    """

    authorise: Callable[[Policy, GateState, Peer, tuple[int, int, int]], Decision] = gate.authorise
    may_access_smp: Callable[[Policy, GateState, Peer], bool] = visibility.may_access_smp
    checks: tuple[Check, ...] = CHECKS
    step: Callable[[Policy, GateState, Event], Step] = machine.step
    queues: Callable[[int], Queues] = Queues
    hearing: tuple[HearingRule, ...] = hearing.RULES
    nonces: Callable[[], Nonces] = Nonces
    lockout: Callable[[LockoutSettings, Mapping[str, int], int], Lockout] = lockout.restore
    mac: Callable[[bytes, Challenge, bytes], bool] = challenge.verify
    advance: Advance = sequence.advance
    receiver: Callable[[Transport, int], Receiver] = receiver_for
    writer: Callable[[Flash, Layout, Slot, int], Writer] = slots.SlotWriter
    max_image_size: Callable[[Layout, int], int] = max_image_size
    computed_hash: Callable[[Flash, Layout, Slot], bytes | ImageFault] = slots.computed_hash
    arm: ArmImage = slots.arm
    disarm: Callable[[Flash, Layout, int, Sequence[int]], SwapType] = slots.disarm
    confirm: Callable[[Flash, Layout, Slot], slots.ArmResult] = slots.confirm
    boot: Boot = bootloader.boot
    gatt_server: Callable[..., GattServer] = GattServer
