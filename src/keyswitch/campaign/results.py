"""The outcome that an update's result is."""

from typing import assert_never

from keyswitch.campaign.outcomes import Outcome
from keyswitch.host.update.job import Outcome as UpdateOutcome
from keyswitch.host.update.job import Result
from keyswitch.reasons import Reason

MODE_REASONS = frozenset({Reason.WRONG_MODE, Reason.GUARD})
"""Refusals that end when the device is brought into another state: its mode, a guard of it."""

BUSY_REASONS = frozenset({Reason.OWNER, Reason.BUSY})
"""Refusals that end when somebody else has done."""


def outcome_of(result: Result) -> Outcome | None:
    """The outcome that an update's result is; None: it was interrupted, and is to be taken up again."""
    match result.outcome:
        case UpdateOutcome.CONFIRMED | UpdateOutcome.ALREADY_RUNNING:
            return Outcome.CONFIRMED
        case UpdateOutcome.REFUSED:
            return _refusal(result.reason)
        case UpdateOutcome.REVERTED:
            return Outcome.REVERTED
        case UpdateOutcome.UNREACHABLE:
            return Outcome.UNREACHABLE
        case UpdateOutcome.INTERRUPTED:
            return None
        case (
            UpdateOutcome.FAILED
            | UpdateOutcome.NOT_STARTED
            | UpdateOutcome.NEVER_CAME_BACK
            | UpdateOutcome.UNKNOWN
            | UpdateOutcome.STILL_IN_MAINTENANCE
            | UpdateOutcome.STAGED
            | UpdateOutcome.ON_TRIAL
            | UpdateOutcome.LEFT
        ):
            return Outcome.FAILED
        case _:
            assert_never(result.outcome)


def _refusal(reason: Reason | None) -> Outcome:
    if reason in MODE_REASONS:
        return Outcome.WAITING
    return Outcome.BUSY if reason in BUSY_REASONS else Outcome.REFUSED
