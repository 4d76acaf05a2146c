"""Decides what runs, as MCUboot does: finish what was interrupted, check what is wanted, swap, check what runs.

Types first; `boot` is the one entry.
"""

from dataclasses import dataclass
from enum import Enum

from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.image import Fault, Version
from keyswitch.mcuboot.layout import Layout
from keyswitch.mcuboot.trailer import SwapType, Trailer
from keyswitch.mcuboot.verify import CheckResult, Keys


class Downgrade(Enum):
    """What keeps older images from coming back (MCUboot `MCUBOOT_DOWNGRADE_PREVENTION`, `MCUBOOT_HW_ROLLBACK_PROT`)."""

    ALLOWED = "allowed"
    BY_VERSION = "version"
    BY_COUNTER = "counter"


@dataclass(frozen=True, slots=True, kw_only=True)
class BootConfig:
    """How the bootloader is built.

    Attributes:
        layout: slots and algorithm.
        keys: what signatures are checked with; without any, the hash alone decides.
        downgrade: protection against older images.
        validate_primary: check the running image at each boot (`BOOT_VALIDATE_SLOT0`, on by default).
    """

    layout: Layout
    keys: Keys
    downgrade: Downgrade = Downgrade.ALLOWED
    validate_primary: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotReport:
    """What lay in a slot when the bootloader started.

    Attributes:
        trailer: what its trailer said.
        version: of the image, None if none could be read.
        hash: of the image as its TLV says it, empty if none.
        problem: why no image could be read, None if one could.
    """

    trailer: Trailer
    version: Version | None
    hash: bytes
    problem: Fault | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReport:
    """What was found, decided and done for one image pair.

    Attributes:
        image: which pair.
        primary: as found.
        secondary: as found.
        found: the swap type that the trailers asked for.
        resumed: an interrupted swap was finished.
        done: the swap type that was carried out (`NONE` if nothing was).
        why: in words, one line a step.
        checks: of the image that was to be started, in order; empty if none was.
        running_slot: 0 or 1, None if nothing can run.
        running_version: of what runs.
        running_hash: of what runs.
        trial: it runs on trial and is given up at the next boot unless it is confirmed.
        reverted: an unconfirmed trial was given up in this boot.
    """

    image: int
    primary: SlotReport
    secondary: SlotReport
    found: SwapType
    resumed: bool
    done: SwapType
    why: tuple[str, ...]
    checks: tuple[CheckResult, ...]
    running_slot: int | None
    running_version: Version | None
    running_hash: bytes
    trial: bool
    reverted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BootReport:
    """What the bootloader found, decided and why, and what runs.

    Attributes:
        images: by image number.
        counters: security counters to keep for the next boot, by image number.
    """

    images: tuple[ImageReport, ...]
    counters: tuple[int, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether there is anything to run: every image pair has one."""
        return all(image.running_slot is not None for image in self.images)

    @property
    def trial(self) -> bool:
        """Whether any image runs on trial."""
        return any(image.trial for image in self.images)

    @property
    def active(self) -> tuple[int, ...]:
        """For each image, the slot that it runs from (0 where nothing runs)."""
        return tuple(image.running_slot or 0 for image in self.images)


def boot(flash: Flash, config: BootConfig, *, counters: tuple[int, ...] = ()) -> BootReport:
    """Boot once.

    Args:
        flash: with the slots.
        config: how the bootloader is built.
        counters: security counters kept from the boot before, by image number; missing ones are 0.

    Returns:
        What was found, decided and why, and what runs. If power fails in the middle, calling it again continues.
    """
    raise NotImplementedError
