"""What a check ends with, and how the verdicts of its parts become one.

Rules:

* A fail needs something that was seen: an effect, or an answer that only the command itself gives.
* A pass needs proof that nothing happened. A refusal alone is none, and silence is none.
* Whatever is not known is inconclusive, with what would decide it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Verdict(StrEnum):
    """The value is the word in reports."""

    PASS = "pass"  # noqa: S105 - the word, no password
    FAIL = "fail"
    UNCONFIRMED = "unconfirmed"
    """It failed once, and not when it was tried again alone."""
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing that a check has tried.

    Attributes:
        verdict: what came of it.
        what: what was tried, where, in words.
        why: what the verdict rests on; for an inconclusive one, with what would decide it.
        mode: the device's mode at that moment; empty where the part is not of one mode.
        way: how the device was reached; empty likewise.
        command: name of the command, with its direction; empty likewise.
        effects: what was different afterwards.
        exchange: the packets of it, oldest first: `> 0a00…` for ours, `< 0b00…` for the device's.
    """

    verdict: Verdict
    what: str
    why: str
    mode: str = ""
    way: str = ""
    command: str = ""
    effects: tuple[str, ...] = ()
    exchange: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check has found.

    Attributes:
        check: its id.
        verdict: of all its parts.
        why: in one sentence.
        parts: in the order in which they were tried.
    """

    check: str
    verdict: Verdict
    why: str
    parts: tuple[Part, ...] = field(default=())

    @property
    def findings(self) -> tuple[Part, ...]:
        """The parts that decide the verdict."""
        return tuple(part for part in self.parts if part.verdict is self.verdict)


_WORST_FIRST: Final = (
    Verdict.FAIL,
    Verdict.UNCONFIRMED,
    Verdict.INCONCLUSIVE,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The one that decides."""
    there = set(verdicts)
    return next((each for each in _WORST_FIRST if each in there), Verdict.NOT_APPLICABLE)


MAX_TOLD: Final = 3
"""Parts that passed and are still told one by one."""


def _passed(parts: list[Part]) -> str:
    """Why all of them passed: their own words where these are few, else how many there were."""
    words = "; ".join(dict.fromkeys(part.why for part in parts))
    return words if len(parts) <= MAX_TOLD else f"{len(parts)} tried, none had an effect"


def together(check: str, parts: Iterable[Part]) -> Found:
    """The verdict of a check: its worst part's. Parts that do not apply count only where there are no others."""
    tried = tuple(parts)
    verdict = worst(part.verdict for part in tried)
    deciding = [part for part in tried if part.verdict is verdict]
    if not deciding:
        return Found(check=check, verdict=verdict, why="nothing of this device can be tried", parts=tried)
    first = deciding[0]
    more = f" (and {len(deciding) - 1} more)" if len(deciding) > 1 and verdict is not Verdict.PASS else ""
    why = _passed(deciding) if verdict is Verdict.PASS else first.why
    where = "" if verdict is Verdict.PASS else f"{first.what}: "
    return Found(check=check, verdict=verdict, why=f"{where}{why}{more}", parts=tried)
