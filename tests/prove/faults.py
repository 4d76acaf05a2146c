"""Machines and doors with one planted fault each, as values for the prover and the device."""

from collections.abc import Callable
from dataclasses import replace

from keyswitch.gate import authorise as door
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import machine
from keyswitch.gate.decision import ALLOWED, Decision, Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event, Timer
from keyswitch.gate.machine import Step
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import GateState
from keyswitch.policy.enums import Arm, Visibility
from keyswitch.policy.model import Policy
from keyswitch.prove.successors import Edge, GateUnderProof
from keyswitch.reasons import Reason
from keyswitch.smp.groups import mode as mode_group
from keyswitch.smp.header import Op

Machine = Callable[[Policy, GateState, Event], Step]


def without(*kinds: type[Effect]) -> GateUnderProof:
    """A machine that forgets to ask for these effects."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        return replace(done, effects=tuple(each for each in done.effects if not isinstance(each, kinds)))

    return GateUnderProof(step=step)


def where(kind: type[Event], wrong: Machine) -> GateUnderProof:
    """A machine that does something else at one kind of event."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        return (wrong if isinstance(event, kind) else machine.step)(policy, state, event)

    return GateUnderProof(step=step)


def keeps(**what: object) -> GateUnderProof:
    """A machine that forgets to clear these fields of its state when a session ends."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        if state.session is None or done.state.session is not None or done.state.down:
            return done
        kept = {name: getattr(state, name) for name in what}
        return replace(done, state=replace(done.state, **kept))

    return GateUnderProof(step=step)


def waits_for_maintenance(*kinds: type[Effect]) -> GateUnderProof:
    """A machine that forgets these effects where a session begins: at its end it is as careful as ever."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        if state.session is not None or done.state.session is None:
            return done
        return replace(done, effects=tuple(each for each in done.effects if not isinstance(each, kinds)))

    return GateUnderProof(step=step)


def stays_on_trial(policy: Policy, state: GateState, event: Event) -> Step:
    """Comes up with an image on trial that no session expects, and lets it run."""
    assert isinstance(event, on.Booted)
    done = machine.step(policy, state, event)
    if event.trial and done.state.down:
        up = machine.step(policy, state, replace(event, on_trial=frozenset(), record=None))
        return replace(up, state=replace(up.state, on_trial=event.on_trial))
    return done


def ignores_guards(policy: Policy, state: GateState, event: Event) -> Step:
    """Changes the input's value, and thinks no further."""
    assert isinstance(event, on.InputChanged)
    names = [each.name for each in policy.inputs]
    place = names.index(event.name)
    return Step(state=replace(state, inputs=(*state.inputs[:place], event.value, *state.inputs[place + 1 :])))


def arms_anything(policy: Policy, state: GateState, event: Event) -> Step:
    """Forgets the permit's limit at arming."""
    if state.session is None:
        return machine.step(policy, state, event)
    done = machine.step(policy, replace(state, session=replace(state.session, images=None)), event)
    return replace(done, state=replace(done.state, session=state.session))


def arms_at_once(policy: Policy, state: GateState, event: Event) -> Step:
    """Writes the trailer early although the policy says late."""
    early = replace(policy, update=replace(policy.update, arm=Arm.EARLY))
    return machine.step(early, state, event)


def changes_at_once(policy: Policy, state: GateState, event: Event) -> Step:
    """Treats every policy as `live`."""
    return machine.step(replace(policy, gate=replace(policy.gate, service=Visibility.LIVE)), state, event)


def never_shows(policy: Policy, state: GateState, event: Event) -> Step:
    """Forgets the SMP service."""
    done = machine.step(policy, state, event)
    effects = tuple(each for each in done.effects if not isinstance(each, do.ShowService))
    return replace(done, effects=effects, state=replace(done.state, service_shown=False))


def lease_without_end(policy: Policy, state: GateState, event: Event) -> Step:
    """Starts the lease again when it has run out."""
    assert isinstance(event, on.Expired)
    if event.timer is Timer.LEASE:
        return Step(state=state, effects=(do.StartTimer(timer=Timer.LEASE, ms=1),))
    return machine.step(policy, state, event)


def never_confirms(_policy: Policy, state: GateState, _event: Event) -> Step:
    """Refuses every confirmation."""
    return Step(state=state, refused=Refused(Reason.IMAGE))


def opens_for_a_connection(policy: Policy, state: GateState, event: Event) -> Step:
    """Takes a connection for an entry."""
    done = machine.step(policy, state, event)
    for way in policy.transitions:
        if policy.modes[way.target].maintenance and done.state.session is None and state.mode in way.sources:
            return machine.step(policy, done.state, on.ButtonHeld(hold_ms=10**9))
    return done


def begins_anew(policy: Policy, state: GateState, event: Event) -> Step:
    """Takes the turn of a key within a session for another entry, and forgets what limited the first."""
    assert isinstance(event, on.InputChanged)
    done = machine.step(policy, state, event)
    session = done.state.session
    operated = any(each.operated and each.name == event.name for each in policy.inputs)
    return (
        replace(done, ways=(session.way,)) if state.session is not None and session is not None and operated else done
    )


def serves_everybody(policy: Policy, state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
    """Forgets that the session has an owner."""
    session = None if state.session is None else replace(state.session, owner=peer.id)
    return door.authorise(policy, replace(state, session=session), peer, command)


def keeps_everybody_in(policy: Policy, state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
    """Refuses to let anybody leave, whatever the policy allows."""
    if command == (mode_group.ID, mode_group.Id.LEAVE, Op.WRITE):
        return Refused(Reason.BUSY)
    return door.authorise(policy, state, peer, command)


def serves_everything(*_: object) -> Decision:
    """No door at all."""
    return ALLOWED


def reads(**what: object) -> GateUnderProof:
    """A machine that takes these fields of every session record for what they are not; `...`: what would fit."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        if not isinstance(event, on.Booted) or event.record is None:
            return machine.step(policy, state, event)
        (maintenance, *_) = [mode.name for mode in policy.modes.values() if mode.maintenance]
        fits: dict[str, object] = {
            "mode": maintenance,
            "expected": tuple(enumerate(event.running)),
            "policy": policy.digest,
        }
        read = {name: fits[name] if value is ... else value for name, value in what.items()}
        return machine.step(policy, state, replace(event, record=replace(event.record, **read)))

    return GateUnderProof(step=step)


def takes_the_last_way(policy: Policy, state: GateState, event: Event) -> Step:
    """Asks at boot for the guards of the last way alone, whatever opened the session."""
    last = policy.transitions[-1].when
    ways = tuple(replace(way, when=last) for way in policy.transitions)
    return machine.step(replace(policy, transitions=ways), state, event)


def forgets_guards(policy: Policy, state: GateState, event: Event) -> Step:
    """Asks for no guard at boot."""
    return machine.step(
        replace(policy, transitions=tuple(replace(way, when=()) for way in policy.transitions)), state, event
    )


def goes_on_elsewhere(policy: Policy, state: GateState, event: Event) -> Step:
    """Takes a session into the last maintenance mode of the policy."""
    done = machine.step(policy, state, event)
    last = [mode.name for mode in policy.modes.values() if mode.maintenance][-1]
    return done if done.state.session is None else replace(done, state=replace(done.state, mode=last))


def finds_blank(policy: Policy, state: GateState, event: Event) -> Step:
    """Takes every store for one that was never written."""
    assert isinstance(event, on.Booted)
    return machine.step(policy, state, replace(event, blank=True))


def ends_every_trial(policy: Policy, state: GateState, event: Event) -> Step:
    """Takes the confirmation of one image for that of all."""
    done = machine.step(policy, state, event)
    return done if done.refused is not None else replace(done, state=replace(done.state, on_trial=frozenset()))


def sees_the_first_alone(policy: Policy, state: GateState, event: Event) -> Step:
    """Does not mind what else is on trial."""
    assert isinstance(event, on.Booted)
    return machine.step(policy, state, replace(event, on_trial=event.on_trial & {0}))


def arms_all(policy: Policy, state: GateState, event: Event) -> Step:
    """Lets images be armed for the same reset, whatever the policy says."""
    return machine.step(replace(policy, update=replace(policy.update, simultaneous=True)), state, event)


def records_the_first_alone() -> GateUnderProof:
    """A machine that writes down one of the images that are to start."""

    def only_first(effect: Effect) -> Effect:
        return replace(effect, expected=effect.expected[:1]) if isinstance(effect, do.WriteSessionRecord) else effect

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        return replace(done, effects=tuple(only_first(each) for each in done.effects))

    return GateUnderProof(step=step)


def disarms_the_first_alone() -> GateUnderProof:
    """A machine that takes back one trailer of several."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        kept = (each for each in done.effects if not isinstance(each, do.Disarm) or each.pair == 0)
        return replace(done, effects=tuple(kept))

    return GateUnderProof(step=step)


def first_trial_without(kind: type[Effect], **fields: object) -> GateUnderProof:
    """A first trial that forgets one effect."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        if not done.state.first_trial:
            return done
        left = tuple(
            each
            for each in done.effects
            if not isinstance(each, kind) or any(getattr(each, name) != value for name, value in fields.items())
        )
        return replace(done, effects=left)

    return GateUnderProof(step=step)


def serves_as_in_the_mode(policy: Policy, state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
    """Forgets the first trial: serves what the mode serves."""
    return door.authorise(policy, replace(state, first_trial=False), peer, command)


class Nobody:
    """Looks at nothing that is explored."""

    def edge(self, before: int, edge: Edge) -> None:
        pass

    def world(self, place: int, edge: Edge) -> None:
        pass
