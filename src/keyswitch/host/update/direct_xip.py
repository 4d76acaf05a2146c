"""Images that run where they lie (direct-XIP): which of a package's two files a device is to get.

A package for such a bootloader has two files of one image, each linked for one slot. The one for the slot that does not
run is installed; the other would never start, and would take the place of what does. Which slot runs is known once the
device has told its slots.
"""

from typing import Final

from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.update.job import JobImage, Outcome, Stop
from keyswitch.mcuboot.layout import BootMode
from keyswitch.reasons import Reason

IN_PLACE: Final = frozenset({BootMode.XIP, BootMode.XIP_REVERT})
"""Bootloaders that move nothing."""

NOT_KNOWN_YET: Final = "direct-XIP: which of the two files is sent depends on the slot that runs, not known yet"


def for_the_free_slots(images: tuple[JobImage, ...], slots: tuple[SlotInfo, ...]) -> tuple[JobImage, ...]:
    """The same images, of each two files of one number the one to install; both where no slot is told to run.

    A file that runs already is the one, whatever slot it is in: nothing has to be done then.
    """
    chosen: list[JobImage] = []
    for image in images:
        runs = next((view for view in slots if view.image == image.number and view.active), None)
        files = [each for each in images if each.number == image.number]
        if len(files) > 1 and runs is not None:
            running = [each for each in files if runs.hash in each.hashes]
            free = [each for each in files if each.slot != runs.slot]
            if image != (running or free)[0]:
                continue
        chosen.append(image)
    return tuple(chosen)


def one_of_each(images: tuple[JobImage, ...]) -> tuple[JobImage, ...]:
    """The first file of each number: as good as the other one for what only needs a size and a version."""
    return tuple({image.number: image for image in reversed(images)}.values())[::-1]


def cannot_run(
    images: tuple[JobImage, ...], slots: tuple[SlotInfo, ...] | None, bootloader: BootMode | None
) -> Stop | None:
    """Why one of these files would not run where it would be written; None if nothing is known that says so.

    Args:
        images: to be sent.
        slots: what the device has told; None: nothing.
        bootloader: how it exchanges images; None if it does not tell.
    """
    linked = [image for image in images if image.slot is not None]
    if not linked or slots is None:
        return None
    if bootloader is not None and bootloader not in IN_PLACE:
        detail = f"the package is for a bootloader that runs images where they lie, the device has {bootloader.words}"
        return _stop(detail, "use the package that was built for this device")
    for image in linked:
        runs = next((view.slot for view in slots if view.image == image.number and view.active), None)
        if len([each for each in images if each.number == image.number]) > 1:
            detail = f"the device does not tell which slot of image {image.number} runs, and each has a file of its own"
            return _stop(detail, "unpack the package and give the file for the slot that does not run")
        if image.slot == runs:
            detail = f"the file is linked for slot {runs} of image {image.number}, which is the one that runs"
            return _stop(detail, "give the file for the other slot, or the whole package")
    return None


def _stop(detail: str, next_step: str) -> Stop:
    return Stop(outcome=Outcome.REFUSED, detail=detail, reason=Reason.IMAGE, next_step=next_step)
