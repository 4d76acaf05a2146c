"""The prover's traces, played on the whole device: real server, runtime, bootloader and flash, real requests.

Only what surrounds the device is made up: links that deliver at once and end when the trace says so, keys of its own
instead of the policy's files, an unsigned image in the secondary slot for a trace to arm, and a clock that jumps to the
time limit that the trace names.

    trace's event    on the device
    boot             power comes back, or the device has come up by itself
    boot_after_another
                     the same, with the session record, the image on trial or the blank store of another firmware
    enter, attach    the challenge command, and a right proof of the kind named
    upload           the first chunk; `upload_ended` sends the rest
    expired          the clock stands at that limit's end; the other limits are as far away as before
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from keyswitch.device.server.components import Components
from keyswitch.errors import InputError
from keyswitch.policy.enums import Clock
from keyswitch.policy.model import Policy
from keyswitch.replay.rig import ReplayDevice
from keyswitch.replay.trace import FIELDS, check_trace
from keyswitch.text import short


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedEvent:
    """One event of a trace, played. Attributes: event: its word; expected, observed: the mode after it, None: off."""

    event: str
    expected: str | None
    observed: str | None

    @property
    def ok(self) -> bool:
        """The device went where the trace says; where the trace says "off", it may have come up by itself already."""
        return self.expected is None or self.expected == self.observed


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """A trace, played.

    Attributes:
        steps: each event.
        claim: what was asked at the end, in words.
        seen: what the trace claims was seen on the device.
    """

    steps: tuple[ReplayedEvent, ...]
    claim: str
    seen: bool

    @property
    def confirmed(self) -> bool:
        """The device did in every step what the trace says, and what it claims."""
        return self.seen and all(step.ok for step in self.steps)


class ReplayedEventJson(TypedDict):
    """One event of a trace, played: the mode that the trace says, and the one that was seen (null: off)."""

    event: str
    expected: str | None
    observed: str | None
    ok: bool


class ReplayedTraceJson(TypedDict):
    """One violation, played; `seen` tells whether its claim was true on the device."""

    rule: str
    subject: str
    confirmed: bool
    claim: str
    seen: bool
    steps: list[ReplayedEventJson]


class ReplayJson(TypedDict):
    """The object of `check --replay --json`."""

    confirmed: bool
    traces: list[ReplayedTraceJson]


def replay_json(outcomes: Sequence[tuple[Mapping[str, Any], ReplayResult]]) -> ReplayJson:
    """Violations, each with how it went on the device."""
    return {
        "confirmed": bool(outcomes) and all(outcome.confirmed for _, outcome in outcomes),
        "traces": [
            {
                "rule": violation["rule"],
                "subject": violation["subject"],
                "confirmed": outcome.confirmed,
                "claim": outcome.claim,
                "seen": outcome.seen,
                "steps": [
                    {"event": step.event, "expected": step.expected, "observed": step.observed, "ok": step.ok}
                    for step in outcome.steps
                ],
            }
            for violation, outcome in outcomes
        ],
    }


async def play(policy: Policy, violation: dict[str, Any], parts: Components | None = None) -> ReplayResult:
    """Play one violation of `keyswitch check --json` on a device of its own.

    Args:
        policy: the policy that was checked; its key files are not needed.
        violation: `rule`, `subject` and `trace`; `loop` is played once, `refused` is asked for at the end.
        parts: what the device is made of; planted faults, for tests.

    Raises:
        InputError: the trace has an event that cannot be played, or is none.
    """
    check_trace(policy, violation)
    if policy.entry.permit is not None:
        clocked = replace(policy.entry.permit, clock=Clock.NONE)
        policy = replace(policy, entry=replace(policy.entry, permit=clocked))
    stage = ReplayDevice(policy, parts)
    played: list[ReplayedEvent] = []
    try:
        for number, event in enumerate([*violation["trace"], *violation.get("loop", ())]):
            await _acts(stage, event, number)(event)
            await stage.settle()
            played.append(ReplayedEvent(event=event["event"], expected=event["mode"], observed=stage.now_in))
        claim, seen = await _claim(stage, violation)
    finally:
        await stage.runtime.close()
    return ReplayResult(steps=tuple(played), claim=claim, seen=seen)


def _acts(stage: ReplayDevice, event: dict[str, Any], number: int) -> Callable[[dict[str, Any]], Awaitable[None]]:
    name = event.get("event")
    if name not in FIELDS or "power_cut" in event or "slot" in event:
        raise InputError(f"trace[{number}]", f"{short(name)} cannot be played on a device", ", ".join(sorted(FIELDS)))
    act: Callable[[dict[str, Any]], Awaitable[None]] = getattr(stage, str(name))
    return act


async def _claim(stage: ReplayDevice, violation: dict[str, Any]) -> tuple[str, bool]:
    """What the trace ends with, asked of the device itself."""
    rule, subject = violation["rule"], str(violation["subject"])
    if rule == "firmware-outside-maintenance":
        name = subject.rsplit(maxsplit=1)[-1]
        return f"{name} is served in mode {stage.now_in}", await stage.serves(name)
    if rule == "maintenance-on-purpose":
        here = stage.policy.modes.get(stage.now_in or "")
        return "the device is in maintenance", here is not None and here.maintenance
    if rule == "ask-and-leave":
        name = f"mode.{subject.rsplit(maxsplit=1)[-1]}"
        direction = "read" if name == "mode.state" else "write"
        served = await stage.serves(f"{name}:{direction}", violation["trace"][-1])
        return f"{name} is refused in mode {stage.now_in}", not served
    if rule == "whole-revert":
        return _still_new(stage, subject)
    if rule in {"clean-leave", "fresh-start"}:
        return _remains(subject), stage.left(subject)
    if rule == "trial-as-asked":
        return "the new image runs and is on no trial", stage.runs_new_for_good
    if rule == "boots-again":
        return "nothing boots after a power cut", not stage.boots_again()
    if violation.get("refused"):
        name = str(violation["refused"])
        return f"{name} is refused in mode {stage.now_in}", not await stage.serves(name)
    if rule == "maintenance-ends":
        return _goes_on(stage)
    last = [*violation["trace"], *violation.get("loop", ())][-1]["mode"]
    return f"the device is in mode {last}", stage.now_in == last


def _remains(subject: str) -> str:
    return f"{subject} is left over" if " " in subject else f"{subject} was not asked for when it was due"


def _still_new(stage: ReplayDevice, subject: str) -> tuple[str, bool]:
    number = int(subject.rsplit(maxsplit=1)[-1])
    seen = stage.runs(0) == "old" and stage.runs(number) not in {"old", None}
    return f"image 0 is the old one again, and image {number} is not", seen


def _goes_on(stage: ReplayDevice) -> tuple[str, bool]:
    here = stage.policy.modes.get(stage.now_in or "")
    lasts = here is not None and here.maintenance and stage.server.core.gate_open
    return f"maintenance continues in mode {stage.now_in}", lasts
