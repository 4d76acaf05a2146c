"""The table's first row: coming up. Only here does a session go on that began before a reset.

what was found                                    where the device comes up
a record that fits, and it was not ending         the record's mode: the session goes on
a record that fits, ending                        where that session leaves to, never into another maintenance mode
a trial, and a store that was never written       the initial mode, in the first trial: once, if it has a deadline
anything else, the running image on trial         nowhere: it resets, and the bootloader reverts
anything else                                     where an `on = "reset"` way leads, else the initial mode

A record fits if it names a maintenance mode of this policy that some way leads into (under its own policy: that the way
which it names leads into), and the boot that it expected is the one that happened: of each image pair that it names,
the image that it names runs, and nothing else is on trial. Of a pair that is only copied nobody can read what runs:
there the image must be gone from the other slot, so that the bootloader has taken it. Only a record of this very policy
may expect no image, but no trial (a revert).

The first trial is that of the first gated image, which firmware without a gate has started: nobody could have entered.
The store is marked before anything is served, so that it happens once, however it ends.
"""

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.change import MODE_TIMERS, Change, arrive, keep_quiet, leave_way, timers
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import Timer
from keyswitch.gate.frozen import replace
from keyswitch.gate.guards import failing, opens, strictest, transitions_from
from keyswitch.gate.record import SessionRecord, entry_at
from keyswitch.gate.state import GateState, Session, least
from keyswitch.policy.enums import WhenFalse
from keyswitch.policy.model import OnReset, Policy, Transition


def booted(change: Change, event: on.Booted) -> Refused | None:
    """Come up. Nothing of the state before counts."""
    policy = change.policy
    read = dict(event.inputs)
    inputs = tuple(read.get(each.name, each.initial) for each in policy.inputs)
    change.state = GateState(mode=policy.device.initial_mode, inputs=inputs, on_trial=event.on_trial)
    if event.blank:
        change.do(do.MarkStore())
    record = event.record if _fits(policy, event) else None
    if record is not None:
        keep_quiet(change, policy.modes[record.mode])  # the reset was a command of it, or its revert
    if record is not None and not record.ending:
        _go_on(change, record)
    elif event.trial and event.blank and event.record is None and policy.update.trial_deadline_ms is not None:
        _first_trial(change, policy.update.trial_deadline_ms)
    elif event.trial:
        # Started outside a session (an image that armed itself, a power cut after early arming): it does not stay.
        change.do(do.ResetNow())
        change.state = replace(change.state, down=True)
    else:
        _come_up(change, record, event.mode_before)
    return None


def _fits(policy: Policy, event: on.Booted) -> bool:
    """Whether the record is for this policy, and the boot it expected is the one that happened."""
    record = event.record
    if record is None or record.mode not in policy.modes or not policy.modes[record.mode].maintenance:
        return False
    if not any(way.target == record.mode for way in policy.transitions):
        return False
    own = record.policy == policy.digest
    if own and record.entry and _way_of(policy, record) is None:
        return False  # it names a mode that its way does not lead into
    if not record.expected:
        return own and not event.trial
    expected = dict(record.expected)
    began = all(_began(policy, event, pair, image) for pair, image in expected.items())
    return began and event.on_trial <= expected.keys()


def _began(policy: Policy, event: on.Booted, pair: int, image: bytes) -> bool:
    """Whether the image runs; of a pair of which that cannot be read, whether the bootloader has taken it."""
    pairs = policy.bootloader.pairs
    if pair < len(pairs) and pairs[pair].copied:
        return (pair, image) not in event.waiting
    return dict(enumerate(event.running)).get(pair) == image


def _way_of(policy: Policy, record: SessionRecord) -> Transition | None:
    """The way that the record says has opened the session; means something under the record's own policy alone."""
    return next(
        (
            way
            for way in policy.transitions
            if way.target == record.mode and opens(way, record.proof) and entry_at(policy, way.index) == record.entry
        ),
        None,
    )


def _first_trial(change: Change, deadline_ms: int) -> None:
    """The image may be looked at and confirmed; the application must not do what any maintenance forbids it."""
    policy = change.policy
    maintenance = (mode.inhibits for mode in policy.modes.values() if mode.maintenance)
    inhibits = frozenset(change.mode.inhibits).union(*maintenance)
    change.do(do.StartTimer(timer=Timer.TRIAL, ms=deadline_ms), do.Inhibit(names=inhibits))
    change.do(do.ModeChanged(mode=change.state.mode))
    change.state = replace(change.state, first_trial=True)


def _go_on(change: Change, record: SessionRecord) -> None:
    mode = change.policy.modes[record.mode]
    idle_ms = least(mode.idle_ms, record.idle_ms)
    session = Session(
        way=_binding_way(change.policy, record),
        proof=record.proof,
        images=record.images,
        idle_ms=None if idle_ms == mode.idle_ms else idle_ms,
    )
    change.state = replace(change.state, mode=record.mode, session=session)
    trial_ms = least(change.policy.update.trial_deadline_ms, record.trial_ms)
    if change.state.trial and trial_ms is not None:
        change.do(do.StartTimer(timer=Timer.TRIAL, ms=trial_ms))
    arrive(change, None, _limits(change, record))


def _binding_way(policy: Policy, record: SessionRecord) -> int | None:
    """The way that opened the session; under another policy, one that asks for all that binds it, if there is one."""
    into = [way for way in policy.transitions if way.target == record.mode]
    into.sort(key=lambda way: not opens(way, record.proof))
    if record.policy == policy.digest:
        known = _way_of(policy, record)
        if known is not None:
            return known.index
    return next((way.index for way in into if _as_strict(policy, record, way)), None)


def _as_strict(policy: Policy, record: SessionRecord, way: Transition) -> bool:
    bound = strictest(policy, record.mode, record.proof)
    lenient = way.when_false is WhenFalse.HOLD and bound.when_false is WhenFalse.LEAVE
    return not lenient and way.security >= bound.security and set(way.when) >= set(bound.guards)


def _limits(change: Change, record: SessionRecord) -> dict[Timer, int]:
    """The mode's time limits, each shortened to what the record says was left: a record cannot lengthen one.

    Under another policy a limit that either side has counts; what was left of a time limit of the mode's own, where the
    mode has none any more, counts as the lease.
    """
    policy, mode = change.policy, change.mode
    limits = timers(mode)
    left = {
        Timer.LEASE: record.lease_ms,
        Timer.LEASE_MAX: record.lease_max_ms,
        Timer.TIMEOUT: record.timeout_ms,
    }
    if record.policy == policy.digest:
        # Its own policy started this limit: a record that does not say what is left of it is not trusted with any.
        limits |= {timer: min(limits[timer], each or 0) for timer, each in left.items() if timer in limits}
    else:
        if Timer.TIMEOUT not in limits:
            left[Timer.LEASE] = least(left[Timer.LEASE], left[Timer.TIMEOUT])
        for timer, each in left.items():
            if each is not None and (timer in limits or timer is Timer.LEASE):
                limits[timer] = min(limits.get(timer, each), each)
    idle_ms = least(mode.idle_ms, record.idle_ms)
    if idle_ms is not None:
        limits[Timer.IDLE] = idle_ms
    return {timer: limits[timer] for timer in MODE_TIMERS if timer in limits}


def _come_up(change: Change, record: SessionRecord | None, mode_before: str | None) -> None:
    policy, state = change.policy, change.state
    if record is not None:
        change.left = True
        way = leave_way(policy, state, record.mode)
    else:
        ways = transitions_from(policy, mode_before, OnReset) if mode_before is not None else ()
        way = next((each for each in ways if failing(state, each) is None), None)
    session = None
    if way is not None:
        change.ways.append(way.index)
        state = replace(state, mode=way.target)
        if policy.modes[way.target].maintenance:
            session = Session(way=way.index, proof=None)
    change.state = replace(state, session=session)
    arrive(change, None, timers(change.mode))
