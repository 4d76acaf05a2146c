"""What the prover leaves out makes no difference: verdicts, traces and worlds are those of the whole exploration."""

import pytest
from tests.prove import faults
from tests.prove.by_chance import policies

from keyswitch.policy.model import Policy
from keyswitch.prove.check import check
from keyswitch.prove.explore import explore
from keyswitch.prove.input_values import Inputs
from keyswitch.prove.successors import GateUnderProof
from keyswitch.prove.traces import bare
from keyswitch.prove.world import World


def control_states(policy: Policy, *, whole: bool) -> set[World]:
    """Every moment that can be reached, whatever the inputs are in it."""
    return {bare(world) for world in explore(Inputs(policy), GateUnderProof(), faults.Nobody(), whole=whole).worlds}


def said(policy: Policy, *, whole: bool) -> tuple[set[tuple[str, str, int]], list[str]]:
    verdict = check(policy, whole=whole)
    violations = {(each.rule, each.subject, len(each.trace)) for each in verdict.violations}
    return violations, [each.text for each in verdict.warnings]


def compare(first: int, count: int) -> int:
    """Both ways, for each of these policies; how many of them are refuted."""
    refuted = 0
    for policy in policies(first, count):
        violations, warnings = said(policy, whole=False)
        assert (violations, warnings) == said(policy, whole=True), policy.origin
        assert control_states(policy, whole=False) == control_states(policy, whole=True), policy.origin
        refuted += bool(violations)
    return refuted


def test_policies_by_chance_are_judged_as_when_every_value_is_explored() -> None:
    assert 0 < compare(6, 5) < 5


@pytest.mark.deep
@pytest.mark.parametrize("hundred", range(10))
def test_a_thousand_policies_by_chance(hundred: int) -> None:
    assert 0 < compare(1_000 + 150 * hundred, 100) < 100
