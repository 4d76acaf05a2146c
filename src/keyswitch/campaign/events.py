"""What a campaign tells while it is carried out, and what is known of its devices: frozen data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from keyswitch.campaign.outcomes import Outcome
from keyswitch.host.update.events import Event as UpdateEvent
from keyswitch.host.update.job import Result
from keyswitch.reasons import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one attempt at a device ended.

    Attributes:
        outcome: what is true of the device; None: the campaign was stopped before the attempt began.
        detail: in words.
        reason: why the device refused, if it did; the word of `keyswitch.reasons`.
        next_step: what a person can do.
        duration_ms: of the attempt.
    """

    outcome: Outcome | None
    detail: str = ""
    reason: str | None = None
    next_step: str | None = None
    duration_ms: int = 0

    @classmethod
    def of(cls, outcome: Outcome, result: Result) -> Self:
        """The attempt that an update's result is."""
        reason: Reason | None = result.reason
        return cls(
            outcome=outcome,
            detail=result.line,
            reason=None if reason is None else reason.value,
            next_step=str(result.next_step) or None,
            duration_ms=result.duration_ms,
        )

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "outcome": None if self.outcome is None else self.outcome.value}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The same from JSON values."""
        word = plain["outcome"]
        values: dict[str, Any] = {**plain, "outcome": None if word is None else Outcome(word)}
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBegun:
    """An attempt at a device begins."""

    device: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTold:
    """The update of a device tells something."""

    device: str
    event: UpdateEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnded:
    """An attempt ended. Attributes: retry_in_ms: until the next one; None: this was the last."""

    device: str
    attempt: int
    ended: Attempt
    retry_in_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """No further device begins; those under way reach their end."""

    why: str


Event = DeviceBegun | DeviceTold | DeviceEnded | Stopping


class CampaignState(StrEnum):
    """How far a campaign is. The value is the word in JSON."""

    NOT_BEGUN = "not begun"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """Nobody carries it out, and it has not ended: it can be resumed."""
    DONE = "done"
    """Every device has an outcome; which, is another question."""
    ABORTED = "aborted"


class DeviceState(StrEnum):
    """How far a device of a campaign is. The value is the word in JSON."""

    NOT_BEGUN = "not begun"
    UNDER_WAY = "under way"
    """It was begun and has not ended; if nobody carries the campaign out, `resume` takes it up."""
    RETRY = "to be tried again"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """What is known of one device.

    Attributes:
        id: what the campaign calls it.
        target: where it is.
        wave: number of its wave, from 1.
        state: how far it is.
        attempts: that have ended.
        last: how the last one ended; None before.
    """

    id: str
    target: str
    wave: int
    state: DeviceState
    attempts: int
    last: Attempt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignStatus:
    """What is known of a campaign. Attributes: why: it was aborted, in words; empty otherwise."""

    name: str
    state: CampaignState
    devices: tuple[DeviceStatus, ...]
    why: str = ""

    @property
    def outcomes(self) -> dict[str, int]:
        """How many devices ended with each outcome."""
        ended = [each.last.outcome for each in self.devices if each.state is DeviceState.ENDED and each.last]
        return {each.value: ended.count(each) for each in Outcome}
