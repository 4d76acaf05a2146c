"""The steps of an update, as one table. To resume is to find the first step whose proof does not hold.

Rules:

* A step is done when its proof holds in what the device tells now, not when its act has returned.
* Each act has a bound in time, and each step a number of tries without progress. Both ends have an outcome.
* This module is the table; how the acts are done is in `access_acts`, `upload_acts` and `firmware_acts` beside it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keyswitch.host.update.job import Goal, Observed, Outcome


class StepName(StrEnum):
    """The steps, by the words that people and records see."""

    FIND = "find"
    VERDICT = "verdict"
    ENTER = "enter"
    RECONNECT = "reconnect"
    VERIFY = "verify mode"
    UPLOAD = "upload"
    TEST = "test"
    RESET = "reset"
    SWAP = "swap"
    PROVE = "prove the running hash"
    HEALTH = "health check"
    CONFIRM = "confirm"
    LEAVE = "leave"
    LEFT = "prove it has left"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStep:
    """One step.

    Attributes:
        name: its word.
        says: what it does, for the plan.
        proof: what must hold for the next step; shown in the plan.
        lacks: what is so while that does not hold; said where the act has not led there.
        holds: the proof.
        bound_ms: longest time that one act may take.
        tries: acts without any progress after which the run ends.
        outcome: how it ends then.
    """

    name: StepName
    says: str
    proof: str
    lacks: str
    holds: Callable[[Observed], bool]
    bound_ms: int
    tries: int
    outcome: Outcome


def _coming_back(seen: Observed) -> bool:
    """A reset was asked for and not seen yet: until then nothing that the device says is believed."""
    return seen.reset is not None and not seen.rebooted and not seen.all_active


def _unless_away(holds: Callable[[Observed], bool]) -> Callable[[Observed], bool]:
    return lambda seen: _coming_back(seen) or holds(seen)


def _unless_over(holds: Callable[[Observed], bool]) -> Callable[[Observed], bool]:
    """Nothing has to be entered any more where the device came back as an application that lists no images."""
    return lambda seen: seen.settled or _coming_back(seen) or holds(seen)


def _uploaded(seen: Observed) -> bool:
    return seen.reset is not None or seen.all_present


def _marked(seen: Observed) -> bool:
    return seen.reset is not None or seen.by_reset or seen.all_pending


def _reset_asked(seen: Observed) -> bool:
    return seen.reset is not None or seen.all_active


def _swapped(seen: Observed) -> bool:
    return seen.rebooted or seen.all_active


def _is_out(seen: Observed) -> bool:
    """The device itself says so, over the connection that is up now."""
    return seen.gated is False or seen.outside is True


def _agreed_to_leave(seen: Observed) -> bool:
    return seen.left or _is_out(seen)


STEPS: Final = (
    UpdateStep(
        name=StepName.FIND,
        says="find the device and connect",
        proof="a connection is up",
        lacks="no connection is up",
        holds=_unless_away(lambda seen: seen.connected),
        bound_ms=90_000,
        tries=8,
        outcome=Outcome.UNREACHABLE,
    ),
    UpdateStep(
        name=StepName.VERDICT,
        says="ask whether it would take an update, changing nothing",
        proof="the device has answered",
        lacks="the device has not answered",
        holds=_unless_away(lambda seen: seen.verdict is not None),
        bound_ms=15_000,
        tries=3,
        outcome=Outcome.UNREACHABLE,
    ),
    UpdateStep(
        name=StepName.ENTER,
        says="enter maintenance mode",
        proof="the device says that its gate is open",
        lacks="the device does not say that its gate is open",
        holds=_unless_over(lambda seen: seen.open is True),
        bound_ms=120_000,
        tries=3,
        outcome=Outcome.REFUSED,
    ),
    UpdateStep(
        name=StepName.RECONNECT,
        says="reconnect to the same device in maintenance mode",
        proof="it takes firmware commands on this connection",
        lacks="it takes no firmware commands on this connection",
        holds=_unless_over(lambda seen: seen.smp),
        bound_ms=330_000,
        tries=3,
        outcome=Outcome.UNREACHABLE,
    ),
    UpdateStep(
        name=StepName.VERIFY,
        says="verify mode and slots",
        proof="the slots were read with the gate open",
        lacks="the slots could not be read with the gate open",
        holds=_unless_over(lambda seen: seen.slots is not None),
        bound_ms=15_000,
        tries=3,
        outcome=Outcome.UNKNOWN,
    ),
    UpdateStep(
        name=StepName.UPLOAD,
        says="upload the image",
        proof="the device lists its hash",
        lacks="the device does not list the image's hash",
        holds=_uploaded,
        bound_ms=3_600_000,
        tries=5,
        outcome=Outcome.FAILED,
    ),
    UpdateStep(
        name=StepName.TEST,
        says="mark it for a trial boot",
        proof="the device lists it as pending",
        lacks="the device does not list the image as pending",
        holds=_marked,
        bound_ms=15_000,
        tries=3,
        outcome=Outcome.FAILED,
    ),
    UpdateStep(
        name=StepName.RESET,
        says="reset the device",
        proof="the reset was asked for",
        lacks="no reset was asked for",
        holds=_reset_asked,
        bound_ms=15_000,
        tries=3,
        outcome=Outcome.FAILED,
    ),
    UpdateStep(
        name=StepName.SWAP,
        says="wait for the swap and reconnect",
        proof="the link has ended, or boot id, running hash or pending mark have changed",
        lacks="nothing shows that the device was reset",
        holds=_swapped,
        bound_ms=180_000,
        tries=2,
        outcome=Outcome.NEVER_CAME_BACK,
    ),
    UpdateStep(
        name=StepName.PROVE,
        says="prove that the new image runs",
        proof="the active slot lists its hash",
        lacks="the active slot does not list the image's hash",
        holds=lambda seen: seen.settled or seen.all_active,
        bound_ms=15_000,
        tries=2,
        outcome=Outcome.NOT_STARTED,
    ),
    UpdateStep(
        name=StepName.HEALTH,
        says="run the health check, if one was given",
        proof="it has found the running image well",
        lacks="it has not found the running image well",
        holds=lambda seen: seen.well or not seen.health,
        bound_ms=300_000,
        tries=3,
        outcome=Outcome.FAILED,
    ),
    UpdateStep(
        name=StepName.CONFIRM,
        says="confirm it",
        proof="the active slot is listed as confirmed",
        lacks="the active slot is not listed as confirmed",
        holds=lambda seen: seen.settled or seen.all_confirmed,
        bound_ms=300_000,
        tries=3,
        outcome=Outcome.FAILED,
    ),
    UpdateStep(
        name=StepName.LEAVE,
        says="leave maintenance mode",
        proof="the device has agreed",
        lacks="the device has not agreed to leave",
        holds=_agreed_to_leave,
        bound_ms=15_000,
        tries=3,
        outcome=Outcome.STILL_IN_MAINTENANCE,
    ),
    UpdateStep(
        name=StepName.LEFT,
        says="prove that it has left",
        proof="the device says that it is outside maintenance",
        lacks="the device does not say that it is outside maintenance",
        holds=_is_out,
        bound_ms=120_000,
        tries=3,
        outcome=Outcome.STILL_IN_MAINTENANCE,
    ),
)

BY_NAME: Final = {step.name: step for step in STEPS}

_TO_THE_SLOTS: Final = (StepName.FIND, StepName.VERDICT, StepName.ENTER, StepName.RECONNECT, StepName.VERIFY)
_TO_THE_TRIAL: Final = (
    *_TO_THE_SLOTS,
    StepName.UPLOAD,
    StepName.TEST,
    StepName.RESET,
    StepName.SWAP,
    StepName.PROVE,
    StepName.HEALTH,
)

WORK: Final = {
    Goal.FULL: (*_TO_THE_TRIAL, StepName.CONFIRM),
    Goal.TEST: _TO_THE_TRIAL,
    Goal.UPLOAD: (*_TO_THE_SLOTS, StepName.UPLOAD),
    Goal.CONFIRM: (*_TO_THE_SLOTS, StepName.PROVE, StepName.HEALTH, StepName.CONFIRM),
    Goal.LEAVE: (StepName.FIND, StepName.VERDICT),
}
"""The steps up to the goal."""

WAY_OUT: Final = (StepName.FIND, StepName.VERDICT, StepName.LEAVE, StepName.LEFT)
"""The steps back to normal, after the goal or after a failure on the way to it."""

CHANGES: Final = frozenset({StepName.UPLOAD, StepName.TEST, StepName.RESET, StepName.CONFIRM})
"""The steps that change firmware, or what is to run."""


def first_missing(steps: tuple[StepName, ...], seen: Observed) -> UpdateStep | None:
    """The first of these steps whose proof does not hold; None if all do."""
    return next((BY_NAME[name] for name in steps if not BY_NAME[name].holds(seen)), None)
