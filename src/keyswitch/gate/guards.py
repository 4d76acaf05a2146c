"""Whether guards hold, and the first that does not."""

from keyswitch.gate.decision import Refused
from keyswitch.gate.state import GateState, Session
from keyswitch.policy.model import Guard, Policy, Transition, value_text
from keyswitch.policy.words import WhenFalse
from keyswitch.reasons import FalseGuard, Reason


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
