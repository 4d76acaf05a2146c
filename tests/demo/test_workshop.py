"""The demo tells no story about a policy that a check would refuse."""

import hashlib

from tests.policy.samples import PUMP_FILE

from keyswitch.demo.workshop import Workshop
from keyswitch.prove.check import check


def test_the_demo_runs_the_example_as_it_is_shipped_and_it_is_proved(pump: Workshop):
    assert hashlib.sha256(pump.policy_file.read_bytes()).digest() == hashlib.sha256(PUMP_FILE.read_bytes()).digest()
    found = check(pump.policy)
    assert (found.violations, found.holds) == ((), True)


def test_its_trial_has_the_deadline_that_the_policy_gives(pump: Workshop):
    assert pump.trial_deadline_ms == 120_000 == pump.policy.update.trial_deadline_ms
