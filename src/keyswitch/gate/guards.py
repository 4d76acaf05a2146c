"""Which transitions may be taken: where they lead, and whether their guards hold."""

from keyswitch.gate.decision import Refused
from keyswitch.gate.state import GateState, Session
from keyswitch.policy.model import Guard, Policy, Transition, Trigger, value_text
from keyswitch.policy.words import WhenFalse
from keyswitch.reasons import FalseGuard, Reason


def transitions_from(policy: Policy, mode: str, trigger: type[Trigger]) -> tuple[Transition, ...]:
    """The transitions that may be taken from `mode` by this kind of trigger, in file order.

    None leads from one maintenance mode into another. It would make a new session, without the first one's limits:
    the permit's images, guards, owner, and the longest it may last. The loader refuses such a policy; the machine does
    not rely on that.
    """
    ways = policy.ways(mode, trigger)
    known = policy.modes.get(mode)  # a name that flash remembers may be of an older policy
    if known is None or not known.maintenance:
        return ways
    return tuple(way for way in ways if not policy.modes[way.target].maintenance)


def failing(state: GateState, way: Transition) -> Guard | None:
    """The first guard of `way` that does not hold now; None: all hold."""
    for guard in way.when:
        if not guard.holds(state.inputs[guard.index]):
            return guard
    return None


def refused_by(state: GateState, guard: Guard) -> Refused:
    """The refusal that a guard which does not hold is the reason of: what it asks for, and what the input is."""
    now = state.inputs[guard.index]
    told = FalseGuard(
        input=guard.input,
        compare=guard.compare.value,
        value=value_text(guard.value),
        now="unknown" if now is None else value_text(now),
    )
    return Refused(Reason.GUARD, told.detail)


def session_failing(policy: Policy, state: GateState, session: Session) -> Guard | None:
    """The first guard of the session's entry that has turned false."""
    return failing(state, policy.transitions[session.way])


def must_leave(policy: Policy, state: GateState, session: Session) -> bool:
    """Whether guards that have turned false end the session now.

    A safety input is never held back by an upload, whatever the policy says.
    """
    way = policy.transitions[session.way]
    false = [guard for guard in way.when if not guard.holds(state.inputs[guard.index])]
    if not false:
        return False
    if any(policy.inputs[guard.index].safety for guard in false):
        return True
    return way.when_false is WhenFalse.LEAVE or state.upload is None
