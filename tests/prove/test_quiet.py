"""The prover knows the quiet time: it holds for the machine, and not for one that forgets a part of it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.policy.samples import small

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import machine
from keyswitch.gate.events import Event, Timer
from keyswitch.gate.machine import Step
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy
from keyswitch.prove.check import Rules, check
from keyswitch.prove.safety import SAFETY
from keyswitch.prove.successors import GateUnderProof

INHIBITS = ("lease_s = 60", 'lease_s = 60\ninhibits = ["motion"]')
WITH_QUIET = ("lease_s = 60", 'lease_s = 60\ninhibits = ["motion"]\nquiet_after_s = 30')
ALONE = Rules(safety=tuple(rule for rule in SAFETY if rule.name == "inhibits"), liveness=())
QUIET = small("", WITH_QUIET)


def test_a_quiet_time_is_proved_and_explored() -> None:
    quiet, loud = check(QUIET), check(small("", INHIBITS))
    assert (quiet.holds, loud.holds) == (True, True)
    assert quiet.states > loud.states


Fault = Callable[[GateState, Event, Step], Step]


def never_begins(_state: GateState, _event: Event, done: Step) -> Step:
    effects = tuple(e for e in done.effects if not (isinstance(e, do.StartTimer) and e.timer is Timer.QUIET))
    return replace(done, effects=effects, state=replace(done.state, quiet=None))


def begins_too_short(_state: GateState, _event: Event, done: Step) -> Step:
    def shorter(effect: do.Effect) -> do.Effect:
        is_it = isinstance(effect, do.StartTimer) and effect.timer is Timer.QUIET
        return do.StartTimer(timer=Timer.QUIET, ms=1) if is_it else effect

    return replace(done, effects=tuple(shorter(effect) for effect in done.effects))


def ends_with_the_mode(state: GateState, _event: Event, done: Step) -> Step:
    if done.state.mode == state.mode or done.refused is not None:
        return done
    return replace(done, effects=(*done.effects, do.Inhibit(names=frozenset())))


def stops_with_the_mode(state: GateState, _event: Event, done: Step) -> Step:
    if done.state.mode == state.mode or state.quiet is None:
        return done
    return replace(done, effects=(*done.effects, do.StopTimer(timer=Timer.QUIET)))


def forgets_it_at_boot(_state: GateState, event: Event, done: Step) -> Step:
    return never_begins(_state, event, done) if isinstance(event, on.Booted) else done


@pytest.mark.parametrize(
    "fault", [never_begins, begins_too_short, ends_with_the_mode, stops_with_the_mode, forgets_it_at_boot]
)
def test_a_machine_that_forgets_a_part_of_it_is_refuted(fault: Fault) -> None:
    def step(policy: Policy, state: GateState, event: Event) -> Step:
        return fault(state, event, machine.step(policy, state, event))

    verdict = check(QUIET, gate=GateUnderProof(step=step), rules=ALONE)
    assert {each.rule for each in verdict.violations} == {"inhibits"}
