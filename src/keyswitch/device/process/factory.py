"""The first images of an empty state directory: checked as the device's own bootloader would, then installed.

Rules: an image that the device's own bootloader would refuse is refused here, before anything is written; every refusal
names the file, the check, and what was expected.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from keyswitch.errors import InputError
from keyswitch.files.reading import open_regular, unreadable
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.files import NamedImage, open_file, open_images
from keyswitch.mcuboot.flash import BytesSource, Flash
from keyswitch.mcuboot.layout import PRIMARY, Layout, max_image_size
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


def check_first_images(config: BootConfig, path: Path) -> tuple[bytes, ...]:
    """Read what a new device is to run, an image for each pair; several come in a DFU package.

    Raises:
        InputError: as `check_first_image`, or an image is missing, or there is one too many.
    """
    if len(config.layout.pairs) == 1:
        return (check_first_image(config, path),)
    wanted = tuple(range(len(config.layout.pairs)))
    expected = f"a DFU package with the images {', '.join(map(str, wanted))}"
    with open_file(path) as file:
        # Of an image that runs where it lies, the file for the primary slot.
        found = {each.image: each for each in open_images(str(path), file) if each.slot in {None, PRIMARY}}
        if tuple(sorted(number for number in found if number is not None)) != wanted:
            numbers = sorted(number for number in found if number is not None)
            told = f"image{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}" if numbers else "a single image"
            raise InputError(str(path), told, expected)
        return tuple(_checked(config, number, found[number]) for number in wanted)


def _checked(config: BootConfig, number: int, named: NamedImage) -> bytes:
    limit = max_image_size(config.layout, number)
    if named.source.size > limit:
        raise InputError(named.name, f"{named.source.size} bytes are too large", f"at most {limit} bytes for this slot")
    refusal = verify(named.source, config.keys, config.as_built().limits(number, ())).refusal
    if refusal is not None:
        raise InputError(named.name, f"the bootloader would not run this image: {refusal.name}: {refusal.detail}")
    return named.source.read(0, named.source.size)


def install_first_images(flash: Flash, layout: Layout, images: Sequence[bytes], *, loader: bytes | None = None) -> None:
    """Write checked images into their primary slots, and a loader into its own, as production does; durable then."""
    for pair, content in zip(layout.pairs, images, strict=True):
        slots.install(flash, layout, pair.primary, content)
    if loader is not None:
        slots.install(flash, layout, layout.pairs[0].secondary, loader)
