"""What a campaign tells while it is carried out, and what is known of its devices: frozen data."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

from keyswitch.campaign.outcomes import Outcome

if TYPE_CHECKING:  # whoever only looks at a campaign loads no update
    from keyswitch.campaign.model import Campaign
    from keyswitch.host.update.events import Event as UpdateEvent
    from keyswitch.host.update.job import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one attempt at a device ended.

    Attributes:
        outcome: what is true of the device; None: the campaign was stopped before the attempt began.
        detail: in words.
        reason: why the device refused, if it did; the word of `keyswitch.reasons`.
        next_step: what a person can do.
        duration_ms: of the attempt, as far as the process carried it out that saw its end; None: not known.
        ended_at: when it ended, in ISO 8601, by the clock of the computer that carried it out; empty: not known.
        head: of the device's chain of records, number and hash; None: it lies here.
    """

    outcome: Outcome | None
    detail: str = ""
    reason: str | None = None
    next_step: str | None = None
    duration_ms: int | None = None
    ended_at: str = ""
    head: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, outcome: Outcome, result: "Result") -> Self:
        """The attempt that an update's result is."""
        return cls(
            outcome=outcome,
            detail=result.line,
            reason=None if result.reason is None else result.reason.value,
            next_step=str(result.next_step) or None,
            duration_ms=result.duration_ms,
        )

    def ended(self, *, at: str, took_ms: int) -> Self:
        """With when it ended, and how long it took where no update has measured that: an image that is none, a bug."""
        return replace(self, ended_at=at, duration_ms=took_ms if self.duration_ms is None else self.duration_ms)

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "outcome": None if self.outcome is None else self.outcome.value}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """The same from JSON values."""
        word = plain["outcome"]
        values: dict[str, Any] = {**plain, "outcome": None if word is None else Outcome(word)}
        return cls(**values)


def last_attempt(result: Mapping[str, Any]) -> Attempt:
    """How the last attempt ended, of a device flow's result."""
    return Attempt.from_plain(result["last"])


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignBegun:
    """This process begins to carry a campaign out, or carries it on.

    Attributes:
        campaign: with its devices, also those that were found by a scan; of a later round, those that are tried again.
        ended: how those of them have ended that had before.
    """

    campaign: "Campaign"
    ended: Mapping[str, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceBegun:
    """An attempt at a device begins."""

    device: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTold:
    """The update of a device tells something."""

    device: str
    event: "UpdateEvent"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEnded:
    """An attempt ended; its time is known. Attributes: retry_in_ms: until the next one; None: this was the last."""

    device: str
    attempt: int
    ended: Attempt
    retry_in_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """No further device begins; those under way reach their end."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pausing:
    """No further attempt begins; those under way reach their end, and then the campaign is paused."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalAwaited:
    """A wave begins when somebody approves it. Attributes: wave: its number; devices: how many it has."""

    wave: int
    devices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveApproved:
    """A wave was approved. Attributes: wave: its number; who: approved it; at: when, in ISO 8601."""

    wave: int
    who: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAwaited:
    """No device begins before a window opens. Attributes: opens_at: when, in ISO 8601."""

    opens_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScanned:
    """A label was scanned.

    Attributes:
        label: as it was read.
        device: that has it; None: no device of this campaign has.
        again: it was scanned before.
    """

    label: str
    device: str | None
    again: bool


Event = (
    CampaignBegun
    | DeviceBegun
    | DeviceTold
    | DeviceEnded
    | Stopping
    | Pausing
    | ApprovalAwaited
    | WaveApproved
    | WindowAwaited
    | LabelScanned
)


class CampaignState(StrEnum):
    """How far a campaign is. The value is the word in JSON."""

    NOT_BEGUN = "not begun"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    """Nobody carries it out, and it has not ended: it can be resumed."""
    PAUSED = "paused"
    """The same, because somebody asked for it: no device was left under way."""
    DONE = "done"
    """Every device has an outcome; which, is another question."""
    ABORTED = "aborted"

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it is left to be carried out."""
        return self in {CampaignState.DONE, CampaignState.ABORTED}


class DeviceState(StrEnum):
    """How far a device of a campaign is. The value is the word in JSON."""

    NOT_BEGUN = "not begun"
    UNDER_WAY = "under way"
    """An attempt has begun and has not ended."""
    BROKEN_OFF = "broken off"
    """The process that made an attempt was killed or interrupted: the device may still be in maintenance, until its
    lease ends. `resume` takes it up."""
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

    @property
    def is_confirmed(self) -> bool:
        """Whether it runs the release, as far as the campaign knows."""
        return self.last is not None and self.last.outcome is Outcome.CONFIRMED


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignStatus:
    """What is known of a campaign.

    Attributes:
        name: of it.
        state: how far it is.
        devices: in its order.
        why: it was aborted or paused, in words; empty otherwise.
        awaits: number of the wave that begins when somebody approves it; None: none does.
        round: 1, and one more for each time that those were tried again that were not confirmed.
    """

    name: str
    state: CampaignState
    devices: tuple[DeviceStatus, ...]
    why: str = ""
    awaits: int | None = None
    round: int = 1

    @property
    def outcomes(self) -> dict[str, int]:
        """How many devices ended with each outcome."""
        ended = [each.last.outcome for each in self.devices if each.state is DeviceState.ENDED and each.last]
        return {each.value: ended.count(each) for each in Outcome}
