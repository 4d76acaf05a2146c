"""The outcome that an update's result is."""

from pathlib import Path
from typing import assert_never

from keyswitch.campaign.outcomes import Outcome
from keyswitch.host.report.evidence_file import RUN_ENDED, read_journal
from keyswitch.host.update.job import Outcome as UpdateOutcome
from keyswitch.host.update.job import Result
from keyswitch.host.update.steps import StepName
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


def is_still_away(evidence: Path) -> bool:
    """Whether the device was reset to start a new image in an earlier run, and has not answered since.

    Args:
        evidence: its chain of records. A run that was killed says nothing of how far it came.

    Raises:
        InputError: it cannot be read.
    """
    records = read_journal(evidence).records if evidence.exists() else ()
    for body in (record.body for record in reversed(records) if record.kind == RUN_ENDED):
        done = {step["step"] for step in body["steps"] if step["outcome"] == "done"}
        if StepName.RESET.value in done:
            return StepName.SWAP.value not in done
        if StepName.FIND.value in done:
            return False
    return False
