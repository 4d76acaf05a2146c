"""Each rule taken out once: the test that is named for it fails; without the fault it passes."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.planted.fault import Fault, noticed, runs_of
from tests.planted.table import ALL, FAULTS

from keyswitch.device.server.checks import CHECKS
from keyswitch.device.server.components import Components
from keyswitch.gate import authorise, hearing
from keyswitch.gate.effects import Effect
from keyswitch.gate.machine import TABLE


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_test_named_for_a_fault_fails_with_it(fault: Fault) -> None:
    assert noticed(fault), f"{fault.caught_by} passes although {fault.name}"


def test_the_named_tests_pass_with_sound_parts() -> None:
    for caught_by in sorted({each.caught_by for each in FAULTS.values()}):
        for run in runs_of(caught_by):
            run()


def test_every_rule_is_taken_out_once() -> None:
    assert len(FAULTS) == len(ALL), "two faults of one name"
    rows = [(kind, rule) for kind, row in TABLE.items() for rule in row.rules]
    taken = [each.rule for each in ALL]
    for rule in (*authorise.RULES, *CHECKS, *hearing.RULES, *rows, *Effect.__args__):
        assert taken.count(rule) == 1, f"{rule} has no fault, or two"


def test_a_fault_changes_something() -> None:
    assert all(each.parts != Components() for each in FAULTS.values())


@pytest.mark.deep
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("fault", ALL, ids=FAULTS)
def test_who_else_notices_a_fault(fault: Fault, tell: Callable[[str], None]) -> None:
    """The first besides the test named for it, of those that are about the device.

    Others have a device too, but for something else; and processes of their own do not have the fault.
    """
    options = ("-q", "-x", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cacheprovider", "--planted", fault.name)
    places = ("tests/gate", "tests/device", "tests/integration")
    command = [sys.executable, "-m", "pytest", *options, f"--deselect=tests/{fault.caught_by}", *places]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}, done.stdout[-2_000:] + done.stderr
    failed = [line.split(" ")[1] for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    tell(failed[0] if failed else "nobody else")
