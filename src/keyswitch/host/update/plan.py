"""What an update would do, before it does anything: steps, bytes, how long it may take, and which bound holds. Pure.

Rules:

* A plan says what it assumes. Nobody knows a radio's interval or a part's flash before they were used: so the upload
  has two ends, one with a flash that takes no time and one with a usual part's (`keyswitch.host.upload.throughput`).
* Durations are bounds of the upload and estimates of all else; they are there to tell a minute from an hour.
* What could not be read is said to be unchecked; nothing is concluded from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from keyswitch.host.access.strategy import OLDER_FORM, AlreadyOpen, other_policy, tells_older_form
from keyswitch.host.connect.verdict import Gate, Verdict
from keyswitch.host.smp.queries import DEFAULT_BUF_SIZE, Params, SlotInfo
from keyswitch.host.update.direct_xip import NOT_KNOWN_YET, cannot_run, for_the_free_slots, one_of_each
from keyswitch.host.update.images import LEFT_OUT
from keyswitch.host.update.job import Goal, Job, JobImage, Observed
from keyswitch.host.update.no_way_back import ONE_SLOT, OTHER_WAY, no_way_back
from keyswitch.host.update.preflight import (
    arms_itself,
    does_not_fit,
    is_downgrade,
    never_starts,
    newer_that_runs,
    trial_in_the_way,
)
from keyswitch.host.update.steps import BY_NAME, WAY_OUT, WORK, StepName
from keyswitch.host.upload.encoder import Requests
from keyswitch.host.upload.frame_size import LEAST_FRAME, MOST_OUTSTANDING
from keyswitch.host.upload.throughput import USUAL_FLASH, Line, Rate, rate
from keyswitch.mcuboot.layout import BootMode
from keyswitch.reasons import Reason

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
    StepName.HEALTH: 10_000,
    StepName.CONFIRM: 100,
    StepName.LEAVE: 100,
    StepName.LEFT: 1_000,
}
"""What each step takes on a good day; the upload is computed."""


NO_WAY_OPENS: Final = frozenset({Reason.GUARD, Reason.LOCKED_OUT, Reason.SECURITY, Reason.BUSY})
"""Reasons that are the same with every way in, until something else changes."""

NOT_CHECKED: Final = (
    "not checked: the slots cannot be read now, so a downgrade or an image that is there is not known yet"
)

_IN_SESSION: Final = frozenset(StepName) - {StepName.FIND, StepName.VERDICT, StepName.ENTER, StepName.LEFT}
"""The steps that the lease has to last for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLease:
    """How long the device stays in maintenance.

    Attributes:
        ms: of one lease, in milliseconds.
        max_ms: of all its extensions together; equal to `ms` if it is not extended.
        keeps: an upload that the end of a lease interrupts goes on in the next one.
    """

    ms: int
    max_ms: int
    keeps: bool = False

    def extensions(self, duration_ms: int) -> int:
        """How many a session of this length needs."""
        return max(0, -(-duration_ms // self.ms) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDevice:
    """What is known of the device before the update; None where it is not.

    Attributes:
        verdict: on its gate.
        params: its buffers.
        bootloader: how it exchanges images.
        state_write: whether it takes state writes; without them a reset alone starts the newer image.
        room: the largest file of each image number; empty where it does not tell.
        lease: of its maintenance mode, by its policy; None without one.
        mcuboot_faults: that its bootloader has, or may have, by its policy, in words.
    """

    verdict: Verdict | None = None
    params: Params | None = None
    bootloader: BootMode | None = None
    state_write: bool | None = None
    room: Mapping[int, int] | None = None
    lease: PlannedLease | None = None
    mcuboot_faults: tuple[str, ...] = ()

    @property
    def slots(self) -> tuple[SlotInfo, ...] | None:
        """What lies in its slots, if that was told."""
        return None if self.verdict is None else self.verdict.slots


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """One step of the plan.

    Attributes:
        name: which.
        says: what it does.
        proof: what shows that it is done.
        expected_ms: how long it may take.
        slow_ms: how long with a usual part's flash.
        skipped: why it is not needed; empty if it is.
    """

    name: StepName
    says: str
    proof: str
    expected_ms: int
    slow_ms: int
    skipped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an update would do.

    Attributes:
        steps: in order.
        image_bytes: to be uploaded.
        requests: that the upload takes.
        fast: the bound of the upload with a flash that takes no time.
        slow: the same with a usual part's flash.
        extensions: of the lease that the update needs.
        slow_extensions: the same with a usual part's flash.
        slots_checked: whether the slots could be read.
        refused: why the update would be refused as things are; empty if nothing is known that would refuse it.
        next_step: what a person can do about that; empty where nothing would refuse it.
        notes: what a person should know: assumptions, and what is unusual.
    """

    steps: tuple[PlannedStep, ...]
    image_bytes: int
    requests: int
    fast: Rate
    slow: Rate
    extensions: int
    slow_extensions: int
    slots_checked: bool
    refused: str
    next_step: str
    notes: tuple[str, ...]

    @property
    def expected_ms(self) -> int:
        """Of the whole."""
        return sum(step.expected_ms for step in self.steps if not step.skipped)

    @property
    def slow_ms(self) -> int:
        """Of the whole, with a usual part's flash."""
        return sum(step.slow_ms for step in self.steps if not step.skipped)


def make_plan(job: Job, device: PlannedDevice, line: Line) -> Plan:
    """The plan of `job` on `device` over `line`."""
    meant = for_the_free_slots(job.images, device.slots or ())
    undecided = (NOT_KNOWN_YET,) if len(one_of_each(meant)) < len(meant) else ()
    unfit = cannot_run(meant, device.slots, device.bootloader)
    job = replace(job, images=one_of_each(meant))
    to_send = tuple(image for image in job.images if _listed(device, image) is None)
    params = device.params or Params(buf_size=DEFAULT_BUF_SIZE, buf_count=2)
    most = max(LEAST_FRAME, params.buf_size - line.framing_bytes)
    frame = min(most, line.max_packet or most, job.max_frame or most)
    outstanding = max(1, min(params.buf_count - 1, job.most_outstanding or MOST_OUTSTANDING, MOST_OUTSTANDING))
    fast, slow = (rate(line, frame=frame, outstanding=outstanding, flash=flash) for flash in (None, USUAL_FLASH))
    size = sum(len(image.data) for image in to_send)
    upload_ms = (fast.duration_ms(size), slow.duration_ms(size))
    stays = job.stay or job.goal is Goal.TEST
    names = [*WORK[job.goal], *(() if stays else WAY_OUT[-2:])]
    steps = tuple(_planned(name, job, device, upload_ms) for name in names)
    needed = [step for step in steps if not step.skipped and step.name in _IN_SESSION]
    session_ms = (sum(step.expected_ms for step in needed), sum(step.slow_ms for step in needed))
    extensions = [device.lease.extensions(ms) if device.lease is not None else 0 for ms in session_ms]
    refused, next_step = _refused(job, device, line)
    if not refused and unfit is not None and not _listed_all(job, device):
        refused, next_step = unfit.detail, unfit.next_step
    if not refused:
        refused = _beyond_the_lease(device.lease, session_ms[0])
    return Plan(
        steps=steps,
        image_bytes=size,
        requests=sum(_requests(image.data, frame, image.number) for image in to_send),
        fast=fast,
        slow=slow,
        extensions=extensions[0],
        slow_extensions=extensions[1],
        slots_checked=device.slots is not None,
        refused=refused,
        next_step=next_step,
        notes=(
            *undecided,
            *_policy_notes(job, device),
            *_notes(job, device, line),
            *_lease_notes(device.lease, *session_ms),
        ),
    )


def _refused(job: Job, device: PlannedDevice, line: Line) -> tuple[str, str]:
    """Why the update would be refused, and what a person can do; empty texts where nothing is known that would."""
    params, verdict = device.params, device.verdict
    unfit = arms_itself(job)
    if unfit is not None:
        return unfit.detail, unfit.next_step
    if params is not None and params.buf_size - line.framing_bytes < LEAST_FRAME:
        return f"the device says that its buffers have {params.buf_size} bytes: no upload fits in", ""
    if verdict is None:
        return "", ""
    other = other_policy(job.way.expected, verdict)
    if other is not None:
        return other.detail, other.next_step
    if job.goal is Goal.LEAVE:
        return "", ""
    if verdict.gate is Gate.SHUT and isinstance(job.way, AlreadyOpen):
        return f"no way to enter was given, and the gate is {verdict.line}", verdict.next_step
    if verdict.gate is Gate.SHUT and verdict.reason in NO_WAY_OPENS:
        return f"the gate is {verdict.line}", verdict.next_step
    if device.bootloader is BootMode.SINGLE and job.goal is not Goal.CONFIRM and not _listed_all(job, device):
        return ONE_SLOT, OTHER_WAY
    stop = is_downgrade(job, Observed(images=job.images, slots=device.slots))
    never = never_starts(job, device.slots, device.bootloader)
    stop = trial_in_the_way(job, device.slots) or never or stop
    if stop is None and job.goal is not Goal.CONFIRM:
        to_send = tuple(image for image in job.images if _listed(device, image) is None)
        stop = does_not_fit(to_send, device.room or {})
    return (stop.detail, stop.next_step) if stop is not None else ("", "")


def _beyond_the_lease(lease: PlannedLease | None, fast_ms: int) -> str:
    """Why the update cannot be done at all before the device leaves maintenance; empty if it can be."""
    if lease is None or lease.keeps or fast_ms <= lease.max_ms:
        return ""
    return f"it cannot be done within {_limit(lease)}: it takes at least {fast_ms / 1000:.0f} s"


def _policy_notes(job: Job, device: PlannedDevice) -> list[str]:
    verdict = device.verdict
    return [OLDER_FORM] if verdict is not None and tells_older_form(job.way.expected, verdict) else []


def _lease_notes(lease: PlannedLease | None, fast_ms: int, slow_ms: int) -> list[str]:
    """What the lease means for an update that can be done."""
    if lease is None or _beyond_the_lease(lease, fast_ms):
        return []
    notes: list[str] = []
    few, many = lease.extensions(fast_ms), lease.extensions(slow_ms)
    if many and lease.max_ms > lease.ms:
        count = str(many) if few == many else f"{few} to {many}"
        notes.append(f"needs {count} extension{'' if count == '1' else 's'} of the lease of {lease.ms / 1000:g} s")
    if slow_ms > lease.max_ms:
        if lease.keeps:
            notes.append(f"takes longer than {_limit(lease)}: what was sent is kept, and resumed in another session")
        else:
            notes.append(f"with a usual part's flash it cannot be done within {_limit(lease)}")
    return notes


def _limit(lease: PlannedLease) -> str:
    return f"{'lease_max_s' if lease.max_ms > lease.ms else 'lease_s'} ({lease.max_ms / 1000:g} s)"


def _listed_all(job: Job, device: PlannedDevice) -> bool:
    return all(_listed(device, image) is not None for image in job.images)


def _listed(device: PlannedDevice, image: JobImage) -> SlotInfo | None:
    """The slot that holds the image, as far as slots were told; the active one if several do."""
    return Observed(images=(image,), slots=device.slots).listed(image)


def _planned(name: StepName, job: Job, device: PlannedDevice, upload_ms: tuple[int, int]) -> PlannedStep:
    step = BY_NAME[name]
    expected_ms, slow_ms = upload_ms if name is StepName.UPLOAD else (USUAL_MS[name], USUAL_MS[name])
    return PlannedStep(
        name=name,
        says=step.says,
        proof=step.proof,
        expected_ms=expected_ms,
        slow_ms=slow_ms,
        skipped=_skipped(name, job, device),
    )


def _skipped(name: StepName, job: Job, device: PlannedDevice) -> str:
    verdict = device.verdict
    is_open = verdict is not None and verdict.gate is Gate.OPEN
    if name in {StepName.ENTER, StepName.RECONNECT} and is_open:
        return "the gate is open already"
    if name in {StepName.UPLOAD, StepName.TEST, StepName.RESET, StepName.SWAP}:
        return _not_needed(name, job, device)
    if name is StepName.HEALTH and job.health is None:
        return "no health check was given"
    if name is StepName.CONFIRM and Observed(images=job.images, slots=device.slots).all_confirmed:
        return "it is confirmed already"
    if name in {StepName.LEAVE, StepName.LEFT} and verdict is not None and is_open and verdict.state is None:
        return "the device has no mode to leave"
    return ""


def _not_needed(name: StepName, job: Job, device: PlannedDevice) -> str:
    """Why nothing has to be done for a step that brings images in, or starts them."""
    views = [_listed(device, image) for image in job.images]
    present = [view for view in views if view is not None]
    if present and len(present) == len(views):
        if all(view.active for view in present):
            return "the image runs already"
        if name is StepName.UPLOAD:
            return "the image lies in the slot already"
        if name is StepName.TEST and all(view.active or view.pending for view in present):
            return "the image is marked already"
    if name is StepName.TEST and device.state_write is False:
        return "the device takes no state write: a reset alone starts the newer image"
    return ""


def _requests(data: bytes, frame: int, number: int) -> int:
    requests = Requests(data, frame=frame, number=number)
    off, count = 0, 0
    while off < len(data):
        off += requests.room(off)
        count += 1
    return count


def _notes(job: Job, device: PlannedDevice, line: Line) -> list[str]:
    notes = [job.way.words]
    if device.slots is None:
        notes.append(NOT_CHECKED)
    if device.params is None:
        notes.append("the device's buffers are not known yet: the smallest usual ones are assumed")
    flash = "a flash that takes no time, or that of an nRF52840"
    notes.append(f"assumed: {', '.join(part for part in (line.assumed, flash) if part)}")
    if device.bootloader is not None:
        notes.append(f"bootloader: {device.bootloader.words}")
    notes += no_way_back(device.bootloader)
    notes += [f"a known fault: {words}" for words in device.mcuboot_faults]
    notes += [f"{LEFT_OUT}: {image.left_out}" for image in job.images if image.left_out]
    if len(job.images) > 1:
        order = ", ".join(str(image.number) for image in job.marking_order)
        notes.append(f"the images are marked and confirmed from the highest number down: {order}")
    older = [image.version for image in job.images if newer_that_runs(image, device.slots) is not None]
    if older:
        notes.append(f"a downgrade: the device runs something newer than {', '.join(older)}")
    return notes
