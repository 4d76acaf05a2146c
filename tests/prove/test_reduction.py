"""What the prover leaves out makes no difference: verdicts, traces and worlds are those of the whole exploration."""

from collections.abc import Iterable, Iterator

import pytest
from tests.prove.by_chance import policies
from tests.prove.test_check import SMALL

from keyswitch.policy.model import Policy
from keyswitch.prove.check import Rules, check
from keyswitch.prove.explore import Graph
from keyswitch.prove.liveness import LIVENESS, LivenessRule, Stuck
from keyswitch.prove.traces import bare
from keyswitch.prove.world import World

Found = tuple[set[tuple[str, str, int]], list[str], set[World]]
"""Violations with the length of their traces, warnings, and every moment that is reached, whatever the inputs are."""


def found(policy: Policy, *, whole: bool) -> Found:
    """What the prover finds; a rule that finds nothing sees the worlds, so that they are explored once."""
    worlds: set[World] = set()

    def see(_policy: Policy, graph: Graph) -> Iterator[Stuck]:
        worlds.update(bare(world) for world in graph.worlds)
        return iter(())

    seen = LivenessRule(name="worlds", promise="", check=see)
    verdict = check(policy, whole=whole, rules=Rules(liveness=(*LIVENESS, seen)))
    assert worlds, policy.origin
    violations = {(each.rule, each.subject, len(each.trace)) for each in verdict.violations}
    return violations, [each.text for each in verdict.warnings], worlds


def compare(these: Iterable[Policy]) -> int:
    """Both ways, for each of these policies; how many of them are refuted."""
    refuted = 0
    for policy in these:
        parts = found(policy, whole=False)
        assert parts == found(policy, whole=True), policy.origin
        refuted += bool(parts[0])
    return refuted


def test_policies_by_chance_are_judged_as_when_every_value_is_explored() -> None:
    some = policies(56, 5)
    assert len({policy.update.trial_deadline_ms for policy in some}) > 1
    assert compare([SMALL, *some]) == len(some)  # that one holds


ALL_REFUTED = 4
"""Which of the hundreds has no policy that is proved."""


@pytest.mark.deep
@pytest.mark.parametrize("hundred", range(10))
def test_a_thousand_policies_by_chance(hundred: int) -> None:
    refuted = compare(policies(1_000 + 150 * hundred, 100))
    assert refuted > 0
    assert (refuted == 100) is (hundred == ALL_REFUTED)
