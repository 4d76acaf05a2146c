"""What must never happen. A rule is a value: it looks at one edge, and says what is wrong with it.

Each rule stands for one promise of the gate. All but the first two are promises of the machine, whatever the policy
says; a policy cannot break them, a mistake in the machine can.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Final, NamedTuple

from keyswitch.gate import effects as do
from keyswitch.gate.decision import Allowed, Refused
from keyswitch.gate.events import (
    ArmAsked,
    ButtonHeld,
    ConfirmAsked,
    EnterProved,
    Event,
    Expired,
    FirmwareCommand,
    InputChanged,
    ResetAsked,
    Timer,
    UploadStarted,
)
from keyswitch.gate.guards import must_leave, opens, session_failing, strictest
from keyswitch.gate.machine import Step
from keyswitch.gate.peer import Peer
from keyswitch.gate.record import SessionRecord, entry_at
from keyswitch.gate.state import GateState, least
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import Arm, Confirm, SessionRule, Visibility
from keyswitch.policy.firmware_commands import FIRMWARE_COMMANDS
from keyswitch.policy.model import OnButton, OnEnter, OnInput, Policy, Transition
from keyswitch.prove import environment
from keyswitch.prove.successors import Edge, GateUnderProof
from keyswitch.prove.world import FIRST, OLD, SECOND, World, bootloader
from keyswitch.smp.commands import ALL_KEYS, CommandKey, command_name, resolve
from keyswitch.smp.groups import mode as mode_group
from keyswitch.smp.header import Op
from keyswitch.terms import Security, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenPromise:
    """What is wrong with an edge. Attributes: subject: what it is about (one trace for each); text: in words."""

    subject: str
    text: str


Check = Callable[[Edge], Iterator[BrokenPromise]]


class Traits(NamedTuple):
    """What can be seen of an edge at a glance: which rules it can break at all.

    Attributes:
        boots: the device was without power, or resetting.
        runs: it is not afterwards.
        in_session_before: a session lasted before.
        in_session: one lasts afterwards.
        acts: the machine asked for something.
        takes_ways: transitions were taken.
        swapped: the bootloader started another image.
        first_trial: the first trial runs afterwards.
        entered: the machine was told that a proof holds.
    """

    boots: bool
    runs: bool
    in_session_before: bool
    in_session: bool
    acts: bool
    takes_ways: bool
    swapped: bool
    first_trial: bool
    entered: bool


def traits_of(edge: Edge) -> Traits:
    """The traits of this edge."""
    before, after, step = edge.before, edge.after, edge.step
    return Traits(
        before.off,
        not after.off,
        before.session is not None,
        after.session is not None,
        step is not None and bool(step.effects),
        step is not None and bool(step.ways),
        edge.swapped,
        after.gate.first_trial,
        isinstance(edge.move.event, EnterProved),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyRule:
    """One promise.

    Attributes:
        name: in reports and JSON.
        promise: what holds, in one sentence.
        prepare: gives what finds everything that is wrong with one edge.
        of_worlds: it looks at the world after the edge alone, so that one edge into each world is enough.
        worlds: gives what looks at the world after the edge alone, where the rest of the rule looks at every edge.
        concerns: whether an edge with these traits can break the rule. Of an edge that cannot, `prepare` finds nothing.
    """

    name: str
    promise: str
    prepare: Callable[[Policy, GateUnderProof], Check]
    of_worlds: bool = False
    worlds: Callable[[Policy, GateUnderProof], Check] | None = None
    concerns: Callable[[Traits], bool] = lambda _traits: True

    def whole(self, policy: Policy, gate: GateUnderProof) -> Check:
        """All that the rule finds wrong with an edge."""
        check_edge = self.prepare(policy, gate)
        if self.worlds is None:
            return check_edge
        check_world = self.worlds(policy, gate)
        return lambda edge: chain(check_edge(edge), check_world(edge))


def _each(
    check: Callable[[Policy, GateUnderProof, Edge], Iterator[BrokenPromise]],
) -> Callable[[Policy, GateUnderProof], Check]:
    """A rule that has nothing to prepare."""
    return lambda policy, gate: partial(check, policy, gate)


def _firmware(policy: Policy, gate: GateUnderProof) -> Check:
    # What the door says depends on the mode alone outside a session: it is asked once for each mode.
    known: dict[str, tuple[CommandKey, ...]] = {}

    def served(mode: str) -> tuple[CommandKey, ...]:
        state = GateState(mode=mode, inputs=tuple(each.initial for each in policy.inputs))
        return tuple(
            key
            for key in sorted(FIRMWARE_COMMANDS)
            if any(isinstance(gate.authorise(policy, state, peer, key), Allowed) for peer in _EVERYBODY)
        )

    def check(edge: Edge) -> Iterator[BrokenPromise]:
        if edge.after.off or edge.after.session is not None or edge.after.gate.first_trial:
            return
        mode = edge.after.gate.mode
        if mode not in known:
            known[mode] = served(mode)
        for key in known[mode]:
            name = _named(key)
            text = f'{name} is served in mode "{mode}", outside maintenance: it {FIRMWARE_COMMANDS[key]}'
            yield BrokenPromise(subject=f"{mode} {name}", text=text)

    return check


def _named(key: CommandKey) -> str:
    return f"{command_name(key.group, key.id)}:{'read' if key.op == Op.READ else 'write'}"


_EVERYBODY: Final = tuple(
    Peer(id=place, transport=transport, security=security)
    for place, (transport, security) in enumerate((each, most) for each in Transport for most in Security)
)
"""Every transport and every security, the SMP service always visible: what is not seen is not protected."""


def _on_purpose(policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    after = edge.after
    if after.off or not policy.modes[after.gate.mode].maintenance:
        return
    if after.session is None:
        yield BrokenPromise(subject="initial", text=f'the device comes up in maintenance mode "{after.gate.mode}"')
        return
    if not _begins(policy, edge):
        return
    if after.session.way is None:
        yield BrokenPromise(subject="way", text=f'maintenance mode "{after.gate.mode}" begins by no transition')
        return
    way = policy.transitions[after.session.way]
    if _by_a_person(policy, way, edge.move.event):
        return
    text = (
        f'maintenance mode "{after.gate.mode}" begins by transitions[{way.index}] when {edge.move.words}, which is not '
        f"an act of a person. {_needed(policy, way)}"
    )
    yield BrokenPromise(subject=f"transitions[{way.index}]", text=text)


def _begins(policy: Policy, edge: Edge) -> bool:
    """Whether a session begins, rather than goes on (across a reset as well)."""
    if edge.after.session is None:
        return False
    taken = () if edge.step is None else edge.step.ways
    if any(policy.modes[policy.transitions[index].target].maintenance for index in taken):
        return True
    # Whether a session may go on across a reset is asked by "carried-session".
    carried = edge.before.off and edge.before.record is not None and not taken
    return edge.before.session is None and not carried


def _by_a_person(policy: Policy, way: Transition, event: Event | None) -> bool:
    """Whether the event that set the way off is a person's: one who proves, presses, or moves an operated input.

    An operated input that merely rests while something else turns true is nobody's act.
    """
    match way.trigger:
        case OnEnter():
            return isinstance(event, EnterProved) and event.proof is not None
        case OnButton():
            return isinstance(event, ButtonHeld)
        case OnInput():
            asked = {guard.input for guard in way.when if policy.inputs[guard.index].operated}
            return isinstance(event, InputChanged) and event.name in asked
        case _:
            return False


def _needed(policy: Policy, way: Transition) -> str:
    """What to do about a way that is taken at no act of a person."""
    operated = [guard.input for guard in way.when if policy.inputs[guard.index].operated]
    if isinstance(way.trigger, OnInput) and operated:
        return (
            f"Behind it, lead the same mode away when {operated[0]} is moved and another guard is false, into a mode "
            f"that is left when {operated[0]} is moved back; come up in that mode, and leave maintenance into it"
        )
    return "Let a proof, a button, or an input that a person operates set it off"


def _one_session(policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    if edge.before.session is not None and _begins(policy, edge):
        text = f'a maintenance session begins in mode "{edge.after.gate.mode}" in the step that ends another'
        yield BrokenPromise(subject=edge.after.gate.mode, text=f"{text}: what limited the first is forgotten")


def _planned_start(policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    if not edge.swapped or _carried(edge) or edge.move.left is not None:
        return  # what another firmware armed is not this gate's doing: its trial reverts ("trial-ends")
    if policy.update.arm is Arm.EARLY:
        return  # known and reported for what it is: `warnings.early_window`
    yield BrokenPromise(subject="start", text="a new image starts although no session carries it")


def early_window(policy: Policy, edge: Edge) -> bool:
    """Whether this is the window that early arming leaves open: a power cut starts the image outside its session."""
    return policy.update.arm is Arm.EARLY and edge.swapped and not _carried(edge) and edge.move.left is None


def _carried(edge: Edge) -> bool:
    """Whether a session's record expects each image that the bootloader starts."""
    record, pending = edge.before.record, edge.before.pending
    return record is not None and bool(pending) and {(pair, image) for pair, image, _ in pending} <= {*record.expected}


def _trial_as_asked(policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    boot, counts_on = policy.bootloader, _counts_on_a_trial(policy)
    if not edge.swapped or not counts_on:
        return
    # An image that is copied has no trial whatever was asked: the policy says so of it, and is warned of it.
    asked = {pair for pair, _, permanent in edge.before.pending if not permanent and not boot.pairs[pair].copied}
    started, _ = bootloader(policy, edge.before)
    if not asked <= started.on_trial:
        others = ", ".join(f'"{each}"' for each in Algorithm if each.has_trial)
        text = (
            f'the image that was armed for a trial runs for good, confirmed by nobody: "{boot.algorithm}" has no trial '
            f"and no way back, and {counts_on} counts on one. Remove {counts_on}, or use a bootloader that has a trial "
            f"({others})"
        )
        yield BrokenPromise(subject="trial", text=text)


def _counts_on_a_trial(policy: Policy) -> str:
    """The key by which the policy counts on a trial; empty if it does on none."""
    if policy.update.trial_deadline_ms is not None:
        return "update.trial_deadline_s"
    return f'update.confirm = "{Confirm.SELF}"' if policy.update.confirm is Confirm.SELF else ""


def _clean_leave(_policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    before, after = edge.before, edge.after
    if after.off or after.session is not None:
        return
    left = (
        ("an upload", after.gate.upload is not None),
        ("an armed image", bool(after.gate.armed or after.pending)),
        ("a granted reset", after.gate.reset_pending or Timer.RESET in after.timers),
        ("a session record", after.record is not None),
        ("a trial's deadline", Timer.TRIAL in after.timers and not after.gate.first_trial),
    )
    for what, remains in left:
        if remains:
            yield BrokenPromise(subject=what, text=f'{what} remains in mode "{after.gate.mode}", outside maintenance')
    if before.session is not None and edge.step is not None:
        dropped = {type(effect) for effect in edge.step.effects}
        for kind in (do.DropQueued, do.DropReassembly, do.DropUpload):
            if kind not in dropped:
                yield BrokenPromise(subject=kind.__name__, text=f"{kind.__name__} is missing when the session ends")


def _fresh_start(_policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    before, after = edge.before, edge.after
    if before.off or after.off or edge.step is None or before.gate.mode == after.gate.mode:
        return
    dropped = {type(effect) for effect in edge.step.effects}
    for kind in (do.DropQueued, do.DropReassembly):
        if kind not in dropped:
            text = f'{kind.__name__} is missing when "{before.gate.mode}" becomes "{after.gate.mode}"'
            yield BrokenPromise(subject=kind.__name__, text=text)


def _trial_ends(_policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    after = edge.after
    if after.gate.first_trial:
        return  # "first-trial" asks how it ends
    if not after.off and after.session is None and (after.on_trial or after.gate.trial):
        yield BrokenPromise(subject="trial", text=f'an unconfirmed image runs on in mode "{after.gate.mode}"')


def _guards(policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    session, gate = edge.after.session, edge.after.gate
    if session is not None and must_leave(policy, gate, session):
        guard = session_failing(policy, gate, session)
        text = f'maintenance continues although "{guard.text if guard else ""}" does not hold'
        yield BrokenPromise(subject="session", text=text)
    before = edge.before.session
    if edge.step is None or before is None:
        return
    for effect in edge.step.effects:
        if isinstance(effect, do.WriteTrailer) and session_failing(policy, edge.before.gate, before) is not None:
            yield BrokenPromise(subject="arming", text="an image is armed although a guard of the entry does not hold")


def _permits(_policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    session = edge.before.session
    if edge.step is None or session is None or session.images is None:
        return
    for effect in edge.step.effects:
        if isinstance(effect, do.WriteTrailer) and effect.image not in session.images:
            yield BrokenPromise(subject="image", text="an image is armed that the permit does not name")


def _owner(policy: Policy, gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    session, state = edge.after.session, edge.after.gate
    if session is None or policy.modes[state.mode].session is not SessionRule.OWNER:
        return
    for stranger in (FIRST, SECOND):
        if session.owner != stranger:
            peer = Peer(id=stranger, transport=Transport.BLE, security=Security.AUTHENTICATED)
            for key in sorted(policy.modes[state.mode].allow & FIRMWARE_COMMANDS.keys()):
                if isinstance(gate.authorise(policy, state, peer, key), Allowed):
                    text = f"{_named(key)} is served to a peer that does not own the session"
                    yield BrokenPromise(subject=_named(key), text=text)


def _inhibits(policy: Policy, _gate: GateUnderProof) -> Check:
    # Asked of every edge: most policies have no quiet time, and most edges change nothing that is inhibited.
    names = {mode.name: frozenset(mode.inhibits) for mode in policy.modes.values()}
    quiet = any(mode.quiet_after_ms is not None for mode in policy.modes.values())

    def check(edge: Edge) -> Iterator[BrokenPromise]:
        after = edge.after
        if after.off:
            return _NOTHING
        missing = names[after.gate.mode] - after.inhibits
        if missing:
            mode = after.gate.mode
            return iter(
                [BrokenPromise(subject=n, text=f'"{n}" is not inhibited in mode "{mode}"') for n in sorted(missing)]
            )
        return _keeps_quiet(policy, edge) if quiet else _NOTHING

    return check


_NOTHING: Final[Iterator[BrokenPromise]] = iter(())


def _keeps_quiet(policy: Policy, edge: Edge) -> Iterator[BrokenPromise]:
    before, after = edge.before, edge.after
    for name in sorted(_quiet(policy, edge) - after.inhibits):
        yield BrokenPromise(subject=f"{name} afterwards", text=f'"{name}" is not inhibited for the quiet time')
    if _quiet(policy, edge) and Timer.QUIET not in after.timers:
        yield BrokenPromise(subject="quiet time", text="nothing ends the quiet time, or it was ended too early")
    if before.off or edge.step is None or not isinstance(edge.move.event, _FIRMWARE_EVENTS):
        return
    quiet_ms = policy.modes[before.gate.mode].quiet_after_ms
    begun_ms = [e.ms for e in edge.step.effects if isinstance(e, do.StartTimer) and e.timer is Timer.QUIET]
    if quiet_ms is not None and (not begun_ms or begun_ms[-1] < quiet_ms):
        yield BrokenPromise(subject="quiet time", text="a command that can change firmware does not begin it anew")


_FIRMWARE_EVENTS: Final = (FirmwareCommand, UploadStarted, ArmAsked, ResetAsked, ConfirmAsked)
"""What is told of a command that can change firmware."""


def _quiet(policy: Policy, edge: Edge) -> frozenset[str]:
    """What must stay inhibited after this edge, because firmware was worked on not long ago."""
    before, after, event = edge.before, edge.after, edge.move.event
    names = frozenset[str]()
    if before.off:
        record, step = before.record, edge.step
        carried = record is not None and step is not None and step.state.session is not None and not step.ways
        mode = policy.modes.get(record.mode) if record is not None and carried else None
        return frozenset(mode.inhibits) if mode is not None and mode.quiet_after_ms is not None else names
    if before.gate.quiet is not None and event != Expired(timer=Timer.QUIET):
        names |= before.gate.quiet.names
    if isinstance(event, _FIRMWARE_EVENTS) and edge.step is not None:
        mode = policy.modes[before.gate.mode]
        names |= frozenset(mode.inhibits) if mode.quiet_after_ms is not None else names
    return names if after.gate.quiet is None else names | after.gate.quiet.names


def _still_table(policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    if policy.gate.service is not Visibility.RECONNECT or edge.step is None:
        return
    # At boot there are no connections, and a peer that has just gone no longer sees the table.
    connected = edge.step.state.connections
    if connected and any(isinstance(effect, do.ShowService) for effect in edge.step.effects):
        yield BrokenPromise(subject="table", text="the GATT table changes under a connection")


def _visible(policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    after = edge.after
    waiting = policy.gate.service is Visibility.RECONNECT and after.gate.connections
    if after.session is not None and not after.gate.service_shown and not waiting:
        yield BrokenPromise(subject="service", text="maintenance without the SMP service in the table")


def _way_in_is_served(policy: Policy, gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    event = edge.move.event
    if edge.step is None or not isinstance(event, EnterProved) or not _begins(policy, edge):
        return
    session = edge.step.state.session
    if session is None or session.way is None:
        return
    # Before it has a canonical name: the state in which this very peer took the way.
    state = edge.step.state
    way, mode = policy.transitions[session.way], policy.modes[state.mode]
    for command in (_STATE, _LEAVE):
        decision = gate.authorise(policy, state, event.peer, command)
        if isinstance(decision, Refused):
            text = (
                f'{environment.named(event.peer)} enters "{mode.name}" by transitions[{way.index}] and is then refused '
                f"{_named(command)} there ({decision.text})"
            )
            weak = command in mode.allow and event.peer.security < mode.security
            todo = (
                f'Give transitions[{way.index}] security = "{mode.security.word}" too'
                if weak
                else f"Allow {_named(command)} in modes.{mode.name}"
            )
            yield BrokenPromise(subject=f"{mode.name} {mode_group.Id(command.id).name.lower()}", text=f"{text}. {todo}")


_STATE: Final = CommandKey(mode_group.ID, mode_group.Id.STATE, Op.READ)
_LEAVE: Final = CommandKey(mode_group.ID, mode_group.Id.LEAVE, Op.WRITE)


def _carried_session(policy: Policy, _gate: GateUnderProof, edge: Edge) -> Iterator[BrokenPromise]:
    before, step = edge.before, edge.step
    if not before.off or step is None or step.state.session is None or step.ways or edge.cut:
        return
    record, session = before.record, step.state.session
    if record is None:
        yield BrokenPromise(subject="record", text="a session continues that nothing recorded")
        return
    started, _ = bootloader(policy, before)
    own = record.policy == policy.digest
    if not _as_expected(record, started, own=own):
        yield BrokenPromise(subject="image", text="a session continues although another image runs than it expects")
    if record.ending and not session.ending:
        yield BrokenPromise(subject="ending", text="a session continues that was over")
    if record.mode != step.state.mode:
        yield BrokenPromise(
            subject="mode", text=f'a session of mode "{record.mode}" continues in mode "{step.state.mode}"'
        )
        return
    if (record.images, record.proof) != (session.images, session.proof):
        yield BrokenPromise(
            subject="session", text="a session continues with other images or another proof than were recorded"
        )
    yield from _carried_guards(policy, record, step.state)
    yield from _carried_limits(policy, record, step)


def _as_expected(record: SessionRecord, started: World, *, own: bool) -> bool:
    """Whether what runs is what the record names, and nothing else is on trial."""
    if not record.expected:
        return own and not started.on_trial
    named = dict(record.expected)
    runs = all(pair < len(started.running) and started.running[pair] == image for pair, image in record.expected)
    return runs and started.on_trial <= named.keys()


def _whole_revert(policy: Policy, _gate: GateUnderProof) -> Check:
    copied = [number for number, pair in enumerate(policy.bootloader.pairs) if pair.copied]

    def check(edge: Edge) -> Iterator[BrokenPromise]:
        before = edge.before
        if not before.off or not before.on_trial or before.pending:
            return
        back = " and ".join(f"image {number}" for number in sorted(before.on_trial))
        for number in copied:
            if before.running[number] != OLD:
                text = (
                    f"{back} goes back to the one before, and image {number}, which was started with it, does not: the "
                    "bootloader has copied it over the old one. Say update.simultaneous = false and update them one "
                    f'after the other, or bootloader.algorithm = "{Algorithm.OVERWRITE_ONLY}", where nothing goes back'
                )
                yield BrokenPromise(subject=f"image {number}", text=text)

    return check


def _carried_guards(policy: Policy, record: SessionRecord, state: GateState) -> Iterator[BrokenPromise]:
    session = state.session
    if session is None or session.ending:
        return
    into = [way for way in policy.transitions if way.target == record.mode and opens(way, record.proof)]
    known = [way for way in into if record.policy == policy.digest and entry_at(policy, way.index) == record.entry]
    if record.policy == policy.digest and record.entry and not known:
        yield BrokenPromise(subject="way", text="a session continues that no transition of its own policy has opened")
    guards = known[0].when if known else strictest(policy, record.mode, record.proof).guards
    for guard in guards:
        if not guard.holds(state.inputs[guard.index]):
            yield BrokenPromise(
                subject=guard.text, text=f'a session continues after a reset although "{guard.text}" is false'
            )


def _carried_limits(policy: Policy, record: SessionRecord, step: Step) -> Iterator[BrokenPromise]:
    if step.state.down:
        return
    mode = policy.modes[record.mode]
    runs = {effect.timer: effect.ms for effect in step.effects if isinstance(effect, do.StartTimer)}
    limits = {
        Timer.LEASE: least(mode.lease_ms, record.lease_ms),
        Timer.IDLE: least(mode.idle_ms, record.idle_ms),
        Timer.TRIAL: least(policy.update.trial_deadline_ms, record.trial_ms) if step.state.trial else None,
    }
    if record.policy == policy.digest and mode.lease_ms is None:
        limits[Timer.LEASE] = None  # a limit that its own policy has not was never there
    for timer, limit_ms in limits.items():
        if limit_ms is not None and runs.get(timer, limit_ms + 1) > limit_ms:
            yield BrokenPromise(
                subject=timer.value, text=f"a session continues for longer than its {timer.value} has left"
            )


def _first_trial(policy: Policy, _gate: GateUnderProof) -> Check:
    maintenance = [mode for mode in policy.modes.values() if mode.maintenance]
    inhibits = frozenset(name for mode in maintenance for name in mode.inhibits)

    def check(edge: Edge) -> Iterator[BrokenPromise]:
        before, after = edge.before, edge.after
        if after.off or not after.gate.first_trial:
            return
        if before.off and not (before.blank and before.record is None):
            yield BrokenPromise(
                subject="again", text="an image without a session is on trial on a store that was in use"
            )
        if after.blank:
            yield BrokenPromise(
                subject="store", text="the first trial runs, and the store does not say so: it may happen again"
            )
        if after.session is not None or after.gate.mode != policy.initial.name or not after.gate.trial:
            yield BrokenPromise(subject="mode", text="the first trial continues in another mode, or without a trial")
        if Timer.TRIAL not in after.timers:
            yield BrokenPromise(subject="deadline", text="nothing ends the first trial")
        for name in sorted(inhibits - after.inhibits):
            yield BrokenPromise(subject=name, text=f'"{name}" is not inhibited during the first trial')

    return check


def _served_in_first_trial(policy: Policy, gate: GateUnderProof) -> Check:
    asking = frozenset({CommandKey(mode_group.ID, mode_group.Id.STATE, Op.READ)}) | resolve("image.state")
    others = sorted(ALL_KEYS - asking)

    def check(edge: Edge) -> Iterator[BrokenPromise]:
        state = edge.after.gate
        if edge.after.off or not state.first_trial:
            return
        for key in others:
            if any(isinstance(gate.authorise(policy, state, peer, key), Allowed) for peer in _EVERYBODY):
                yield BrokenPromise(subject=_named(key), text=f"{_named(key)} is served during the first trial")

    return check


def _may_begin(traits: Traits) -> bool:
    return traits.in_session and (traits.takes_ways or not traits.in_session_before)


SAFETY: Final = (
    SafetyRule(
        name="firmware-outside-maintenance",
        promise="Only a maintenance mode serves a command that can change firmware or lead to it, on any transport.",
        prepare=_firmware,
        of_worlds=True,
    ),
    SafetyRule(
        name="maintenance-on-purpose",
        promise="Maintenance begins at a person's act: a proof, a button, or an input that is operated just then.",
        prepare=_each(_on_purpose),
        concerns=lambda traits: traits.runs and (not traits.in_session or _may_begin(traits)),
    ),
    SafetyRule(
        name="one-session",
        promise="A maintenance session never turns into another: leaving it comes first, entering again is an act.",
        prepare=_each(_one_session),
        concerns=lambda traits: traits.in_session_before and traits.in_session and traits.takes_ways,
    ),
    SafetyRule(
        name="planned-start",
        promise="No new image starts because of anything done or left outside maintenance.",
        prepare=_each(_planned_start),
        concerns=lambda traits: traits.swapped,
    ),
    SafetyRule(
        name="clean-leave",
        promise="What was begun in maintenance does not continue outside it.",
        prepare=_each(_clean_leave),
        concerns=lambda traits: traits.runs and not traits.in_session,
    ),
    SafetyRule(
        name="fresh-start",
        promise="What was asked, or half asked, in one mode is not executed in another.",
        prepare=_each(_fresh_start),
        concerns=lambda traits: not traits.boots and traits.runs,
    ),
    SafetyRule(
        name="trial-as-asked",
        promise="An image that is armed for a trial starts on trial, where the policy counts on that: by a deadline "
        "for it, or by leaving the confirmation to the application. One that is only copied has none.",
        prepare=_each(_trial_as_asked),
        concerns=lambda traits: traits.swapped,
    ),
    SafetyRule(
        name="trial-ends",
        promise="A trial ends confirmed or reverted, inside maintenance or at boot.",
        prepare=_each(_trial_ends),
        of_worlds=True,
    ),
    SafetyRule(
        name="whole-revert",
        promise="A revert brings back what ran before, of every image that was started with what it takes back.",
        prepare=_whole_revert,
        concerns=lambda traits: traits.boots,
    ),
    SafetyRule(
        name="carried-session",
        promise="A session continues after a reset only where the image that it expects runs, as what it was, no "
        "longer than it had left.",
        prepare=_each(_carried_session),
        concerns=lambda traits: traits.boots,
    ),
    SafetyRule(
        name="first-trial",
        promise="An image on trial outside a session runs only on a store that was never written, once, until it is "
        "confirmed or its deadline comes; meanwhile it can be asked, its slots read, and confirmed.",
        prepare=_first_trial,
        worlds=_served_in_first_trial,
        concerns=lambda traits: traits.first_trial,
    ),
    SafetyRule(
        name="guards",
        promise="Maintenance continues, and an image is armed, only while the guards of the entry are true.",
        prepare=_each(_guards),
        concerns=lambda traits: traits.in_session or (traits.in_session_before and traits.acts),
    ),
    SafetyRule(
        name="permitted-images",
        promise="With a permit that names images, no other image is armed.",
        prepare=_each(_permits),
        concerns=lambda traits: traits.in_session_before and traits.acts,
    ),
    SafetyRule(name="owner", promise="An owned session serves its owner alone.", prepare=_each(_owner), of_worlds=True),
    SafetyRule(
        name="inhibits",
        promise="What a mode inhibits in the application is inhibited as long as the mode lasts, and for its "
        "`quiet_after_s` after the last command in it that can change firmware, but for a power cut.",
        prepare=_inhibits,
    ),
    SafetyRule(
        name="still-table",
        promise="With `reconnect`, the GATT table never changes under a connection.",
        prepare=_each(_still_table),
        concerns=lambda traits: traits.acts,
    ),
    SafetyRule(
        name="visible-in-maintenance",
        promise="In maintenance the SMP service is in the table, as soon as the strategy allows it.",
        prepare=_each(_visible),
        of_worlds=True,
    ),
    SafetyRule(
        name="ask-and-leave",
        promise="Whoever enters by command, on a link of any security, can ask about the mode and leave it.",
        prepare=_each(_way_in_is_served),
        concerns=lambda traits: traits.entered and _may_begin(traits),
    ),
)
"""Every safety rule. Removing one makes a test fail."""
