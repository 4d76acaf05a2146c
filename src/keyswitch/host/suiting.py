"""Whether a device should get these images: what it tells of its slots, against the files, before a byte is sent.

Rules:

* Going back to an older version is done on purpose (`Job.downgrade`): with most bootloaders it works without a word.
* Versions are compared as MCUboot counts them: major, minor, revision, then build; each image with its own number.
* What a device does not tell, or tells in words that mean nothing, is not held against it.
"""

from collections.abc import Mapping
from typing import Final

from keyswitch.host.job import Job, JobImage, Outcome, Stop
from keyswitch.host.verdict import NEXT_STEP
from keyswitch.host.views import SlotView
from keyswitch.mcuboot.image import Version
from keyswitch.reasons import Reason

GO_BACK: Final = "install a newer version, or say --downgrade to go back on purpose"


def newer_that_runs(image: JobImage, slots: tuple[SlotView, ...] | None) -> SlotView | None:
    """The running image of the same number, if it is newer than this one."""
    version = Version.read(image.version)
    for view in slots or ():
        runs = Version.read(view.version) if view.active and view.image == image.number else None
        if version is not None and runs is not None and version < runs:
            return view
    return None


def why_not(
    job: Job, images: tuple[JobImage, ...], slots: tuple[SlotView, ...], room: Mapping[int, int]
) -> Stop | None:
    """Why one of these images must not be sent; None if all may.

    Args:
        job: what is to be done.
        images: those that would be sent.
        slots: what lies in the slots.
        room: largest file of each image number; empty where the device does not tell.
    """
    for image in images:
        stop = (None if job.downgrade else _downgrade(image, slots)) or _size(image, room)
        if stop is not None:
            return stop
    return None


def _downgrade(image: JobImage, slots: tuple[SlotView, ...]) -> Stop | None:
    view = newer_that_runs(image, slots)
    if view is None:
        return None
    detail = f"{_name(image)} is older than {view.version}, which the device runs"
    return Stop(outcome=Outcome.REFUSED, detail=detail, reason=Reason.DOWNGRADE, next_step=GO_BACK)


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
