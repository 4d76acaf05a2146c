"""What comes of a move: the machine's step, and what its effects leave behind, power cuts in between included."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, assert_never, get_args

from keyswitch.gate import effects as do
from keyswitch.gate import record
from keyswitch.gate.authorise import authorise
from keyswitch.gate.decision import Decision, Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import ArmFailed, Event, Expired, InputChanged
from keyswitch.gate.frozen import replace
from keyswitch.gate.machine import Step, step
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy
from keyswitch.prove import environment
from keyswitch.prove.environment import Move
from keyswitch.prove.input_values import Box
from keyswitch.prove.world import OLD, World, boot_event, bootloader, canonical, not_taken, switched_off


@dataclass(frozen=True, slots=True, kw_only=True)
class GateUnderProof:
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
        box: in the explored graph, the values of the inputs for which this is what happens; where an input changes, one
            more place says to what. `before` and `after` hold one of them.
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
    box: Box = ()


_LEASE_LEFT_MS: Final = 1
"""Time is not explored: any rest of a lease is as good as another."""

_InFlash = (
    do.WriteTrailer
    | do.Disarm
    | do.ConfirmImage
    | do.WriteSessionRecord
    | do.ClearSessionRecord
    | do.MarkStore
    | do.PersistMode
)
"""What is written to flash: between any two of these power can be cut."""

_IN_FLASH: Final = get_args(_InFlash)
_ALWAYS_WORTH_KNOWING: Final = (Expired, InputChanged)


def successors(policy: Policy, gate: GateUnderProof, world: World, move: Move) -> Iterator[Edge]:
    """Every outcome of a move; none if the gate or the machine refuses it, or if nothing changes."""
    if move is environment.COME_UP or move.left is not None:
        yield from _come_up(policy, gate, world, move)
    elif move is environment.CUT:
        yield Edge(before=world, move=move, after=switched_off(policy, world))
    elif move is environment.LOCK or move is environment.UNLOCK:
        yield Edge(before=world, move=move, after=replace(world, locked=move is environment.LOCK))
    else:
        done = told(policy, gate, world.gate, move)
        if done is not None:
            yield from follow(policy, gate, world, move, done)


def _come_up(policy: Policy, gate: GateUnderProof, world: World, move: Move) -> Iterator[Edge]:
    if move.left is not None:
        world = replace(world, record=move.left.record, pending=move.left.pending, blank=move.left.blank)
    started, swapped = bootloader(policy, world)
    done = gate.step(policy, started.gate, boot_event(policy, started, not_taken(policy, world)))
    # The record is used up before the machine hears of it.
    for edge in follow(policy, gate, replace(started, record=None, off=False), move, done):
        edge.before, edge.swapped = world, swapped
        yield edge


def told(policy: Policy, gate: GateUnderProof, state: GateState, move: Move) -> Step | None:
    """What the machine makes of a move; None if the door or the machine refuses it, or is not told of it."""
    if move.event is None:
        return None
    if move.command is not None and move.peer is not None:
        decision = gate.authorise(policy, state, move.peer, move.command)
        if isinstance(decision, Refused):
            return None
    done = gate.step(policy, state, move.event)
    return done if done.refused is None else None


class _Draft:
    """A world while a step's effects are carried out: made once for each step, not once for each effect."""

    __slots__ = (
        "_begun",
        "blank",
        "inhibits",
        "locked",
        "mode_before",
        "off",
        "on_trial",
        "pending",
        "record",
        "running",
        "timers",
    )

    def __init__(self, world: World) -> None:
        self._begun = world
        self.pending = world.pending
        self.running = world.running
        self.on_trial = world.on_trial
        self.record = world.record
        self.mode_before = world.mode_before
        self.timers = world.timers
        self.inhibits = world.inhibits
        self.blank = world.blank
        self.locked = world.locked
        self.off = world.off

    def world(self, policy: Policy, gate: GateState) -> World:
        """The world as it is now, under its one name."""
        made = replace(
            self._begun,
            gate=gate,
            pending=self.pending,
            running=self.running,
            on_trial=self.on_trial,
            record=self.record,
            mode_before=self.mode_before,
            timers=self.timers,
            inhibits=self.inhibits,
            blank=self.blank,
            locked=self.locked,
            off=self.off,
            box=(),
        )
        return canonical(policy, switched_off(policy, made) if self.off else made)


def follow(policy: Policy, gate: GateUnderProof, world: World, move: Move, done: Step) -> Iterator[Edge]:
    """What a step leads to: everything it asks for is done, or power is cut in between; none if nothing changes."""
    timers = world.timers - {move.event.timer} if isinstance(move.event, Expired) else world.timers
    if not done.effects and not world.off:
        after = canonical(policy, replace(world, gate=done.state, timers=timers, box=()))
        if isinstance(move.event, _ALWAYS_WORTH_KNOWING) or done.ways or after != world:
            yield Edge(before=world, move=move, after=after, step=done)
        return
    now = _Draft(world)
    now.timers = timers
    written = 0
    for effect in done.effects:
        if isinstance(effect, _IN_FLASH):
            if written or isinstance(effect, do.MarkStore):
                # What RAM held is gone; of the step's writes, those so far have happened.
                off = switched_off(policy, now.world(policy, done.state))
                yield Edge(before=world, move=move, after=off, step=done, cut=True)
            written += 1
        if isinstance(effect, do.WriteTrailer):
            for after, cut in _arming_fails(policy, gate, now.world(policy, done.state), done, effect.pair):
                yield Edge(before=world, move=move, after=after, step=done, failed=True, cut=cut)
        _apply(policy, now, done.state, effect)
    after = now.world(policy, done.state)
    # A time limit that ends and changes nothing is a fact worth knowing: something goes on. Whether an input is another
    # than before is not asked here: no guard would know.
    if isinstance(move.event, _ALWAYS_WORTH_KNOWING) or done.ways or after != world:
        yield Edge(before=world, move=move, after=after, step=done)


def _arming_fails(
    policy: Policy, gate: GateUnderProof, now: World, done: Step, pair: int
) -> Iterator[tuple[World, bool]]:
    """The pair's slot holds another image by now: the rest of the step is off, and the machine is told.

    What was armed beside it is taken back then; power can be cut between these writes as well, which is told.
    """
    told = gate.step(policy, done.state, ArmFailed(pair=pair))
    after = _Draft(now)
    written = 0
    for effect in told.effects:
        if isinstance(effect, _IN_FLASH):
            if written:
                yield switched_off(policy, after.world(policy, told.state)), True
            written += 1
        _apply(policy, after, told.state, effect)
    yield after.world(policy, told.state), False


def _apply(policy: Policy, world: _Draft, state: GateState, effect: Effect) -> None:
    # The most frequent ones first.
    match effect:
        case (
            do.DropQueued()
            | do.DropReassembly()
            | do.DropUpload()
            | do.ModeChanged()
            | do.EndConnections()
            | do.ShowService()
        ):
            pass  # frames, radio and people: a world knows of them by the machine's own state
        case do.StopTimer():
            world.timers -= {effect.timer}
        case do.StartTimer():
            world.timers |= {effect.timer}
        case do.Inhibit():
            world.inhibits = effect.names
        case do.ResetNow():
            world.off = True
        case (
            do.WriteTrailer()
            | do.Disarm()
            | do.ConfirmImage()
            | do.WriteSessionRecord()
            | do.ClearSessionRecord()
            | do.MarkStore()
            | do.PersistMode()
        ):
            _apply_to_flash(policy, world, state, effect)
        case _:
            assert_never(effect)


def _apply_to_flash(policy: Policy, world: _Draft, state: GateState, effect: _InFlash) -> None:
    match effect:
        case do.WriteTrailer():
            others = [each for each in world.pending if each[0] != effect.pair]
            world.pending = tuple(sorted((*others, (effect.pair, effect.image, effect.permanent))))
        case do.Disarm():
            world.pending = tuple(each for each in world.pending if each[0] != effect.pair)
        case do.ConfirmImage():
            running = list(world.running)
            running[effect.pair] = OLD
            world.running, world.on_trial = tuple(running), world.on_trial - {effect.pair}
        case do.WriteSessionRecord():
            world.record = record.make(
                policy,
                state,
                expected=effect.expected,
                token=b"",
                lease_ms=_LEASE_LEFT_MS,
                lease_max_ms=_LEASE_LEFT_MS,
                timeout_ms=_LEASE_LEFT_MS,
            )
        case do.ClearSessionRecord():
            world.record = None
        case do.MarkStore():
            world.blank = False
        case do.PersistMode():
            world.mode_before = effect.mode
        case _:
            assert_never(effect)
