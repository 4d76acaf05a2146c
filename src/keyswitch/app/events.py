"""What an operator's commands print as JSON: one shape for each object, and the value that has it.

Rules:

* Every object has `schema_version`. A new key leaves it is; a key that goes, or means something else, raises it.
* A time is in `_ms`, a rate in `_bytes_per_second`; `gate`, `reason`, `detail`, `next_step` mean the same everywhere.
* What is not known is null, and its key is there all the same.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, TypedDict, assert_never

from keyswitch.app.status import Looked
from keyswitch.host.connect.scan import FoundDevice
from keyswitch.host.connect.verdict import Verdict
from keyswitch.host.report.run_record import slots_of
from keyswitch.host.update.events import Ended, Event, Message, StepBegun, StepDone, StepFailed, Uploading, VerdictFound
from keyswitch.host.update.job import Result
from keyswitch.host.update.plan import Plan, plan_json
from keyswitch.policy.model import Policy

SCHEMA_VERSION: Final = 2
"""Version 1 was without this number: steps were `step begun`, and a result told `seconds`."""


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


UpdateJson = StepBegunJson | StepDoneJson | StepMissedJson | VerdictJson | ProgressJson | SaidJson | ResultJson


def to_line(values: Mapping[str, Any]) -> str:
    """An object as it goes out, on one line."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **values})


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


def plan_of_json(plan: Plan, *, unreachable: str = "") -> dict[str, Any]:
    """The plan, and why the device had no part in it if it was not reached."""
    return {**plan_json(plan), "unreachable": unreachable or None}


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
