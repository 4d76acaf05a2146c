"""How it ended for one device of a campaign, and when a campaign stops because of it. Pure.

Rules:

* An outcome says what is true of the device. A device that refuses because of its mode is *waiting*: that is what
  maintenance mode is for, it is no failure, and nothing that counts failures counts it.
* A device that was sent an image and did not come back has *failed*; one that was never reached is *unreachable*.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What is true of a device when the campaign has done with it. The value is the word in JSON."""

    CONFIRMED = "confirmed"
    """It runs the release, now or already before."""
    WAITING = "waiting"
    """Its mode, or a guard of it, did not let it be updated; nothing was changed."""
    REFUSED = "refused"
    """It refused for another reason, or a file cannot be used."""
    REVERTED = "reverted"
    """It went back to its old image."""
    UNREACHABLE = "unreachable"
    """It was not reached."""
    BUSY = "busy"
    """Somebody else has the session or the upload."""
    FAILED = "failed"
    """The update began and did not reach its end."""


REFUSALS: Final = frozenset({Outcome.WAITING, Outcome.REFUSED, Outcome.BUSY})
"""How it is called that a device was not updated because of a no, its own or ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortRule:
    """When a campaign stops by itself: both bounds have to be reached.

    Attributes:
        outcomes: that count; never confirmed or waiting.
        least: devices that ended so.
        percent: their share of all devices that have ended; those that wait have not.
    """

    outcomes: tuple[Outcome, ...]
    least: int
    percent: int

    def why(self, ended: Sequence[Outcome]) -> str | None:
        """What is to be said if the campaign has to stop; None if it may go on."""
        counted = Counter(ended)
        hits = sum(counted[each] for each in self.outcomes)
        of = len(ended) - counted[Outcome.WAITING]
        if hits < self.least or hits * 100 < self.percent * of:
            return None
        words = " or ".join(each.value for each in self.outcomes)
        return f"{hits} of {of} ended {words}: the file stops it at {self.least} and {self.percent} per cent"


def why_abort(rules: Iterable[AbortRule], ended: Sequence[Outcome]) -> str | None:
    """The first rule that stops a campaign whose devices have ended so; None if none does."""
    return next((why for rule in rules if (why := rule.why(ended)) is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a device is tried that ended so, and how long it is left alone before.

    Attributes:
        attempts: of all, the first one counted.
        wait_ms: before the second.
        factor: each further wait is so many times the one before.
        most_wait_ms: bound of a wait.
    """

    attempts: int = 1
    wait_ms: int = 0
    factor: int = 2
    most_wait_ms: int = 0

    def wait_before(self, attempt: int) -> int | None:
        """Milliseconds before the attempt of this number (the first is 1); None: there is none."""
        if attempt > self.attempts:
            return None
        wait_ms = self.wait_ms
        for _ in range(attempt - 2):
            if wait_ms >= self.most_wait_ms:
                break
            wait_ms *= self.factor
        return min(wait_ms, self.most_wait_ms)
