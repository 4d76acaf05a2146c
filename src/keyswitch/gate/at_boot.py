"""The table's first row: coming up. Only here does a session go on that began before a reset.

what was found                                    where the device comes up
a record that fits, and it was not ending         the record's mode: the session goes on
a record that fits, ending                        where that session leaves to
anything else, the running image on trial         nowhere: it resets, and the bootloader reverts
anything else                                     where an `on = "reset"` way leads, else the initial mode
"""

from dataclasses import replace

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.change import Change, arrive, leave_way, timers
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import Timer
from keyswitch.gate.guards import failing, transitions_from
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.state import GateState, Session
from keyswitch.policy.model import Mode, OnReset, Policy


def booted(change: Change, event: on.Booted) -> Refused | None:
    """Come up. Nothing of the state before counts."""
    policy = change.policy
    read = dict(event.inputs)
    inputs = tuple(read.get(each.name, each.initial) for each in policy.inputs)
    change.state = GateState(mode=policy.device.initial_mode, inputs=inputs, trial=event.trial)
    record = event.record if _fits(policy, event) else None
    if record is not None and not record.ending:
        _go_on(change, record)
    elif event.trial:
        # Started outside a session (an image that armed itself, a power cut after early arming): it does not stay.
        change.do(do.ResetNow())
        change.state = replace(change.state, down=True)
    else:
        _come_up(change, record, event.mode_before)
    return None


def _fits(policy: Policy, event: on.Booted) -> bool:
    """Whether the record is of these rules, and the boot it expected is the one that happened."""
    record = event.record
    if record is None or record.policy != policy.digest or record.mode not in policy.modes:
        return False
    if not policy.modes[record.mode].maintenance or not 0 <= record.way < len(policy.transitions):
        return False
    if policy.transitions[record.way].target != record.mode:
        return False
    return event.running == record.image if record.image is not None else not event.trial


def _go_on(change: Change, record: SessionRecord) -> None:
    session = Session(way=record.way, proof=record.proof, images=record.images)
    change.state = replace(change.state, mode=record.mode, session=session)
    limits = _left(change.mode, record)
    deadline_ms = change.policy.update.trial_deadline_ms
    if change.state.trial and deadline_ms is not None:
        limits[Timer.TRIAL] = deadline_ms
    arrive(change, None, limits)


def _left(mode: Mode, record: SessionRecord) -> dict[Timer, int]:
    """The mode's time limits, shortened to what the record says was left; a record cannot lengthen one."""
    limits = timers(mode)
    for timer, left in ((Timer.LEASE, record.lease_ms), (Timer.LEASE_MAX, record.lease_max_ms)):
        if timer in limits:
            limits[timer] = max(0, min(limits[timer], left or 0))
    return limits


def _come_up(change: Change, record: SessionRecord | None, mode_before: str | None) -> None:
    policy, state = change.policy, change.state
    if record is not None:
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
