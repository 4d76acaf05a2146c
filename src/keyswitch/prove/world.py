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
from keyswitch.gate.state import GateState, PairImages, Session
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


Pending = tuple[tuple[int, bytes, bool], ...]
"""Trailers in flash: number of the image pair, image, and whether it is permanent; in the order of the numbers."""


@dataclass(frozen=True, slots=True)
class World:
    """One moment.

    Attributes:
        gate: the machine's state.
        pending: what is armed in flash.
        running: the image that runs, for each image pair.
        on_trial: numbers of the pairs on trial as far as flash knows: the bootloader reverts them at the next start.
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
    pending: Pending = ()
    running: tuple[bytes, ...] = (OLD,)
    on_trial: frozenset[int] = frozenset()
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


def before_power(policy: Policy, *, blank: bool = False) -> World:
    """The device before it comes up for the first time, with an old image in each pair."""
    start = World(gate=initial(policy), running=(OLD,) * len(policy.bootloader.pairs), blank=blank)
    return switched_off(policy, start)


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
    (overwrite only, direct-XIP without revert, a firmware loader) whatever was started stays. All pairs are
    exchanged in one start, however often power is cut in it (MCUboot goes on where it was, pair by pair). As MCUboot
    has it, a pair on trial is not reverted while one with a higher number is to be exchanged: it may be one update that
    was cut off.
    """
    if not world.pending and not world.on_trial:
        return world, False
    running = list(world.running)
    trials = frozenset(
        pair for pair, _, permanent in world.pending if not permanent and policy.bootloader.has_trials(pair)
    )
    last = max((pair for pair, _, _ in world.pending), default=-1)
    kept = frozenset(pair for pair in world.on_trial if pair < last)
    for pair in world.on_trial - kept:
        running[pair] = OLD
    for pair, image, _ in world.pending:
        running[pair] = image
    on_trial = kept | trials
    return replace(world, pending=(), running=tuple(running), on_trial=on_trial), bool(world.pending)


def not_taken(policy: Policy, world: World) -> PairImages:
    """Of the images that the record in flash names, those that stay where they lie: nobody asks for the copy.

    Power was cut between the record and their trailers. Whether a copy that was asked for takes place, or the
    bootloader refuses the image and erases it, nobody can tell afterwards: to the machine both are one.
    """
    pairs, asked = policy.bootloader.pairs, {pair for pair, _, _ in world.pending}
    named = () if world.record is None else world.record.expected
    return tuple(each for each in named if each[0] < len(pairs) and pairs[each[0]].copied and each[0] not in asked)


def boot_event(policy: Policy, world: World, waiting: PairImages = ()) -> Booted:
    """What the runtime tells the machine after the bootloader. Attributes: waiting: `not_taken` before it."""
    inputs: tuple[tuple[str, Value | None], ...] = tuple(
        (each.name, value) for each, value in zip(policy.inputs, world.gate.inputs, strict=True)
    )
    return Booted(
        record=world.record,
        running=tuple(
            b"" if pair.copied else image for pair, image in zip(policy.bootloader.pairs, world.running, strict=True)
        ),
        waiting=waiting,
        on_trial=world.on_trial,
        mode_before=world.mode_before,
        blank=world.blank,
        inputs=inputs,
    )


def canonical(policy: Policy, world: World) -> World:
    """The same moment under its one name.

    What cannot make a difference is dropped: which of two alike centrals is which, who owns what anyone may use, whose
    upload it is (so that anyone may take it over), a lock-out while a session lasts. A confirmed image is the old one;
    so is one that the bootloader has copied, unless a trial could still take back what was started with it.
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
    running = world.running
    if not world.off and running != _all_old(len(running)):
        running = tuple(
            image if pair in world.on_trial or (world.on_trial and policy.bootloader.pairs[pair].copied) else OLD
            for pair, image in enumerate(running)
        )
    locked = world.locked and session is None
    if gate is world.gate and running == world.running and locked == world.locked:
        return world
    return replace(world, gate=gate, running=running, locked=locked)


def _all_old(pairs: int) -> tuple[bytes, ...]:
    return _OLD[:pairs]


_OLD: Final = (OLD,) * 16
_ONLY_FIRST: Final = frozenset({FIRST})
_ONLY_SECOND: Final = frozenset({SECOND})
