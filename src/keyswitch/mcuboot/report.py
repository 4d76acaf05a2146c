"""What the bootloader found, decided and why: values for the device, the panel and the tests."""

from dataclasses import dataclass, replace
from typing import Final

from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.image import ImageFault, ImageVersion
from keyswitch.mcuboot.layout import Layout, Slot, area
from keyswitch.mcuboot.slots import read_image
from keyswitch.mcuboot.trailer import UNSET, SwapType, Trailer, read_trailer
from keyswitch.mcuboot.verify import CheckResult


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
    version: ImageVersion | None
    hash: bytes
    problem: ImageFault | None


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
        running_slot: 0 or 1 (with a firmware loader 1 is the loader itself), None if nothing can run.
        running_version: of what runs.
        running_hash: of what runs.
        trial: it runs on trial and is given up at the next boot unless it is confirmed.
        reverted: an unconfirmed trial was given up in this boot.
    """

    image: int
    primary: SlotReport
    secondary: SlotReport
    found: SwapType = SwapType.NONE
    resumed: bool = False
    done: SwapType = SwapType.NONE
    why: tuple[str, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    running_slot: int | None = None
    running_version: ImageVersion | None = None
    running_hash: bytes = b""
    trial: bool = False
    reverted: bool = False

    def because(self, line: str) -> "ImageReport":
        """The same with one more line."""
        return replace(self, why=(*self.why, line))


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
        """Whether there is something to run: every image pair has one."""
        return all(image.running_slot is not None for image in self.images)

    @property
    def trial(self) -> bool:
        """Whether any image runs on trial."""
        return any(image.trial for image in self.images)

    @property
    def reverted(self) -> bool:
        """Whether an unconfirmed trial was given up in this boot."""
        return any(image.reverted for image in self.images)

    @property
    def active(self) -> tuple[int, ...]:
        """For each image, the slot that it runs from (0 where nothing runs)."""
        return tuple(image.running_slot or 0 for image in self.images)


NO_SLOT: Final = ImageFault(check="slot", expected="a slot", found="none")
"""Why no image could be read where there is one slot alone."""


def look(flash: Flash, layout: Layout, slot: Slot) -> SlotReport:
    """What lies in `slot` now."""
    if not slot.size:
        return SlotReport(trailer=UNSET, version=None, hash=b"", problem=NO_SLOT)
    image = read_image(flash, layout, slot)
    trailer = read_trailer(layout.of(slot.image), area(flash, slot))
    if isinstance(image, ImageFault):
        return SlotReport(trailer=trailer, version=None, hash=b"", problem=image)
    return SlotReport(trailer=trailer, version=image.version, hash=image.hash, problem=None)
