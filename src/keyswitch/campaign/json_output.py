"""What `keyswitch campaign` prints as JSON: one shape for each object, and the value that has it."""

from typing import TypedDict

from keyswitch.campaign.events import (
    ApprovalAwaited,
    CampaignBegun,
    CampaignStatus,
    DeviceBegun,
    DeviceEnded,
    DeviceStatus,
    DeviceTold,
    Event,
    LabelScanned,
    Pausing,
    Stopping,
    WaveApproved,
    WindowAwaited,
)
from keyswitch.campaign.outcomes import Outcome


class CampaignBegunJson(TypedDict):
    """This process begins to carry a campaign out, or carries it on; `ended` counts the devices that had ended before.

    `devices` is how many there are, in a later round how many are tried again.
    """

    event: str
    name: str
    round: int
    devices: int
    waves: list[int]
    ended: dict[str, int]


class DeviceBegunJson(TypedDict):
    """An attempt at a device begins."""

    event: str
    device: str
    attempt: int


class DeviceEndedJson(TypedDict):
    """An attempt at a device ended; `retry_in_ms` is null if it was the last one."""

    event: str
    device: str
    attempt: int
    outcome: str | None
    detail: str
    reason: str | None
    next_step: str | None
    duration_ms: int
    ended_at: str | None
    retry_in_ms: int | None


class StoppingJson(TypedDict):
    """No further device begins; `detail` says why."""

    event: str
    detail: str


class PausingJson(TypedDict):
    """No further attempt begins, and the campaign is paused when those under way have ended; `detail` says why."""

    event: str
    detail: str


class ApprovalAwaitedJson(TypedDict):
    """A wave of so many devices begins when somebody approves it."""

    event: str
    wave: int
    devices: int


class WaveApprovedJson(TypedDict):
    """A wave was approved: by whom, and when."""

    event: str
    wave: int
    who: str
    at: str


class WindowAwaitedJson(TypedDict):
    """No device begins before a window opens."""

    event: str
    opens_at: str


class LabelScannedJson(TypedDict):
    """A label was scanned; `device` is null if no device of this campaign has it."""

    event: str
    label: str
    device: str | None
    again: bool


class DeviceStatusJson(TypedDict):
    """One device of a campaign; `outcome` is how its last attempt ended, null before."""

    event: str
    device: str
    target: str
    wave: int
    state: str
    attempts: int
    outcome: str | None
    detail: str
    reason: str | None
    next_step: str | None
    duration_ms: int | None
    ended_at: str | None


class CampaignJson(TypedDict):
    """The last line. `seconds` is how long this process has carried the campaign out; null where it has not.

    `approval_of_wave` is the wave that begins when somebody approves it, null if none does; `round` counts from 1 how
    often the campaign was begun with those devices that were not confirmed.
    """

    event: str
    name: str
    state: str
    detail: str
    approval_of_wave: int | None
    round: int
    devices: int
    outcomes: dict[str, int]
    seconds: float | None


class DevicePlanJson(TypedDict):
    """What is to be expected of one device; `refused` says why it would be, `unreachable` why it was not asked.

    `gateway` updates it, null if this computer does; `gateway_seen_ms` is the age of its last sign of life, and
    `gateway_adapters` are the Bluetooth controllers that its computer had then; null: not known.
    """

    event: str
    device: str
    target: str
    wave: int
    refused: str | None
    next_step: str | None
    expected_ms: int | None
    limited_by: str | None
    unreachable: str | None
    gateway: str | None
    gateway_seen_ms: int | None
    gateway_adapters: list[str] | None


class CampaignPlanJson(TypedDict):
    """The last line of `campaign plan --json`; `store` is where the campaign would be kept.

    `opens_at` is when the first device may begin: now, unless there are windows; `ends_at` is when the updates of
    `expected_ms` have ended, `limited_by` what bounds that: `air`, `line`, `buffers`, `flash` and `windows`.
    """

    event: str
    name: str
    devices: int
    waves: list[int]
    concurrency: int
    store: str
    refused: int
    unreachable: int
    expected_ms: int
    limited_by: list[str]
    ends_at: str
    opens_at: str
    deadline: str | None


class GatewayReadyJson(TypedDict):
    """The gateway takes attempts from now on."""

    event: str
    name: str


class GatewayReplacedJson(TypedDict):
    """So many attempts of a silent gateway were given to another one."""

    event: str
    gateway: str
    by: str
    attempts: int


GatewayJson = GatewayReadyJson | DeviceBegunJson | DeviceEndedJson
"""What `keyswitch gateway` prints."""

RunJson = (
    CampaignBegunJson
    | DeviceBegunJson
    | DeviceEndedJson
    | StoppingJson
    | PausingJson
    | ApprovalAwaitedJson
    | WaveApprovedJson
    | WindowAwaitedJson
    | LabelScannedJson
    | CampaignJson
)


def event_json(event: Event) -> RunJson | None:
    """What happens; None for what only the device's own record has."""
    match event:
        case CampaignBegun(campaign=campaign, ended=ended):
            return {
                "event": "campaign_begun",
                "name": campaign.name,
                "round": campaign.round,
                "devices": len(campaign.devices),
                "waves": list(campaign.waves),
                "ended": {each.value: list(ended.values()).count(each) for each in Outcome},
            }
        case DeviceBegun(device=device, attempt=attempt):
            return {"event": "device_begun", "device": device, "attempt": attempt}
        case DeviceEnded(device=device, attempt=attempt, ended=ended, retry_in_ms=retry_in_ms):
            assert ended.duration_ms is not None  # noqa: S101 - who has carried it out knows (`Attempt.ended`)
            return {
                "event": "device_ended",
                "device": device,
                "attempt": attempt,
                "outcome": None if ended.outcome is None else ended.outcome.value,
                "detail": ended.detail,
                "reason": ended.reason,
                "next_step": ended.next_step,
                "duration_ms": ended.duration_ms,
                "ended_at": ended.ended_at or None,
                "retry_in_ms": retry_in_ms,
            }
        case Stopping(why=why) | Pausing(why=why):
            return {"event": "stopping" if isinstance(event, Stopping) else "pausing", "detail": why}
        case ApprovalAwaited(wave=wave, devices=devices):
            return {"event": "approval_awaited", "wave": wave, "devices": devices}
        case WaveApproved(wave=wave, who=who, at=at):
            return {"event": "wave_approved", "wave": wave, "who": who, "at": at}
        case WindowAwaited(opens_at=opens_at):
            return {"event": "window_awaited", "opens_at": opens_at}
        case LabelScanned(label=label, device=device, again=again):
            return {"event": "label_scanned", "label": label, "device": device, "again": again}
        case DeviceTold():
            return None


def device_json(device: DeviceStatus) -> DeviceStatusJson:
    """How one device stands."""
    last = device.last
    return {
        "event": "device",
        "device": device.id,
        "target": device.target,
        "wave": device.wave,
        "state": device.state.value,
        "attempts": device.attempts,
        "outcome": None if last is None or last.outcome is None else last.outcome.value,
        "detail": "" if last is None else last.detail,
        "reason": None if last is None else last.reason,
        "next_step": None if last is None else last.next_step,
        "duration_ms": None if last is None else last.duration_ms,
        "ended_at": None if last is None else last.ended_at or None,
    }


def campaign_json(status: CampaignStatus, *, seconds: float | None = None) -> CampaignJson:
    """How the campaign stands."""
    return {
        "event": "campaign",
        "name": status.name,
        "state": status.state.value,
        "detail": status.why,
        "approval_of_wave": status.awaits,
        "round": status.round,
        "devices": len(status.devices),
        "outcomes": status.outcomes,
        "seconds": seconds,
    }
