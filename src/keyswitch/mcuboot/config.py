"""How a bootloader is built: the choices that MCUboot makes at compile time."""

from dataclasses import dataclass, replace
from enum import StrEnum

from keyswitch.mcuboot.keys import VerificationKeys, VerifiedHash
from keyswitch.mcuboot.layout import Layout, Slot, max_image_size
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


class LoaderEntrance(StrEnum):
    """What starts a firmware loader (`BOOT_FIRMWARE_LOADER_…`). The value is the word in policy files."""

    BOOT_MODE = "boot-mode"
    """The application asked for it and was reset (`boot_mode` of SMP's reset, kept in retained memory)."""
    PIN = "pin"
    """A pin is held at the reset, or the reset came from the reset pin."""
    NO_APPLICATION = "no-application"
    """There is no application that may run."""

    @property
    def words(self) -> str:
        """As it stands behind "started by"."""
        match self:
            case LoaderEntrance.BOOT_MODE:
                return "a reset that asks for it"
            case LoaderEntrance.PIN:
                return "a pin at the reset"
            case LoaderEntrance.NO_APPLICATION:
                return "an application that is missing or bad, as after an upload that was cut off"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootConfig:
    """How the bootloader is built.

    Attributes:
        layout: slots and algorithm.
        keys: what signatures are checked with; without any, the hash alone decides.
        hash: what the bootloader is built to verify; None: not known.
        downgrade: protection against older images at a swap.
        rollback_protection: compare each image's security counter with the stored one (`MCUBOOT_HW_ROLLBACK_PROT`).
        validate_primary: check the running image at each boot (`BOOT_VALIDATE_SLOT0`, on by default).
        loader_entrances: what a firmware loader is started by; empty with any other algorithm.
        flash_base: address of the flash's first byte, for images built for a fixed address.
    """

    layout: Layout
    keys: VerificationKeys
    hash: VerifiedHash | None = None
    downgrade: Downgrade = Downgrade.ALLOWED
    rollback_protection: bool = False
    validate_primary: bool = True
    loader_entrances: frozenset[LoaderEntrance] = frozenset()
    flash_base: int = 0

    def limits(self, image: int, counters: tuple[int, ...]) -> Limits:
        """What this bootloader asks of every image of a pair."""
        return Limits(
            max_size=max_image_size(self.layout, image),
            min_counter=stored_counter(counters, image) if self.rollback_protection else None,
            hash=self.hash,
        )

    def limits_of(self, slot: Slot, counters: tuple[int, ...] = ()) -> Limits:
        """What a bootloader that moves nothing asks of the image in one slot: its size is bounded by that slot."""
        return replace(self.limits(slot.image, counters), max_size=self.room_of(slot))

    def room_of(self, slot: Slot) -> int:
        """The largest file that one slot can take where nothing is moved."""
        return slot.size - self.layout.trailer_size

    def as_built(self) -> "BootConfig":
        """A bootloader that boots is built for one hash: where that is not known, for MCUboot's default with its keys.

        That is SHA-256, unless the keys go with another one only (bootutil/crypto/sha.h).
        """
        if self.hash is not None or not self.keys:
            return self
        builds = self.keys.verified_hashes
        return replace(self, hash=VerifiedHash.SHA256 if VerifiedHash.SHA256 in builds else min(builds))


def stored_counter(counters: tuple[int, ...], image: int) -> int:
    """The stored security counter of an image, 0 if none was ever stored."""
    return counters[image] if image < len(counters) else 0
