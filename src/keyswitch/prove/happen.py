"""What comes of a move: the machine's step, and what its effects leave behind, power cuts in between included."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from keyswitch.gate import effects as do
from keyswitch.gate import record
from keyswitch.gate.authorise import authorise
from keyswitch.gate.decision import Decision, Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import ArmFailed, Event, Expired
from keyswitch.gate.machine import Step, step
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy
from keyswitch.prove import moves
from keyswitch.prove.moves import Move
from keyswitch.prove.world import OLD, World, boot_event, bootloader, canonical, switched_off


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What is proved: the machine and the door. Tests put broken ones here, and expect to hear of it."""

    step: Callable[[Policy, GateState, Event], Step] = step
    authorise: Callable[[Policy, GateState, Peer, tuple[int, int, int]], Decision] = authorise


@dataclass(slots=True)
class Edge:
    """One move in one world, and one of the worlds it can lead to.

    Attributes:
        before: where it happened.
        move: what happened.
        step: what the machine made of it; None where it was not told.
        after: where it led.
        cut: power was cut between two of the step's writes to flash.
        failed: the image in the slot was not the one that was armed.
        swapped: the bootloader started another image.
    """

    before: World
    move: Move
    after: World
    step: Step | None = None
    cut: bool = False
    failed: bool = False
    swapped: bool = False


_LEASE_LEFT_MS: Final = 1
"""Time is not explored: any rest of a lease is as good as another."""

_FLASH: Final = (
    do.WriteTrailer,
    do.Disarm,
    do.ConfirmImage,
    do.WriteSessionRecord,
    do.ClearSessionRecord,
    do.PersistMode,
)


def happen(policy: Policy, gate: Gate, world: World, move: Move) -> Iterator[Edge]:
    """Every outcome of a move; none if the gate or the machine refuses it, or if nothing changes."""
    if move is moves.COME_UP:
        started, swapped = bootloader(policy, world)
        told = boot_event(policy, started)
        # The record is used up before the machine hears of it.
        for edge in _carry_out(policy, gate, replace(started, record=None, off=False), move, told):
            edge.before, edge.swapped = world, swapped
            yield edge
    elif move is moves.CUT:
        yield Edge(before=world, move=move, after=switched_off(policy, world))
    elif move is moves.LOCK or move is moves.UNLOCK:
        yield Edge(before=world, move=move, after=replace(world, locked=move is moves.LOCK))
    elif move.event is not None:
        if move.command is not None and move.peer is not None:
            decision = gate.authorise(policy, world.gate, move.peer, move.command)
            if isinstance(decision, Refused):
                return
        yield from _carry_out(policy, gate, world, move, move.event)


def _carry_out(policy: Policy, gate: Gate, world: World, move: Move, event: Event) -> Iterator[Edge]:
    done = gate.step(policy, world.gate, event)
    if done.refused is not None:
        return
    now = world
    if isinstance(event, Expired):
        now = replace(now, timers=now.timers - {event.timer})
    written = 0
    for effect in done.effects:
        if isinstance(effect, _FLASH):
            if written:
                # What RAM held is gone; of the step's writes, those so far have happened.
                off = switched_off(policy, now)
                yield Edge(before=world, move=move, after=canonical(policy, off), step=done, cut=True)
            written += 1
        if isinstance(effect, do.WriteTrailer):
            after = _arming_fails(policy, gate, now, done)
            yield Edge(before=world, move=move, after=after, step=done, failed=True)
        now = _apply(policy, now, done.state, effect)
    after = switched_off(policy, replace(now, gate=done.state)) if now.off else replace(now, gate=done.state)
    after = canonical(policy, after)
    if after != world or done.ways:
        yield Edge(before=world, move=move, after=after, step=done)


def _arming_fails(policy: Policy, gate: Gate, now: World, done: Step) -> World:
    """The slot holds another image by now: the rest of the step is off, and the machine is told."""
    told = gate.step(policy, done.state, ArmFailed())
    after = now
    for effect in told.effects:
        after = _apply(policy, after, told.state, effect)
    return canonical(policy, replace(after, gate=told.state))


def _apply(policy: Policy, world: World, state: GateState, effect: Effect) -> World:
    hand = _HANDS.get(type(effect))
    return world if hand is None else hand(policy, world, state, effect)


def _write_record(policy: Policy, world: World, state: GateState, effect: do.WriteSessionRecord) -> World:
    kept = record.make(
        policy, state, image=effect.image, token=b"", lease_ms=_LEASE_LEFT_MS, lease_max_ms=_LEASE_LEFT_MS
    )
    return replace(world, record=kept)


_Hand = Callable[[Policy, World, GateState, Any], World]

_HANDS: Final[dict[type[Effect], _Hand]] = {
    do.StartTimer: lambda _p, world, _s, effect: replace(world, timers=world.timers | {effect.timer}),
    do.StopTimer: lambda _p, world, _s, effect: replace(world, timers=world.timers - {effect.timer}),
    do.WriteTrailer: lambda _p, world, _s, effect: replace(world, pending=(effect.image, effect.permanent)),
    do.Disarm: lambda _p, world, _s, _e: replace(world, pending=None),
    do.ConfirmImage: lambda _p, world, _s, _e: replace(world, running=OLD, trial=False),
    do.WriteSessionRecord: _write_record,
    do.ClearSessionRecord: lambda _p, world, _s, _e: replace(world, record=None),
    do.PersistMode: lambda _p, world, _s, effect: replace(world, mode_before=effect.mode),
    do.Inhibit: lambda _p, world, _s, effect: replace(world, inhibits=effect.names),
    do.ResetNow: lambda _p, world, _s, _e: replace(world, off=True),
}
"""What is not here leaves no trace in a world: it is about frames, radio and people."""
