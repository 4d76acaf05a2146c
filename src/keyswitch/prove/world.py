"""A device and everything around it that matters to its gate, as one hashable value.

The gate's part is the machine's own state; the rest is what flash, bootloader, timers and people keep for it. Time is
not in it: a time limit that runs may end at any moment, so whatever holds here holds for every length of it.
"""

from dataclasses import dataclass
from typing import Final

from keyswitch.gate.events import Booted, Timer
from keyswitch.gate.frozen import replace
from keyswitch.gate.machine import initial
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.state import GateState, Session
from keyswitch.policy.enums import SessionRule
from keyswitch.policy.model import Policy, Value

OLD: Final = b"old"
"""The image that runs when an update begins; a confirmed image becomes it."""
NEW: Final = b"new"
"""An image that a permit allows."""
OTHER: Final = b"other"
"""An image that no permit allows."""

FIRST: Final = 1
"""The first BLE central; with an owned session, the owner if it is one."""
SECOND: Final = 2
OFF_BLE: Final = 3
"""A peer on UDP or a serial line."""


@dataclass(frozen=True, slots=True)
class World:
    """One moment.

    Attributes:
        gate: the machine's state.
        pending: the trailer in flash: image, and whether it is permanent; None: none is armed.
        running: the image that runs.
        trial: it is on trial as far as flash knows: the bootloader reverts it at the next start.
        record: the session record in flash.
        mode_before: the mode in flash.
        timers: the time limits that run.
        inhibits: what the application must not do.
        blank: nothing was ever written to the store in flash.
        locked: wrong proofs have locked entry out for a while.
        off: without power, or resetting: the next thing that happens is that it comes up.
        box: in the explored graph, all the values of the inputs that this world stands for (`prove.input_values`);
            `gate.inputs` is one of them. Empty: for `gate.inputs` alone.
    """

    gate: GateState
    pending: tuple[bytes, bool] | None = None
    running: bytes = OLD
    trial: bool = False
    record: SessionRecord | None = None
    mode_before: str | None = None
    timers: frozenset[Timer] = frozenset()
    inhibits: frozenset[str] = frozenset()
    blank: bool = False
    locked: bool = False
    off: bool = False
    box: tuple[int, ...] = ()

    @property
    def session(self) -> Session | None:
        """The running session."""
        return None if self.off else self.gate.session


def with_inputs(gate: GateState, inputs: tuple[Value | None, ...]) -> GateState:
    """The same state with these inputs."""
    return replace(gate, inputs=inputs)


def switched_off(policy: Policy, world: World) -> World:
    """RAM is gone; flash, inputs and lock-out stay."""
    return replace(
        world,
        gate=replace(initial(policy), inputs=world.gate.inputs),
        timers=frozenset(),
        inhibits=frozenset(),
        off=True,
    )


def bootloader(policy: Policy, world: World) -> tuple[World, bool]:
    """What the bootloader makes of the flash; whether a new image was started.

    What was armed is used up by one start; a trial that was not confirmed is reverted by the next one. Without trials
    (overwrite only, direct-XIP without revert, a firmware loader) whatever was started stays.
    """
    if world.pending is not None:
        image, permanent = world.pending
        trial = not permanent and policy.bootloader.algorithm.has_trial
        return replace(world, pending=None, running=image, trial=trial), True
    if world.trial:
        return replace(world, running=OLD, trial=False), False
    return world, False


def boot_event(policy: Policy, world: World) -> Booted:
    """What the runtime tells the machine after the bootloader."""
    inputs: tuple[tuple[str, Value | None], ...] = tuple(
        (each.name, value) for each, value in zip(policy.inputs, world.gate.inputs, strict=True)
    )
    return Booted(
        record=world.record,
        running=world.running,
        trial=world.trial,
        mode_before=world.mode_before,
        blank=world.blank,
        inputs=inputs,
    )


def canonical(policy: Policy, world: World) -> World:
    """The same moment under its one name.

    What cannot make a difference is dropped: which of two alike centrals is which, who owns what anyone may use, whose
    upload it is (so that anyone may take it over), a lock-out while a session lasts. A confirmed image is the old one.
    """
    gate, session = world.gate, world.gate.session
    if session is not None and session.idle_ms is not None and policy.modes[gate.mode].idle_ms is not None:
        # How short a limit is makes no difference; that it runs does.
        session = replace(session, idle_ms=None)
        gate = replace(gate, session=session)
    if session is not None and session.owner is not None:
        if policy.modes[gate.mode].session is SessionRule.ANYONE:
            gate = replace(gate, session=replace(session, owner=None))
        elif session.owner == SECOND:
            swapped = frozenset({FIRST, SECOND}) if len(gate.connections) == len((FIRST, SECOND)) else {FIRST}
            gate = replace(gate, session=replace(session, owner=FIRST), connections=frozenset(swapped))
    if gate.connections == _ONLY_SECOND and (gate.session is None or gate.session.owner != FIRST):
        gate = replace(gate, connections=_ONLY_FIRST)
    if gate.upload is not None and gate.upload.owner is not None:
        gate = replace(gate, upload=replace(gate.upload, owner=None))
    running = world.running if world.trial or world.off else OLD
    locked = world.locked and session is None
    if gate is world.gate and running == world.running and locked == world.locked:
        return world
    return replace(world, gate=gate, running=running, locked=locked)


_ONLY_FIRST: Final = frozenset({FIRST})
_ONLY_SECOND: Final = frozenset({SECOND})
