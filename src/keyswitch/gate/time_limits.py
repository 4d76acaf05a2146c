"""Rows of the table about time: a limit that was reached, a lease that is extended, idle time that begins anew.

The machine knows no clock. A limit goes out as `StartTimer` when it begins and comes back as `Expired` when its time is
over; whoever asks for something allowed starts the idle limit again. Which limits a mode has: `gate.change.timers`.

lease, lease_max   the session is over: it is left, whoever is connected
idle               nothing allowed was asked for that long (in an owned session by its owner): it is left as well
timeout            the mode's own way out is taken, or the time begins anew while guards shut it
trial              nobody has confirmed: the trial is reverted
quiet              what was inhibited while firmware was worked on may go on
reset              the granted reset is due
"""

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.change import NOTHING_WAITS, Change, end_quiet, leave, revert
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import Event, Timer
from keyswitch.gate.frozen import replace
from keyswitch.gate.session import reset_due
from keyswitch.gate.state import idle_limit_ms
from keyswitch.gate.transitions import take_first
from keyswitch.policy.enums import SessionRule
from keyswitch.policy.model import OnTimeout
from keyswitch.reasons import Reason


def not_extended(change: Change, _event: Event) -> Refused | None:
    """A lease that is as long as the limit of all extensions has none."""
    lease_ms = change.mode.lease_ms
    fixed = lease_ms is None or lease_ms == change.mode.lease_max_ms
    return Refused(Reason.EXPIRED, "this lease is not extended") if fixed else None


def extend_asked(change: Change, event: on.ExtendAsked) -> Refused | None:
    """Start the lease again; the limit of all extensions runs on."""
    del event
    if change.mode.lease_ms is not None:
        change.do(do.StartTimer(timer=Timer.LEASE, ms=change.mode.lease_ms))
    return None


def command_served(change: Change, event: on.CommandServed) -> Refused | None:
    """Somebody is at work: in an owned session its owner, else anybody."""
    session = change.state.session
    idle_ms = idle_limit_ms(change.mode, session)
    owned = session is not None and change.mode.session is SessionRule.OWNER
    if idle_ms is not None and (not owned or (session is not None and session.owner == event.peer.id)):
        change.do(do.StartTimer(timer=Timer.IDLE, ms=idle_ms))
    return None


def expired(change: Change, event: on.Expired) -> Refused | None:
    """A time limit was reached. One that the mode does not have (it was stopped too late) means nothing."""
    if change.state.first_trial:
        if event.timer is Timer.TRIAL:
            change.do(*NOTHING_WAITS, do.ResetNow())
            change.state = replace(change.state, first_trial=False, down=True)
    else:
        _limit_reached(change, event)
    return None


def _limit_reached(change: Change, event: on.Expired) -> None:
    state, mode = change.state, change.mode
    match event.timer:
        case Timer.TIMEOUT:
            if mode.timeout_ms is not None and not take_first(change, OnTimeout):
                change.do(do.StartTimer(timer=Timer.TIMEOUT, ms=mode.timeout_ms))
        case Timer.LEASE | Timer.LEASE_MAX:
            # A session of another revision of the policy has a lease although its mode has none here.
            if mode.lease_ms is not None or state.session is not None:
                leave(change)
        case Timer.IDLE:
            if idle_limit_ms(mode, state.session) is not None:
                leave(change)
        case Timer.TRIAL:
            _trial_over(change)
        case Timer.QUIET:
            end_quiet(change)
        case Timer.RESET:
            reset_due(change, event)


def _trial_over(change: Change) -> None:
    if change.state.session is not None and change.state.trial:
        revert(change, ending=False)
