"""What the C core says is read back as what it was: every step and decision that the prover meets of the pump."""

from random import Random

from tests.firmware import pairs
from tests.firmware.heard import Heard
from tests.firmware.odd_policies import odd_policies
from tests.firmware.wire import Wire, decision_bytes
from tests.policy.samples import pump

from keyswitch.gate.authorise import authorise
from keyswitch.gate.frozen import replace
from keyswitch.gate.machine import step


def test_steps_are_read_back() -> None:
    for policy in (pump(), *odd_policies()[:6]):
        wire, found = Wire(policy, 0), pairs.met(policy, 60)
        for state, event in pairs.some(found, 300, Random(1)):
            done = step(policy, state, event)
            assert Heard(policy, wire.told_step(done)).step() == replace(done, ways=())


def test_decisions_are_read_back() -> None:
    policy = pump()
    for state in pairs.door_states(policy, pairs.met(policy, 60).states)[:6]:
        for peer in pairs.door_peers():
            for command in pairs.COMMANDS[:20]:
                decision = authorise(policy, state, peer, command)
                assert Heard(policy, decision_bytes(decision)).decision() == decision
