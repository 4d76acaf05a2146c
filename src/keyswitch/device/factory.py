"""What a policy and a first image make of an empty state directory: layout, bootloader, flash content.

Rules: an image that the device's own bootloader would refuse is refused here, before anything is written; every refusal
names the file, the check, and what was expected.
"""

import os
from pathlib import Path

from keyswitch.errors import InputError
from keyswitch.files.reading import open_regular, read_file, unreadable
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.bootloader import BootConfig, Downgrade
from keyswitch.mcuboot.flash import BytesSource, Flash
from keyswitch.mcuboot.keys import KEY_FILE, Keys, load_keys
from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size
from keyswitch.mcuboot.verify import Limits, verify
from keyswitch.policy.model import Policy


def layout_of(policy: Policy) -> Layout:
    """Where the slots lie.

    Raises:
        InputError: the policy describes slots that cannot be.
    """
    settings = policy.bootloader
    return Layout.for_slots(
        Algorithm(settings.algorithm.value),
        settings.slot_size,
        sector_size=settings.sector_size,
        write_block=settings.write_block,
        where=f"{policy.origin}: bootloader.slot_size",
    )


def keys_of(policy: Policy) -> Keys:
    """The keys that images must be signed with; none where the policy names none.

    Raises:
        InputError: the file cannot be read, or is no key.
    """
    path = policy.bootloader.key
    if path is None:
        return Keys()
    return load_keys((str(path), read_file(path, KEY_FILE)))


def boot_config_of(policy: Policy) -> BootConfig:
    """How the device's bootloader is built."""
    downgrade = Downgrade(policy.bootloader.downgrade.value)
    return BootConfig(layout=layout_of(policy), keys=keys_of(policy), downgrade=downgrade)


def check_first_image(config: BootConfig, path: Path) -> bytes:
    """Read the image that a new device is to run, and make sure that it will.

    Raises:
        InputError: the file cannot be read, or the bootloader would refuse it; says which check and why.
    """
    limit = max_image_size(config.layout)
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
    refusal = verify(BytesSource(content), config.keys, Limits(max_size=limit)).refusal
    if refusal is not None:
        raise InputError(str(path), f"the bootloader would not run this image: {refusal.name}: {refusal.detail}")
    return content


def install_first_image(flash: Flash, layout: Layout, content: bytes) -> None:
    """Write a checked image into the primary slot, as production does; durable when this returns."""
    slots.install(flash, layout, layout.pairs[0].primary, content)
