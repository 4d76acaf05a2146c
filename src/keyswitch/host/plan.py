"""What an update would do, before it does anything: steps, bytes, how long it may take, and which bound holds. Pure.

Rules:

* A plan says what it assumes. Nobody knows a radio's interval or a part's flash before they were used.
* Durations are lower bounds of what the link allows (`keyswitch.link.air.bound`), and estimates where nothing is known;
  they are there to tell a minute from an hour.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from keyswitch.host.job import Goal, Job, JobImage
from keyswitch.host.requests import Requests
from keyswitch.host.steps import BY_NAME, WAY_OUT, WORK, StepName
from keyswitch.host.suiting import newer_that_runs, why_not
from keyswitch.host.verdict import Gate, Verdict
from keyswitch.host.views import DEFAULT_BUF_SIZE, Params
from keyswitch.host.way import OTHER_DEVICE_STEP, NoWay, other_policy
from keyswitch.link.air.bound import upload_bound

ASSUMED_INTERVAL_US: Final = 15_000
"""What iOS and most of Linux and Android grant to a peripheral that asks for less."""

BITS_PER_BYTE: Final = 10
"""On a serial line: start, eight, stop."""

CONSOLE_EFFICIENCY: Final = 93 / 127
"""Bytes of packet in a full line of console framing (Zephyr `serial_util.c`)."""

USUAL_MS: Final = {
    StepName.FIND: 1_000,
    StepName.VERDICT: 100,
    StepName.ENTER: 200,
    StepName.RECONNECT: 1_000,
    StepName.VERIFY: 100,
    StepName.TEST: 100,
    StepName.RESET: 500,
    StepName.SWAP: 5_000,
    StepName.PROVE: 100,
    StepName.CONFIRM: 100,
    StepName.LEAVE: 100,
    StepName.LEFT: 1_000,
}
"""What each step takes on a good day; the upload is computed."""


class Bootloader(Enum):
    """How the bootloader exchanges images, by its number in the os group's bootloader info (Zephyr `smp_group_0`)."""

    SINGLE = 0
    SWAP_SCRATCH = 1
    OVERWRITE = 2
    SWAP_MOVE = 3
    XIP = 4
    XIP_REVERT = 5
    RAM_LOAD = 6
    FIRMWARE_LOADER = 7
    SINGLE_RAM_LOAD = 8
    SWAP_OFFSET = 9

    @property
    def words(self) -> str:
        """For people."""
        return self.name.lower().replace("_", " ")


NO_REVERT: Final = frozenset({Bootloader.OVERWRITE, Bootloader.XIP, Bootloader.SINGLE, Bootloader.SINGLE_RAM_LOAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What is known of the device before the update; None where it is not.

    Attributes:
        verdict: on its gate.
        params: its buffers.
        bootloader: how it exchanges images.
        state_write: whether it takes state writes; without them a reset alone starts the newer image.
    """

    verdict: Verdict | None = None
    params: Params | None = None
    bootloader: Bootloader | None = None
    state_write: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The link.

    Attributes:
        kind: `ble`, `udp` or `serial`.
        baud: of a serial line.
        max_packet: largest packet in bytes, None where the device's buffers bound it.
        framing_bytes: bytes of a buffer that the framing takes.
    """

    kind: str
    baud: int | None = None
    max_packet: int | None = None
    framing_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step of the plan.

    Attributes:
        name: which.
        says: what it does.
        proof: what shows that it is done.
        expected_ms: how long it may take.
        skipped: why it is not needed; empty if it is.
    """

    name: StepName
    says: str
    proof: str
    expected_ms: int
    skipped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an update would do.

    Attributes:
        steps: in order.
        image_bytes: to be uploaded.
        requests: that the upload takes.
        bytes_per_second: the bound of the upload; None if none is known.
        limited_by: what holds there.
        refused: why the update would be refused as things are; empty if nothing is known that would refuse it.
        notes: what a person should know: assumptions, and what is unusual.
    """

    steps: tuple[PlannedStep, ...]
    image_bytes: int
    requests: int
    bytes_per_second: int | None
    limited_by: str
    refused: str
    notes: tuple[str, ...]

    @property
    def expected_ms(self) -> int:
        """Of the whole."""
        return sum(step.expected_ms for step in self.steps if not step.skipped)


def make_plan(job: Job, device: Device, line: Line) -> Plan:
    """The plan of `job` on `device` over `line`."""
    images = [image for image in job.images if not _runs(device, image.hash)]
    size = sum(len(image.data) for image in images)
    params = device.params or Params(buf_size=DEFAULT_BUF_SIZE, buf_count=2)
    most = params.buf_size - line.framing_bytes
    frame = min(most, line.max_packet or most)
    rate, limit = _bound(frame, params, line)
    upload_ms = round(size * 1000 / rate) if rate else 0
    stays = job.stay or job.goal is Goal.TEST
    names = [*WORK[job.goal], *(() if stays else WAY_OUT[-2:])]
    steps = tuple(_planned(name, device, upload_ms, nothing_new=bool(job.images) and not images) for name in names)
    return Plan(
        steps=steps,
        image_bytes=size,
        requests=sum(_requests(image.data, frame, image.number) for image in images),
        bytes_per_second=rate,
        limited_by=limit,
        refused=_refused(job, device),
        notes=tuple(_notes(job, device, line)),
    )


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as `update --dry-run --json` prints it."""
    return {
        "event": "plan",
        "steps": [
            {
                "step": step.name.value,
                "says": step.says,
                "proof": step.proof,
                "expected_ms": step.expected_ms,
                "skipped": step.skipped or None,
            }
            for step in plan.steps
        ],
        "image_bytes": plan.image_bytes,
        "requests": plan.requests,
        "bound_bytes_per_second": plan.bytes_per_second,
        "limited_by": plan.limited_by,
        "expected_ms": plan.expected_ms,
        "refused": plan.refused or None,
        "notes": list(plan.notes),
    }


def _refused(job: Job, device: Device) -> str:
    verdict = device.verdict
    if verdict is None:
        return ""
    other = other_policy(job.way.expected, verdict.state)
    if other is not None:
        return f"{other}; {OTHER_DEVICE_STEP}"
    if verdict.gate is Gate.SHUT and isinstance(job.way, NoWay):
        return f"no way to enter was given, and the gate is {verdict.line}"
    stop = why_not(job, tuple(image for image in job.images if not _lies_there(device, image)), verdict.slots or (), {})
    return f"{stop.detail}; {stop.next_step}" if stop is not None else ""


def _lies_there(device: Device, image: JobImage) -> bool:
    slots = device.verdict.slots if device.verdict is not None else None
    return any(view.hash == image.hash and view.image == image.number for view in slots or ())


def _runs(device: Device, digest: bytes) -> bool:
    slots = device.verdict.slots if device.verdict is not None else None
    return any(view.hash == digest and view.active for view in slots or ())


def _planned(name: StepName, device: Device, upload_ms: int, *, nothing_new: bool) -> PlannedStep:
    step = BY_NAME[name]
    expected_ms = upload_ms if name is StepName.UPLOAD else USUAL_MS[name]
    return PlannedStep(
        name=name,
        says=step.says,
        proof=step.proof,
        expected_ms=expected_ms,
        skipped=_skipped(name, device, nothing_new=nothing_new),
    )


def _skipped(name: StepName, device: Device, *, nothing_new: bool) -> str:
    verdict = device.verdict
    is_open = verdict is not None and verdict.gate is Gate.OPEN
    if name in {StepName.ENTER, StepName.RECONNECT} and is_open:
        return "the gate is open already"
    if name in {StepName.UPLOAD, StepName.TEST, StepName.RESET, StepName.SWAP} and nothing_new:
        return "the image runs already"
    if name is StepName.TEST and device.state_write is False:
        return "the device takes no state write: a reset alone starts the newer image"
    if name in {StepName.LEAVE, StepName.LEFT} and verdict is not None and is_open and verdict.state is None:
        return "the device has no mode to leave"
    return ""


def _bound(frame: int, params: Params, line: Line) -> tuple[int | None, str]:
    if line.kind == "ble":
        bound = upload_bound(interval_us=ASSUMED_INTERVAL_US, buf_size=frame, buf_count=params.buf_count)
        return round(bound.bytes_per_second), bound.limited_by
    if line.kind == "serial" and line.baud:
        return round(line.baud / BITS_PER_BYTE * CONSOLE_EFFICIENCY), "line"
    return None, "device"


def _requests(data: bytes, frame: int, number: int) -> int:
    requests = Requests(data, frame=frame, number=number)
    off, count = 0, 0
    while off < len(data):
        off += requests.room(off)
        count += 1
    return count


def _notes(job: Job, device: Device, line: Line) -> list[str]:
    notes = [job.way.words]
    if device.params is None:
        notes.append("the device's buffers are not known yet: the smallest usual ones are assumed")
    if line.kind == "ble":
        notes.append(f"assumed: interval {ASSUMED_INTERVAL_US / 1000:g} ms, 2M, 251 bytes, flash as fast as the link")
    if device.bootloader is not None:
        notes.append(f"bootloader: {device.bootloader.words}")
    if device.bootloader in NO_REVERT:
        notes.append("this bootloader cannot go back to the old image")
    older = [image.version for image in job.images if _is_older(device, image)]
    if older:
        notes.append(f"a downgrade: the device runs something newer than {', '.join(older)}")
    return notes


def _is_older(device: Device, image: JobImage) -> bool:
    slots = device.verdict.slots if device.verdict is not None else None
    return newer_that_runs(image, slots) is not None
