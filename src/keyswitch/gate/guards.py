"""Which transitions may be taken: where they lead, whether their guards hold, and which guards bind a session."""

from dataclasses import dataclass

from keyswitch.gate.decision import Refused
from keyswitch.gate.state import GateState, Session
from keyswitch.policy.enums import ProofKind, WhenFalse
from keyswitch.policy.model import Guard, OnButton, OnEnter, Policy, Transition, Trigger, value_text
from keyswitch.reasons import FalseGuard, Reason
from keyswitch.terms import Security


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
    return _first_false(state, way.when)


def _first_false(state: GateState, guards: tuple[Guard, ...]) -> Guard | None:
    for guard in guards:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What must hold as long as a session lasts.

    Attributes:
        guards: all of them.
        when_false: what one of them does that turns false.
        security: least level of a peer that takes the session as its own.
    """

    guards: tuple[Guard, ...]
    when_false: WhenFalse
    security: Security


def binding(policy: Policy, mode: str, session: Session) -> Binding:
    """What binds this session of `mode`: the way that opened it, or all that could have (`strictest`)."""
    if session.way is None:
        return strictest(policy, mode, session.proof)
    return policy.once(_binding_of_way, session.way)


def _binding_of_way(policy: Policy, index: int) -> Binding:
    way = policy.transitions[index]
    return Binding(guards=way.when, when_false=way.when_false, security=way.security)


def strictest(policy: Policy, mode: str, proof: ProofKind | None) -> Binding:
    """What binds a session of `mode` that `proof` opened, where it is not known by which way.

    Every guard of every way by which this proof opens the mode (of every way into it, if the proof opens none), and
    besides, the guards over safety inputs of every way into it.
    """
    return policy.once(_strictest, mode, proof)


def _strictest(policy: Policy, mode: str, proof: ProofKind | None) -> Binding:
    into = [way for way in policy.transitions if way.target == mode]
    open_to = [way for way in into if opens(way, proof)] or into
    guards = [guard for way in open_to for guard in way.when]
    guards += [guard for way in into for guard in way.when if policy.inputs[guard.index].safety]
    held = bool(open_to) and all(way.when_false is WhenFalse.HOLD for way in open_to)
    return Binding(
        guards=tuple(dict.fromkeys(guards)),
        when_false=WhenFalse.HOLD if held else WhenFalse.LEAVE,
        security=max((way.security for way in open_to), default=Security.NONE),
    )


def opens(way: Transition, proof: ProofKind | None) -> bool:
    """Whether this kind of proof (None: nobody's) sets the transition off."""
    trigger = way.trigger
    if isinstance(trigger, OnEnter):
        return proof in trigger.proofs if trigger.proofs else proof is None
    return (proof is ProofKind.BUTTON) if isinstance(trigger, OnButton) else proof is None


def session_failing(policy: Policy, state: GateState, session: Session) -> Guard | None:
    """The first guard of the session's entry that has turned false."""
    return _first_false(state, binding(policy, state.mode, session).guards)


def must_leave(policy: Policy, state: GateState, session: Session) -> bool:
    """Whether guards that have turned false end the session now.

    A safety input is never held back by an upload, whatever the policy says.
    """
    bound = binding(policy, state.mode, session)
    held = bound.when_false is WhenFalse.HOLD and state.upload is not None
    # The first one decides: what is not asked, the prover need not tell apart.
    for guard in bound.guards:
        if (not held or policy.inputs[guard.index].safety) and not guard.holds(state.inputs[guard.index]):
            return True
    return False
