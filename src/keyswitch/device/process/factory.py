"""The first image of an empty state directory: checked as the device's own bootloader would, then installed.

Rules: an image that the device's own bootloader would refuse is refused here, before anything is written; every refusal
names the file, the check, and what was expected.
"""

import os
from dataclasses import replace
from pathlib import Path

from keyswitch.errors import InputError
from keyswitch.files.reading import open_regular, unreadable
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.flash import BytesSource, Flash
from keyswitch.mcuboot.layout import Layout, max_image_size
from keyswitch.mcuboot.verify import verify


def check_first_image(config: BootConfig, path: Path, *, loader: bool = False) -> bytes:
    """Read the image that a new device is to run, or its firmware loader, and make sure that it will.

    Raises:
        InputError: the file cannot be read, or the bootloader would refuse it; says which check and why.
    """
    slot = config.layout.pairs[0].secondary if loader else config.layout.pairs[0].primary
    limit = config.room_of(slot) if loader else max_image_size(config.layout)
    expected = "a signed MCUboot image"
    with open_regular(path, expected) as file:
        try:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            content = file.read(limit)
        except OSError as error:
            raise unreadable(str(path), error, expected) from error
    if size > limit:
        raise InputError(str(path), f"{size} bytes are too large", f"at most {limit} bytes for this slot")
    refusal = verify(
        BytesSource(content), config.keys, replace(config.as_built().limits(0, ()), max_size=limit)
    ).refusal
    if refusal is not None:
        raise InputError(str(path), f"the bootloader would not run this image: {refusal.name}: {refusal.detail}")
    return content


def install_first_image(flash: Flash, layout: Layout, content: bytes, *, loader: bytes | None = None) -> None:
    """Write a checked image into the primary slot, and a loader into its own, as production does; durable then."""
    slots.install(flash, layout, layout.pairs[0].primary, content)
    if loader is not None:
        slots.install(flash, layout, layout.pairs[0].secondary, loader)
