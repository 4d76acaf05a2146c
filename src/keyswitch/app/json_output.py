"""What an operator's commands print as JSON: one shape for each object, and the value that has it.

Rules: those of `keyswitch.schema.output`.
"""

from dataclasses import asdict
from typing import Any, TypedDict, assert_never

from keyswitch.app.status import Looked
from keyswitch.host.connect.scan import FoundDevice
from keyswitch.host.connect.verdict import Verdict
from keyswitch.host.report.run_record import slots_of
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading, VerdictFound
from keyswitch.host.update.job import Result
from keyswitch.host.update.plan import Plan, PlannedStep
from keyswitch.policy.model import Policy
from keyswitch.schema.output import SCHEMA_VERSION, to_line

__all__ = [
    "SCHEMA_VERSION",
    "PlanJson",
    "PlannedStepJson",
    "ProgressJson",
    "ResultJson",
    "SaidJson",
    "ScanJson",
    "StatusJson",
    "StepBegunJson",
    "StepDoneJson",
    "StepMissedJson",
    "UpdateJson",
    "VerdictFields",
    "VerdictJson",
    "event_json",
    "plan_json",
    "result_json",
    "scan_json",
    "status_json",
    "to_line",
    "verdict_json",
]


class VerdictFields(TypedDict):
    """What was found out about a gate: open, shut or unknown, why, and what to do."""

    gate: str
    reason: str | None
    detail: str
    guard: dict[str, Any] | None
    next_step: str | None
    mode: str | None
    image_group: bool | None


class StatusJson(VerdictFields):
    """The object of `status --json`."""

    slots: list[dict[str, Any]] | None
    other_device: str | None
    other_revision: str | None
    link_security: str | None
    policy_form: int | None


class ScanJson(TypedDict):
    """One line of `scan --json`: a device that was heard."""

    address: str
    name: str
    shows: str
    mode_index: int | None
    mode_if_policy: str | None
    token: str | None
    rssi_dbm: int | None


class StepBegunJson(TypedDict):
    """A step's act begins."""

    event: str
    step: str
    says: str
    at_ms: int


class StepDoneJson(TypedDict):
    """A step's proof holds now; `duration_ms` is null if nothing had to be done."""

    event: str
    step: str
    at_ms: int
    duration_ms: int | None


class StepMissedJson(TypedDict):
    """A step was done or given up, and its proof does not hold; the run continues from what the device has."""

    event: str
    step: str
    at_ms: int
    duration_ms: int
    detail: str


class VerdictJson(VerdictFields):
    """A verdict in a run."""

    event: str
    at_ms: int


class ProgressJson(TypedDict):
    """An upload moves: `off` of `size` bytes are there."""

    event: str
    at_ms: int
    off: int
    size: int
    upload_bytes_per_second: int
    remaining_ms: int | None


class SaidJson(TypedDict):
    """Something that a person should read."""

    event: str
    at_ms: int
    text: str


class ResultJson(TypedDict):
    """The last line of `update --json`."""

    event: str
    outcome: str
    detail: str
    reason: str | None
    next_step: str | None
    duration_ms: int
    upload_bytes_per_second: int | None
    sent_bytes: int
    already_there_bytes: int
    resumed: int
    before: list[dict[str, Any]] | None
    after: list[dict[str, Any]] | None
    not_read_since: str | None
    extensions: int


class PlannedStepJson(TypedDict):
    """One step of a plan; `skipped` says why it is not needed."""

    step: str
    says: str
    proof: str
    expected_ms: int
    slow_ms: int
    skipped: str | None


class PlanJson(TypedDict):
    """The object of `update --dry-run --json`."""

    event: str
    steps: list[PlannedStepJson]
    image_bytes: int
    requests: int
    bound_bytes_per_second: int
    limited_by: str
    expected_ms: int
    slow_bytes_per_second: int
    slow_limited_by: str
    slow_ms: int
    extensions: int
    slow_extensions: int
    slots_checked: bool
    refused: str | None
    next_step: str | None
    notes: list[str]
    unreachable: str | None


UpdateJson = StepBegunJson | StepDoneJson | StepMissedJson | VerdictJson | ProgressJson | SaidJson | ResultJson


def verdict_json(verdict: Verdict) -> VerdictFields:
    """A verdict."""
    return {
        "gate": verdict.gate.value,
        "reason": verdict.reason.value if verdict.reason else None,
        "detail": verdict.detail,
        "guard": asdict(verdict.guard) if verdict.guard is not None else None,
        "next_step": verdict.next_step or None,
        "mode": verdict.mode,
        "image_group": verdict.image_group,
    }


def status_json(looked: Looked) -> StatusJson:
    """One look at a device."""
    other = looked.other
    return {
        **verdict_json(looked.verdict),
        "slots": slots_of(looked.verdict.slots),
        "other_device": other.detail if other is not None and not other.same_device else None,
        "other_revision": other.detail if other is not None and other.same_device else None,
        "link_security": None if looked.security is None else looked.security.word,
        "policy_form": looked.policy_form,
    }


def scan_json(near: FoundDevice, policy: Policy | None = None) -> ScanJson:
    """One device that was heard; `mode_if_policy` is its mode's name, if it obeys `policy`."""
    return {
        "address": near.address,
        "name": near.name,
        "shows": near.shows.value,
        "mode_index": near.mode_index,
        "mode_if_policy": near.mode_by(policy) if policy is not None else None,
        "token": near.token.hex() or None,
        "rssi_dbm": near.rssi_dbm,
    }


def plan_json(plan: Plan, *, unreachable: str = "") -> PlanJson:
    """The plan, and why the device had no part in it if it was not reached."""
    return {
        "event": "plan",
        "steps": [_planned_step_json(step) for step in plan.steps],
        "image_bytes": plan.image_bytes,
        "requests": plan.requests,
        "bound_bytes_per_second": plan.fast.bytes_per_second,
        "limited_by": plan.fast.limited_by,
        "expected_ms": plan.expected_ms,
        "slow_bytes_per_second": plan.slow.bytes_per_second,
        "slow_limited_by": plan.slow.limited_by,
        "slow_ms": plan.slow_ms,
        "extensions": plan.extensions,
        "slow_extensions": plan.slow_extensions,
        "slots_checked": plan.slots_checked,
        "refused": plan.refused or None,
        "next_step": plan.next_step or None,
        "notes": list(plan.notes),
        "unreachable": unreachable or None,
    }


def _planned_step_json(step: PlannedStep) -> PlannedStepJson:
    return {
        "step": step.name.value,
        "says": step.says,
        "proof": step.proof,
        "expected_ms": step.expected_ms,
        "slow_ms": step.slow_ms,
        "skipped": step.skipped or None,
    }


def result_json(result: Result) -> ResultJson:
    """How an update ended."""
    return {
        "event": "result",
        "outcome": result.outcome.value,
        "detail": result.detail,
        "reason": result.reason.value if result.reason else None,
        "next_step": result.next_step or None,
        "duration_ms": result.duration_ms,
        "upload_bytes_per_second": result.sent.bytes_per_second if result.sent else None,
        "sent_bytes": result.sent.bytes if result.sent else 0,
        "already_there_bytes": result.sent.already_there if result.sent else 0,
        "resumed": result.resumed,
        "before": slots_of(result.before),
        "after": slots_of(result.after),
        "not_read_since": result.not_read_since or None,
        "extensions": result.extensions,
    }


def event_json(event: Event) -> UpdateJson:
    """An event of an update; `event` names it."""
    match event:
        case StepBegun(name=name, says=says, at_ms=at_ms):
            return {"event": "step_begun", "step": name.value, "says": says, "at_ms": at_ms}
        case StepDone(name=name, at_ms=at_ms, duration_ms=duration_ms):
            return {"event": "step_done", "step": name.value, "at_ms": at_ms, "duration_ms": duration_ms}
        case StepFailed(name=name, at_ms=at_ms, duration_ms=took_ms, why=why):
            return {
                "event": "step_missed",
                "step": name.value,
                "at_ms": at_ms,
                "duration_ms": took_ms,
                "detail": why,
            }
        case VerdictFound(verdict=verdict, at_ms=at_ms):
            return {"event": "verdict", "at_ms": at_ms, **verdict_json(verdict)}
        case Uploading(progress=progress, at_ms=at_ms):
            return {
                "event": "progress",
                "at_ms": at_ms,
                "off": progress.off,
                "size": progress.size,
                "upload_bytes_per_second": progress.bytes_per_second,
                "remaining_ms": progress.remaining_ms,
            }
        case Message(text=text, at_ms=at_ms):
            return {"event": "said", "at_ms": at_ms, "text": text}
        case Ended(result=result):
            return result_json(result)
        case _:
            assert_never(event)
