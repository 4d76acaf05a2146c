"""Each rule taken out once: the test that is named for it fails; without the fault it passes.

`make deep` runs the whole suite against each fault as well: whatever else notices is a second look.
"""

import pytest
from tests.planted import door
from tests.planted.fault import Fault, noticed, runs_of

from keyswitch.device.checks import CHECKS
from keyswitch.device.parts import Parts
from keyswitch.gate import authorise, hearing

FAULTS = {each.name: each for each in door.FAULTS}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_test_named_for_a_fault_fails_with_it(fault: Fault) -> None:
    assert noticed(fault), f"{fault.caught_by} passes although {fault.name}"


def test_the_named_tests_pass_with_sound_parts() -> None:
    for caught_by in sorted({each.caught_by for each in FAULTS.values()}):
        for run in runs_of(caught_by):
            run()


def test_every_rule_is_taken_out_once() -> None:
    assert len(FAULTS) == len(door.FAULTS), "two faults of one name"
    taken = [each.rule for each in FAULTS.values()]
    for rule in (*authorise.RULES, *CHECKS, *hearing.RULES):
        assert taken.count(rule) == 1, f"{rule.__name__} has no fault, or two"


def test_a_fault_changes_something() -> None:
    assert all(each.parts != Parts() for each in FAULTS.values())
