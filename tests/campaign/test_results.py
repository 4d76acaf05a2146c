"""What the records of a device say of it that is not reached any more."""

from pathlib import Path
from typing import Any

import pytest

from keyswitch.campaign.results import is_still_away
from keyswitch.host.report.evidence_file import RUN_BEGUN, RUN_ENDED, append
from keyswitch.host.update.steps import StepName

FIND, RESET, SWAP = StepName.FIND, StepName.RESET, StepName.SWAP
GONE = [FIND, RESET]
NOT_REACHED: list[StepName] = []
REFUSED = [FIND]
CONFIRMED = [FIND, RESET, SWAP, StepName.CONFIRM]


@pytest.mark.parametrize(
    ("runs", "away"),
    [
        ([], False),
        ([NOT_REACHED], False),
        ([REFUSED, NOT_REACHED], False),
        ([GONE], True),
        ([GONE, NOT_REACHED, NOT_REACHED], True),
        ([GONE, None, NOT_REACHED], True),
        ([None, NOT_REACHED], False),  # killed: how far it came is not known
        ([GONE, REFUSED, NOT_REACHED], False),  # it answered meanwhile
        ([CONFIRMED, NOT_REACHED], False),
        ([GONE, CONFIRMED, NOT_REACHED], False),
    ],
)
def test_a_device_that_was_reset_and_has_not_answered_since_never_came_back(
    runs: list[list[StepName] | None], away: bool, tmp_path: Path
):
    path = tmp_path / "P.jsonl"
    for done in runs:
        append(path, at="now", kind=RUN_BEGUN, body={})
        if done is not None:
            steps: list[dict[str, Any]] = [{"step": name.value, "outcome": "done"} for name in done]
            failed = [{"step": name.value, "outcome": "silent"} for name in (FIND, SWAP) if name not in done]
            append(path, at="now", kind=RUN_ENDED, body={"steps": steps + failed})
    assert is_still_away(path) is away
