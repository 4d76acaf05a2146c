"""Rows of the table that can change the mode: connections, inputs, button, entry, leaving."""

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.change import Change, Opening, enter_mode, leave
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import Timer
from keyswitch.gate.frozen import replace
from keyswitch.gate.guards import failing, refused_by, transitions_from
from keyswitch.gate.peer import Peer
from keyswitch.gate.session import owned_by_other, too_insecure
from keyswitch.gate.state import GateState, idle_limit_ms
from keyswitch.gate.visibility import must_go
from keyswitch.policy.enums import InputType, Others, ProofKind
from keyswitch.policy.model import (
    INT_MAX,
    INT_MIN,
    OnButton,
    OnConnect,
    OnDisconnect,
    OnEnter,
    OnLeave,
    Policy,
    Transition,
    Trigger,
    Value,
)
from keyswitch.reasons import Reason


def connected(change: Change, event: on.Connected) -> Refused | None:
    """A central came. While a table waits to be shown, it has to go again: else it could hold maintenance off."""
    state = change.state
    first = not state.connections
    change.state = replace(state, connections=state.connections | {event.peer})
    if event.peer in must_go(change.policy, change.state):
        change.do(do.EndConnections(peers=frozenset({event.peer}), after_answer=False))
    if first:
        take_first(change, OnConnect)
    return None


def disconnected(change: Change, event: on.Disconnected) -> Refused | None:
    """A peer has gone: what it owned is nobody's now; whoever proves it may go on with it."""
    state = change.state
    session, upload = state.session, state.upload
    if session is not None and session.owner == event.peer:
        session = replace(session, owner=None)
    if upload is not None and upload.owner == event.peer:
        upload = replace(upload, owner=None)
    last = state.connections == frozenset({event.peer})
    change.state = replace(state, connections=state.connections - {event.peer}, session=session, upload=upload)
    if last and not state.down:
        take_first(change, OnDisconnect)
    return None


def input_changed(change: Change, event: on.InputChanged) -> Refused | None:
    """An input has another value; what follows from it is `settle`'s."""
    for place, each in enumerate(change.policy.inputs):
        if each.name == event.name and _fits(each.type, event.value):
            inputs = change.state.inputs
            change.state = replace(change.state, inputs=(*inputs[:place], event.value, *inputs[place + 1 :]))
            return None
    return Refused(Reason.GUARD, f"no input {event.name} that can be {event.value}")


def _fits(kind: InputType, value: Value | None) -> bool:
    """An unknown value fits everything; a number beyond what an int holds is none that a policy was proved for."""
    if value is None or isinstance(value, bool):
        return value is None or kind is InputType.BOOL
    return kind is InputType.INT and INT_MIN <= value <= INT_MAX


def button_held(change: Change, event: on.ButtonHeld) -> Refused | None:
    """The longest hold that was reached counts; a shorter one is not taken in its place."""
    reached = [
        (way.trigger.hold_ms, way)
        for way in transitions_from(change.policy, change.state.mode, OnButton)
        if isinstance(way.trigger, OnButton) and way.trigger.hold_ms <= event.hold_ms
    ]
    longest = max((hold_ms for hold_ms, _ in reached), default=None)
    ways = tuple(way for hold_ms, way in reached if hold_ms == longest)
    if not ways:
        return Refused(Reason.WRONG_MODE, change.state.mode)
    way = _first_open(change.state, ways)
    if isinstance(way, Refused):
        return way
    enter_mode(change, way.target, way, Opening(proof=ProofKind.BUTTON))
    return None


def enter_proved(change: Change, event: on.EnterProved) -> Refused | None:
    """A proved entry; entering the mode that lasts already changes nothing but whose session it is."""
    if event.to == change.state.mode:
        return _enter_again(change, event)
    way = entry_way(change.policy, change.state, event.peer, event.to, event.proof)
    if isinstance(way, Refused):
        return way
    others = change.state.connections - {event.peer.id}
    answering = event.peer.id in change.state.connections
    enter_mode(
        change,
        way.target,
        way,
        Opening(proof=event.proof, owner=event.peer.id, images=event.images, answering=answering),
    )
    staying = others - must_go(change.policy, change.state)
    if staying and way.others is Others.DISCONNECT:
        change.do(do.EndConnections(peers=staying, after_answer=False))
    return None


def entry_way(policy: Policy, state: GateState, peer: Peer, to: str, proof: ProofKind | None) -> Transition | Refused:
    """The way by which this peer would enter `to` with this kind of proof, verified or not; or why it cannot.

    Also what the verdict about a shut gate is made of, without anything being tried.
    """
    ways = tuple(way for way in transitions_from(policy, state.mode, OnEnter) if way.target == to)
    if not ways:
        return Refused(Reason.WRONG_MODE, state.mode)
    ways = tuple(way for way in ways if _takes(way, proof))
    if not ways:
        return Refused(Reason.PROOF)
    way = _first_open(state, ways)
    if isinstance(way, Refused):
        return way
    if peer.security < way.security:
        return Refused(Reason.SECURITY, way.security.word)
    if state.session is not None and state.trial:
        return Refused(Reason.BUSY, "a trial is running")
    if policy.modes[to].maintenance and way.others is Others.REFUSE and state.connections - {peer.id}:
        return Refused(Reason.BUSY, "another central is connected")
    return way


def _takes(way: Transition, proof: ProofKind | None) -> bool:
    proofs = way.trigger.proofs if isinstance(way.trigger, OnEnter) else ()
    return proof in proofs if proofs else True


def _enter_again(change: Change, event: on.EnterProved) -> Refused | None:
    session = change.state.session
    if session is None:
        return None
    if event.proof not in _proofs_into(change.policy, event.to):
        return Refused(Reason.PROOF)
    insecure = too_insecure(change, session, event.peer)
    if insecure is not None:
        return insecure
    if event.images != session.images:
        return Refused(Reason.BUSY, "a session with another limit is running")
    if owned_by_other(change, session, event.peer):
        return Refused(Reason.OWNER)
    change.state = replace(change.state, session=replace(session, owner=event.peer.id))
    idle_ms = idle_limit_ms(change.mode, session)
    if idle_ms is not None:
        change.do(do.StartTimer(timer=Timer.IDLE, ms=idle_ms))
    return None


def _proofs_into(policy: Policy, mode: str) -> frozenset[ProofKind]:
    return frozenset(
        proof
        for way in policy.transitions
        if way.target == mode and isinstance(way.trigger, OnEnter)
        for proof in way.trigger.proofs
    )


def leave_asked(change: Change, event: on.LeaveAsked) -> Refused | None:
    """Leave; having left already is as good."""
    del event
    if change.state.session is not None or change.policy.ways(change.state.mode, OnLeave):
        leave(change)
    return None


def take_first(change: Change, trigger: type[Trigger]) -> bool:
    """Take the first way with this trigger whose guards hold; whether there was one."""
    if change.state.first_trial:
        return False
    for way in transitions_from(change.policy, change.state.mode, trigger):
        if failing(change.state, way) is None:
            enter_mode(change, way.target, way, Opening())
            return True
    return False


def _first_open(state: GateState, ways: tuple[Transition, ...]) -> Transition | Refused:
    """The first way whose guards hold, or the guard that shuts the first way."""
    shut: Refused | None = None
    for way in ways:
        guard = failing(state, way)
        if guard is None:
            return way
        shut = shut or refused_by(state, guard)
    return shut or Refused(Reason.WRONG_MODE, state.mode)
