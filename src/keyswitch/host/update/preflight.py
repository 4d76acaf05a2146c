"""Whether a device should get these images, and start them: what it tells of its slots, held against the files.

Rules:

* Going back to an older version is done on purpose (`Job.downgrade`): with most bootloaders it works without a word.
* Versions are compared as people count them, by major, minor, revision, then build (MCUboot leaves the build out unless
  it is built to use it); each image with the running one of its own number.
* What a device does not tell, or tells in words that mean nothing, is not held against it.
"""

from collections.abc import Mapping
from typing import Final

from keyswitch.errors import Phrase
from keyswitch.host.connect.verdict import NEXT_STEP
from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.smp.slots import MARKED_STEP, marked_of, marked_words, trial_of
from keyswitch.host.update.direct_xip import IN_PLACE
from keyswitch.host.update.job import Goal, Job, JobImage, Observed, Outcome, Stop
from keyswitch.mcuboot.image import ImageVersion
from keyswitch.mcuboot.layout import BootMode
from keyswitch.reasons import Reason

HIGHER: Final = "build the image with a higher version: with this bootloader nothing else replaces what runs"

GO_BACK: Final = Phrase("install a newer version, or say {downgrade} to go back on purpose")


def newer_that_runs(image: JobImage, slots: tuple[SlotInfo, ...] | None) -> SlotInfo | None:
    """The running image of the same number, if it is newer than this one."""
    version = ImageVersion.read(image.version)
    running = [view for view in slots or () if view.active and view.image == image.number]
    if len(running) > 1 and not running[0].image_told:
        return None  # which of them is this image's is not told
    for view in running:
        runs = ImageVersion.read(view.version)
        if version is not None and runs is not None and version < runs:
            return view
    return None


def is_downgrade(job: Job, seen: Observed) -> Stop | None:
    """Why one of the job's images must not be started: it is older than what runs; None if none is, or it is meant.

    It does not matter how it came into its slot: after each swap the bootloader leaves the older image there.
    """
    if job.downgrade or job.goal is Goal.CONFIRM:
        return None
    for image in job.images:
        listed = seen.listed(image)
        view = newer_that_runs(image, seen.slots) if listed is None or not listed.active else None
        if view is not None:
            detail = f"{_name(image)} is older than {view.version}, which the device runs"
            return Stop(outcome=Outcome.REFUSED, detail=detail, reason=Reason.DOWNGRADE, next_step=GO_BACK)
    return None


def never_starts(job: Job, slots: tuple[SlotInfo, ...] | None, bootloader: BootMode | None) -> Stop | None:
    """Why one of the job's images would not start whatever is said; None if all would, or nobody knows.

    A bootloader that runs images where they lie starts the highest version, of equal ones that of slot 0, and does not
    look at build numbers (MCUboot loader.c `find_slot_with_highest_version`). To go back on purpose changes nothing.
    """
    if bootloader not in IN_PLACE or job.goal is Goal.CONFIRM:
        return None
    for image in job.images:
        listed = Observed(images=(image,), slots=slots).listed(image)
        running = [view for view in slots or () if view.active and view.image == image.number]
        new, runs = ImageVersion.read(image.version), ImageVersion.read(running[0].version) if running else None
        if new is None or runs is None or (listed is not None and listed.active):
            continue
        first = (new.without_build, -(1 - running[0].slot)) > (runs.without_build, -running[0].slot)
        if not first:
            detail = f"{_name(image)} would not start: the bootloader runs the higher version, which is {runs}"
            return Stop(outcome=Outcome.REFUSED, detail=detail, reason=Reason.DOWNGRADE, next_step=HIGHER)
    return None


def arms_itself(job: Job) -> Stop | None:
    """Why one of the job's files must not be sent: the next reset would start it unasked; None if none would.

    What the device says of an upload or a trial would not be so then: the image is marked for good once it is there.
    """
    if job.unchecked or job.goal is Goal.CONFIRM:
        return None
    for image in job.images:
        if image.arms_itself:
            detail = f"{_name(image)} brings its own trailer: once it is there, the next reset starts it"
            next_step = NEXT_STEP[Reason.TRAILER]
            return Stop(outcome=Outcome.REFUSED, detail=detail, reason=Reason.TRAILER, next_step=next_step)
    return None


def trial_in_the_way(job: Job, slots: tuple[SlotInfo, ...] | None) -> Stop | None:
    """Why one of the job's images must not be sent or marked: another runs on trial; None if none does.

    The other slot holds what the device goes back to. Many servers refuse an upload then, and one that takes it is left
    with nothing to go back to.
    """
    if job.goal is Goal.CONFIRM:
        return None
    for image in job.images:
        trial = trial_of(slots, image.number)
        if trial is not None and Observed(images=(image,), slots=(trial.runs,)).listed(image) is None:
            return no_free_slot(slots, image)
    return None


def no_free_slot(slots: tuple[SlotInfo, ...] | None, image: JobImage, said: str = "") -> Stop:
    """There is no slot for this image, and why, as far as the list of the slots tells it.

    Args:
        slots: what was listed before the image was to be sent.
        image: that was to be sent.
        said: what the device said when it refused it; empty if it was not asked.
    """
    step = NEXT_STEP[Reason.NO_SLOT]
    if (trial := trial_of(slots, image.number)) is not None:
        why, step = trial.words, trial.next_step
    elif (marked := marked_of(slots, image.number)) is not None:
        why, step = marked_words(marked), MARKED_STEP
    else:
        why = "the list of the slots does not tell why"
    detail = f"{Reason.NO_SLOT.value}: {why}{f' (the device says {said})' if said else ''}"
    return Stop(outcome=Outcome.REFUSED, detail=detail, reason=Reason.NO_SLOT, next_step=step)


def does_not_fit(images: tuple[JobImage, ...], room: Mapping[int, int]) -> Stop | None:
    """Why one of these images must not be sent; None if all may.

    Args:
        images: those that would be sent.
        room: largest file of each image number; empty where the device does not tell.
    """
    return next((stop for image in images if (stop := _size(image, room)) is not None), None)


def _size(image: JobImage, room: Mapping[int, int]) -> Stop | None:
    if not room:
        return None
    most = room.get(image.number)
    if most is None:
        there = ", ".join(str(number) for number in sorted(room))
        detail = f"the device has no image {image.number}, it has {there}"
        return Stop(outcome=Outcome.REFUSED, detail=detail, reason=Reason.IMAGE, next_step=NEXT_STEP[Reason.IMAGE])
    if len(image.data) <= most:
        return None
    detail = f"{_name(image)} has {len(image.data):,} bytes, the device takes {most:,}"
    return Stop(outcome=Outcome.REFUSED, detail=detail, reason=Reason.SIZE, next_step=NEXT_STEP[Reason.SIZE])


def _name(image: JobImage) -> str:
    return f"{image.version} (image {image.number})" if image.number else image.version
