"""The gate that asks the C core: it notices another answer, counts in every process, fails a run that asks less."""

import os
import signal
from pathlib import Path

import pytest
from tests.device.server_rig import pump
from tests.firmware import gate_memory
from tests.firmware.c_gate import MOST_UNASKED, Asked, CGate, CoreLibrary, Summary, Tally, Unasked
from tests.firmware.wire import Wire

from keyswitch.gate.events import Booted, Connected, InputChanged
from keyswitch.gate.machine import initial, step
from keyswitch.gate.peer import Peer
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import LockoutSettings, Policy
from keyswitch.terms import Security, Transport

PUMP = pump()
UP = step(PUMP, initial(PUMP), Booted()).state


class Says(CoreLibrary):
    """A core that gives this answer to everything."""

    def __init__(self, policy: Policy, answer: bytes) -> None:
        self.wire = Wire(policy, 0)
        self._answer = answer

    def ask(self, question: bytes) -> bytes:
        return self._answer


def gate(place: Path, answer: bytes) -> CGate:
    made = CGate(place)
    made._of_policy[id(PUMP)] = (PUMP, Says(PUMP, answer))
    made._of_lockout[LockoutSettings()] = Says(PUMP, answer)
    return made


def test_another_answer_of_the_core_is_an_error(tmp_path: Path) -> None:
    right = Wire(PUMP, 0).told_step(step(PUMP, UP, Connected(peer=1)))
    assert gate(tmp_path, right).step(PUMP, UP, Connected(peer=1)) == step(PUMP, UP, Connected(peer=1))
    for place in range(len(right)):
        wrong = right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :]
        with pytest.raises(AssertionError, match="the C core differs"):
            gate(tmp_path, wrong).step(PUMP, UP, Connected(peer=1))
    peer = Peer(id=1, transport=Transport.BLE, security=Security.NONE)
    with pytest.raises(AssertionError, match="the C core differs"):
        gate(tmp_path, b"\0\0\1").authorise(PUMP, UP, peer, (1, 1, 2))
    with pytest.raises(AssertionError, match="the C core differs"):
        gate(tmp_path, b"\0").may_access_smp(PUMP, UP, peer)


def test_another_lock_out_of_the_core_is_an_error(tmp_path: Path) -> None:
    kept = bytes(4) + bytes([1, 0, 0, 0]) + bytes(30)  # a wait where there was no wrong proof
    assert gate_memory.heard(kept)[1][ProofKind.SEQUENCE] == 1
    right = gate(tmp_path, bytes(38))
    assert right.restore_lockout(LockoutSettings(), {}, 5).failures == {}
    with pytest.raises(AssertionError, match="the C core differs"):
        right.restore_lockout(LockoutSettings(), {"challenge": 1}, 5)
    with pytest.raises(AssertionError, match="the C core differs"):
        gate(tmp_path, kept).restore_lockout(LockoutSettings(), {"sequence": 1}, 5)


def test_what_the_core_cannot_be_told_is_counted(tmp_path: Path) -> None:
    asked = gate(tmp_path, b"")
    refused = InputChanged(name="colour", value=1)
    assert asked.step(PUMP, UP, refused) == step(PUMP, UP, refused)
    ((why, test), count), *others = Summary.of(tmp_path).unasked.items()
    assert (why, test, count, others) == (Unasked.NO_SUCH_INPUT, "firmware/test_c_gate.py", 1, [])


def test_every_process_counts_also_one_that_is_killed(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    tally.asked(Asked.STEPS)
    child = os.fork()
    if child == 0:
        tally.asked(Asked.STEPS)
        tally.asked(Asked.MACS)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    tally.asked(Asked.DECISIONS)
    found = Summary.of(tmp_path)
    assert found.asked == {**dict.fromkeys(Asked, 0), Asked.STEPS: 2, Asked.DECISIONS: 1, Asked.MACS: 1}
    assert found.faults() == []


def test_a_run_that_passes_over_more_fails() -> None:
    assert set(MOST_UNASKED) == set(Unasked)
    asked = dict.fromkeys(Asked, 1)
    for why, most in MOST_UNASKED.items():
        for count in range(max(0, most - 1), most + 2):
            found = Summary(asked=asked, unasked={(why, "a"): 1, (why, "b"): count - 1} if count else {})
            assert bool(found.faults()) == (count > most)
            assert bool(found.lines()[1:]) == bool(count)
    assert Summary(asked=dict.fromkeys(Asked, 0), unasked={}).faults() == ["the C core was not asked anything"]
