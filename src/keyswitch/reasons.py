"""Why not: one closed list of reasons, used by refusals, state, verdict, explain, panel and audit.

The value is the word that travels in answers (`rsn`, `reason`) and in JSON.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self


class Reason(StrEnum):
    """Why a request was refused, or why a gate is shut."""

    WRONG_MODE = "wrong mode"
    GUARD = "guard"
    PROOF = "proof"
    EXPIRED = "expired"
    LOCKED_OUT = "locked out"
    OWNER = "owner"
    SECURITY = "security level"
    BUSY = "busy"
    IMAGE = "image"
    SIZE = "size"
    TRAILER = "trailer"
    DOWNGRADE = "downgrade"
    NOT_ON_THIS_SERVICE = "not on this service"

    # What is seen from outside, of devices that do not say why.
    NO_SERVICE = "no SMP service"
    NO_IMAGE_GROUP = "no image group"
    VETO = "upload vetoed"
    SILENCE = "no answer"
    NO_SLOT = "no free slot"


def format_reason(reason: Reason, detail: str = "") -> str:
    """The reason as it travels in `rsn` and `reason`: the word, and behind it which guard, until when, and so on."""
    return f"{reason.value}: {detail}" if detail else reason.value


_MUST: Final = {
    "==": "must be",
    "!=": "must not be",
    "<": "must be below",
    "<=": "must be at most",
    ">": "must be above",
    ">=": "must be at least",
}
"""What each comparison of a policy file asks for."""

_GUARD: Final = re.compile(
    r"(?P<input>[A-Za-z0-9_-]+|#[0-9]{1,3}) (?P<compare>==|!=|<=|>=|<|>) (?P<value>true|false|-?[0-9]{1,19})"
    r"(?:, is (?P<now>true|false|unknown|-?[0-9]{1,19}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseGuard:
    """A condition that is not true: what stands behind the word `guard`, so that either side can say it.

        INPUT COMPARE VALUE            motion == false
        INPUT COMPARE VALUE, is NOW    motion == false, is true

    INPUT is the name of an input, or its place in the policy file, `#0`, from a device that keeps no names. NOW is the
    input's value as far as the device tells it; `unknown` if it has none.

    Attributes:
        input: name or place.
        compare: as in the policy file.
        value: what it is compared with, as it is written there.
        now: what it is, None if that is not told.
    """

    input: str
    compare: str
    value: str
    now: str | None = None

    @classmethod
    def parse(cls, detail: str) -> Self | None:
        """The guard that a detail tells; None if it is something else."""
        found = _GUARD.fullmatch(detail)
        return None if found is None else cls(**found.groupdict())

    def named(self, inputs: Sequence[tuple[str, bool]]) -> Self:
        """The same with the input's name instead of its place, where these inputs have one there.

        Args:
            inputs: name of each input of the policy, and whether it is a bool: then 0 and 1 are `false` and `true`.
        """
        place = int(self.input[1:]) if self.input.startswith("#") else len(inputs)
        if place >= len(inputs):
            return self
        name, is_bool = inputs[place]
        words = {"0": "false", "1": "true"} if is_bool else {}
        now = self.now if self.now is None else words.get(self.now, self.now)
        return replace(self, input=name, value=words.get(self.value, self.value), now=now)

    @property
    def detail(self) -> str:
        """As it travels."""
        now = "" if self.now is None else f", is {self.now}"
        return f"{self.input} {self.compare} {self.value}{now}"

    @property
    def words(self) -> str:
        """For people: what must be, and what is."""
        what = f"input {self.input} of the policy" if self.input.startswith("#") else self.input
        must = f"{what} {_MUST[self.compare]} {self.value}"
        match self.now:
            case None:
                return must
            case "unknown":
                return f"{must}, and its value is not known"
            case _:
                return f"{must}, it is {self.now}"


def is_words(subject: str, compare: str, value: str) -> str:
    """That a comparison is true, for people: `motion is false`, `battery is at least 30`."""
    return f"{subject} {_MUST[compare].replace('must not be', 'is not').replace('must be', 'is')} {value}"


_BARE: Final = {
    Reason.PROOF: "it was not accepted",
    Reason.EXPIRED: "the permission or session is over",
    Reason.OWNER: "somebody else has the session",
}
"""What reasons say that travel without a detail, because more would help an attacker, or is the same each time."""


def detail_words(reason: Reason, detail: str) -> str:
    """What stands behind a reason, for people: a guard in words, a word alone as a sentence, anything else as it is."""
    if not detail:
        return _BARE.get(reason, "")
    guard = FalseGuard.parse(detail)
    return detail if guard is None else guard.words
