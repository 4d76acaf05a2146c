"""What is true of a device after an update, and when a campaign stops: enumerated, limits on both sides."""

import pytest

from keyswitch.campaign.grammar import AbortOn, RetryOn
from keyswitch.campaign.outcomes import AbortRule, Outcome, Retry, why_abort
from keyswitch.campaign.results import outcome_of
from keyswitch.host.update.job import Outcome as UpdateOutcome
from keyswitch.host.update.job import Result
from keyswitch.reasons import Reason

EXPECTED = {
    UpdateOutcome.CONFIRMED: Outcome.CONFIRMED,
    UpdateOutcome.ALREADY_RUNNING: Outcome.CONFIRMED,
    UpdateOutcome.REVERTED: Outcome.REVERTED,
    UpdateOutcome.UNREACHABLE: Outcome.UNREACHABLE,
    UpdateOutcome.INTERRUPTED: None,
    UpdateOutcome.REFUSED: Outcome.REFUSED,
}
BY_REASON = {
    Reason.WRONG_MODE: Outcome.WAITING,
    Reason.GUARD: Outcome.WAITING,
    Reason.OWNER: Outcome.BUSY,
    Reason.BUSY: Outcome.BUSY,
}


def test_each_result_of_an_update_has_its_outcome():
    for each in UpdateOutcome:
        assert outcome_of(Result(outcome=each)) is EXPECTED.get(each, Outcome.FAILED), each


def test_a_device_that_refuses_because_of_its_mode_waits():
    for reason in Reason:
        refused = Result(outcome=UpdateOutcome.REFUSED, reason=reason)
        assert outcome_of(refused) is BY_REASON.get(reason, Outcome.REFUSED), reason


FAILED, WAITING, CONFIRMED = Outcome.FAILED, Outcome.WAITING, Outcome.CONFIRMED
RULE = AbortRule(outcomes=(FAILED, Outcome.REVERTED), least=3, percent=50)


@pytest.mark.parametrize(
    ("ended", "stops"),
    [
        ([], False),
        ([FAILED] * 2, False),  # all of them, and one too few
        ([FAILED] * 3, True),
        ([FAILED] * 2 + [Outcome.REVERTED], True),  # together
        ([FAILED] * 3 + [CONFIRMED] * 3, True),  # just half
        ([FAILED] * 3 + [CONFIRMED] * 4, False),  # one below
        ([FAILED] * 3 + [CONFIRMED] * 3 + [WAITING] * 90, True),  # who waits has not ended
        ([WAITING] * 90, False),
        ([Outcome.REFUSED] * 90, False),  # not among the outcomes of this rule
    ],
)
def test_a_campaign_stops_exactly_at_both_limits(ended: list[Outcome], stops: bool):
    assert (RULE.why(ended) is not None) is stops
    assert (why_abort([RULE], ended) is not None) is stops
    assert why_abort([], ended) is None


def test_waiting_can_stop_no_campaign_and_a_refusal_is_not_tried_again():
    assert {each.value for each in AbortOn} == {each.value for each in Outcome} - {"confirmed", "waiting"}
    assert {each.value for each in RetryOn} == {each.value for each in Outcome} - {"confirmed", "refused", "reverted"}


def test_waits_grow_to_their_bound_and_attempts_end():
    retry = Retry(attempts=5, wait_ms=1000, factor=3, most_wait_ms=5000)
    assert [retry.wait_before(n) for n in range(2, 7)] == [1000, 3000, 5000, 5000, None]
    assert Retry().wait_before(2) is None
