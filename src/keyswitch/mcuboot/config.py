"""How a bootloader is built: the choices that MCUboot makes at compile time."""

from dataclasses import dataclass
from enum import StrEnum

from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.mcuboot.layout import Layout, max_image_size
from keyswitch.mcuboot.verify import Limits


class Downgrade(StrEnum):
    """What keeps older images from being swapped in (`MCUBOOT_DOWNGRADE_PREVENTION`); a revert is never held up.

    The value is the word in policy files.
    """

    ALLOWED = "allowed"
    BY_VERSION = "version"
    """The image's version must not be lower than the running one's."""
    BY_COUNTER = "counter"
    """The image's security counter must not be lower than the running one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BootConfig:
    """How the bootloader is built.

    Attributes:
        layout: slots and algorithm.
        keys: what signatures are checked with; without any, the hash alone decides.
        downgrade: protection against older images at a swap.
        rollback_protection: compare each image's security counter with the stored one (`MCUBOOT_HW_ROLLBACK_PROT`).
        validate_primary: check the running image at each boot (`BOOT_VALIDATE_SLOT0`, on by default).
        flash_base: address of the flash's first byte, for images built for a fixed address.
    """

    layout: Layout
    keys: VerificationKeys
    downgrade: Downgrade = Downgrade.ALLOWED
    rollback_protection: bool = False
    validate_primary: bool = True
    flash_base: int = 0

    def limits(self, image: int, counters: tuple[int, ...]) -> Limits:
        """What this bootloader asks of every image of a pair."""
        return Limits(
            max_size=max_image_size(self.layout, image),
            min_counter=stored_counter(counters, image) if self.rollback_protection else None,
        )


def stored_counter(counters: tuple[int, ...], image: int) -> int:
    """The stored security counter of an image, 0 if none was ever stored."""
    return counters[image] if image < len(counters) else 0
