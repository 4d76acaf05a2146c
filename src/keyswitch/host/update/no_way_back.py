"""What a bootloader cannot do for an update, in words: said before anything is sent.

A bootloader that is not here has a trial, and goes back to the old image.
"""

from collections.abc import Mapping
from typing import Final

from keyswitch.mcuboot.layout import BootMode

CANNOT_GO_BACK: Final = "this bootloader cannot go back to the old image"

NO_WAY_BACK: Final[Mapping[BootMode, str]] = {
    BootMode.OVERWRITE: f"{CANNOT_GO_BACK}: there is no trial, and what is started is copied over it",
    BootMode.XIP: f"{CANNOT_GO_BACK}: there is no trial, and of two images the higher version runs, for good",
    BootMode.RAM_LOAD: f"{CANNOT_GO_BACK}, unless it is built with a revert: of two images the higher version runs",
    BootMode.FIRMWARE_LOADER: f"{CANNOT_GO_BACK}: there is no trial, and from the first byte on until the upload is "
    "whole and the device was reset there is no application but the firmware loader",
    BootMode.SINGLE: f"{CANNOT_GO_BACK}: there is a single slot, in which the image runs",
    BootMode.SINGLE_RAM_LOAD: f"{CANNOT_GO_BACK}: there is a single slot, which the image was loaded from",
}


def no_way_back(bootloader: BootMode | None) -> tuple[str, ...]:
    """The sentence for this bootloader; none where it has a trial, or nobody knows which it is."""
    words = None if bootloader is None else NO_WAY_BACK.get(bootloader)
    return () if words is None else (words,)


ONE_SLOT: Final = "this bootloader has a single slot, in which the image runs: nothing can be sent to it"
OTHER_WAY: Final = "install it by the bootloader's serial recovery or with a debugger"
