"""Where the slots lie, and how large an image each algorithm can take.

Rules kept here:

* a layout is data: pairs of slots in one flash, and the algorithm that moves images between them;
* `max_image_size` is what MCUboot computes for the algorithm (`app_max_size`), and never reaches the trailer;
* image numbers count pairs from 0; slots inside a pair are 0 (primary) and 1 (secondary).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Final

from keyswitch.errors import InputError
from keyswitch.mcuboot.flash import Area, Flash, Geometry

PRIMARY: Final = 0
SECONDARY: Final = 1

DEFAULT_MAX_ALIGN: Final = 8
"""`BOOT_MAX_ALIGN`, the space of each field in the trailer; larger only for flashes with larger write blocks."""
MAX_ALIGNS: Final = (8, 16, 32)
MAGIC_SIZE: Final = 16


class BootMode(IntEnum):
    """How a bootloader exchanges images, by its number in SMP's bootloader information (OS group, query "mode").

    From `enum mcuboot_mode` (bootutil/boot_status.h); the algorithms that are modelled here are some of them.
    """

    SINGLE = 0
    SWAP_SCRATCH = 1
    OVERWRITE = 2
    SWAP_MOVE = 3
    XIP = 4
    XIP_REVERT = 5
    RAM_LOAD = 6
    FIRMWARE_LOADER = 7
    SINGLE_RAM_LOAD = 8
    SWAP_OFFSET = 9

    @classmethod
    def of(cls, number: int) -> "BootMode | None":
        """The mode of that number, None if it has no name here."""
        return next((mode for mode in cls if mode == number), None)

    @property
    def words(self) -> str:
        """For people."""
        return self.name.lower().replace("_", " ")


class Algorithm(StrEnum):
    """How an image comes to run. The value is the word in policy files."""

    SWAP_MOVE = "swap-move"
    SWAP_OFFSET = "swap-offset"
    OVERWRITE_ONLY = "overwrite-only"
    DIRECT_XIP = "direct-xip"
    """Runs where it lies, the higher version first; with revert of what was not confirmed."""
    DIRECT_XIP_NO_REVERT = "direct-xip-no-revert"
    """Runs where it lies, the higher version first; no trailer is asked."""
    FIRMWARE_LOADER = "firmware-loader"
    """One slot for the application; in the other lies a loader, a firmware of its own, that writes the first."""
    SINGLE_SLOT = "single-slot"
    """One slot, and nothing that writes it while its image runs."""

    @property
    def boot_mode(self) -> BootMode:
        """What SMP's bootloader information calls it."""
        return _BOOT_MODES[self]

    @property
    def swaps(self) -> bool:
        """Whether images are exchanged, so that a status area of swap entries is kept in the trailer."""
        return self in {Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET}

    @property
    def has_trial(self) -> bool:
        """Whether an image that was not confirmed is given up at the next boot."""
        return self.swaps or self is Algorithm.DIRECT_XIP

    @property
    def armed_by_trailer(self) -> bool:
        """Whether an image starts because its trailer asks for it; else because it lies there, and has a header."""
        match self:
            case Algorithm.SWAP_MOVE | Algorithm.SWAP_OFFSET | Algorithm.OVERWRITE_ONLY | Algorithm.DIRECT_XIP:
                return True
            case Algorithm.DIRECT_XIP_NO_REVERT | Algorithm.FIRMWARE_LOADER | Algorithm.SINGLE_SLOT:
                return False

    @property
    def in_place(self) -> bool:
        """Whether images run from either slot."""
        return self in {Algorithm.DIRECT_XIP, Algorithm.DIRECT_XIP_NO_REVERT}

    @property
    def updates_itself(self) -> bool:
        """Whether the image that runs has another slot to write an update to."""
        return self not in {Algorithm.FIRMWARE_LOADER, Algorithm.SINGLE_SLOT}


NOT_MODELLED: Final = {
    "swap-scratch": "is swap using scratch, which is not modelled: its status and its scratch area are others",
    "ram-load": "is not modelled: its images run from RAM, and nothing here says where they would be loaded",
    "single-slot-ram-load": "is not modelled: its image runs from RAM, and nothing here says where it would be loaded",
}
"""MCUboot's other ways, by the word that a policy would have for them, and why this bootloader does not boot them."""

_BOOT_MODES: Final = {
    Algorithm.SWAP_MOVE: BootMode.SWAP_MOVE,
    Algorithm.SWAP_OFFSET: BootMode.SWAP_OFFSET,
    Algorithm.OVERWRITE_ONLY: BootMode.OVERWRITE,
    Algorithm.DIRECT_XIP: BootMode.XIP_REVERT,
    Algorithm.DIRECT_XIP_NO_REVERT: BootMode.XIP,
    Algorithm.FIRMWARE_LOADER: BootMode.FIRMWARE_LOADER,
    Algorithm.SINGLE_SLOT: BootMode.SINGLE,
}


# Fields of `max_align` bytes between the status area and the magic.
_TRAILER_FIELDS: Final = {
    Algorithm.SWAP_MOVE: 4,
    Algorithm.SWAP_OFFSET: 5,
    Algorithm.OVERWRITE_ONLY: 3,
    Algorithm.DIRECT_XIP: 3,
    Algorithm.DIRECT_XIP_NO_REVERT: 3,
    # Nothing of it is ever written, but no image may reach it (bootutil_max_image_size: boot_status_off).
    Algorithm.FIRMWARE_LOADER: 4,
    Algorithm.SINGLE_SLOT: 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One slot.

    Attributes:
        image: which pair, from 0.
        slot: 0 primary, 1 secondary.
        offset: of its first byte in the flash.
        size: in bytes.
    """

    image: int
    slot: int
    offset: int
    size: int

    @property
    def absolute(self) -> int:
        """Number of the slot over all pairs."""
        return 2 * self.image + self.slot


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotPair:
    """The two slots of one image; with a single slot the secondary has no bytes."""

    primary: Slot
    secondary: Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where everything lies, and how it is swapped.

    Attributes:
        algorithm: how an image comes to run.
        geometry: of the flash that holds all slots.
        pairs: one for each image, by image number.
        max_align: `BOOT_MAX_ALIGN`.
        max_sectors: `BOOT_MAX_IMG_SECTORS`.
        copied: numbers of the images that are copied over what runs, whatever the algorithm, and that no application
            can read from there (nRF5340's network core).
    """

    algorithm: Algorithm
    geometry: Geometry
    pairs: tuple[SlotPair, ...]
    max_align: int = DEFAULT_MAX_ALIGN
    max_sectors: int
    copied: frozenset[int] = frozenset()

    @classmethod
    def for_slots(
        cls,
        algorithm: Algorithm,
        slot_size: int,
        *,
        images: int = 1,
        sector_size: int = 4096,
        write_block: int = 4,
        erased_value: int = 0xFF,
        max_align: int | None = None,
        max_sectors: int | None = None,
        secondary_size: int | None = None,
        where: str = "bootloader.slot_size",
    ) -> "Layout":
        """The layout of slots, one behind the other: image 0 primary, secondary, image 1 primary, ...

        Args:
            algorithm: how an image comes to run.
            slot_size: size of each slot in bytes.
            images: number of pairs.
            sector_size: of the flash.
            write_block: of the flash.
            erased_value: of the flash.
            max_align: `BOOT_MAX_ALIGN`; None: 8, or the write block if that is larger.
            max_sectors: `BOOT_MAX_IMG_SECTORS`; None: as many as the larger slot has (`BOOT_MAX_IMG_SECTORS_AUTO`).
            secondary_size: size of each secondary slot, if it differs: with swap using move MCUboot recommends a sector
                less than the primary, with swap using offset one more.
            where: what to name in the error.

        Raises:
            InputError: if such a device cannot be: no whole sectors, more sectors than the status area has entries
                for, or no room for an image beside the trailer.
        """
        other_size = slot_size if secondary_size is None else secondary_size
        return cls.for_pairs(
            algorithm,
            ((slot_size, other_size),) * images,
            sector_size=sector_size,
            write_block=write_block,
            erased_value=erased_value,
            max_align=max_align,
            max_sectors=max_sectors,
            where=(where,) * images,
        )

    @classmethod
    def for_pairs(
        cls,
        algorithm: Algorithm,
        sizes: Sequence[tuple[int, int]],
        *,
        where: Sequence[str],
        copied: frozenset[int] = frozenset(),
        sector_size: int = 4096,
        write_block: int = 4,
        erased_value: int = 0xFF,
        max_align: int | None = None,
        max_sectors: int | None = None,
    ) -> "Layout":
        """The layout of slots whose sizes differ, one behind the other; arguments as of `for_slots`.

        Args:
            algorithm: how an image comes to run.
            sizes: for each image, the sizes of its primary and its secondary slot in bytes; a single slot has no
                second one, whatever its size would be.
            where: for each image, what to name in the error.
            copied: as in `Layout`.
            sector_size: of the flash.
            write_block: of the flash.
            erased_value: of the flash.
            max_align: `BOOT_MAX_ALIGN`.
            max_sectors: `BOOT_MAX_IMG_SECTORS`, one number for all images; None: as many as the largest slot has.

        Raises:
            InputError: if such a device cannot be.
        """
        sizes = _checked_sizes(algorithm, sizes, sector_size, where)
        sectors = [max(pair) // sector_size for pair in sizes]
        most = max(sectors) if max_sectors is None else max_sectors
        for image, (place, count) in enumerate(zip(where, sectors, strict=True)):
            if algorithm.swaps and image not in copied and count > most:
                raise InputError(place, f"{count} sectors of {sector_size} bytes", f"at most {most} sectors")
        align = max(DEFAULT_MAX_ALIGN, write_block) if max_align is None else max_align
        if align not in MAX_ALIGNS or write_block > align:
            found = f"a flash written in blocks of {write_block} bytes, trailer fields of {align}"
            raise InputError(where[0], found, "blocks of at most 32 bytes, fields of 8, 16 or 32 that hold a block")
        pairs: list[SlotPair] = []
        start = 0
        for image, (first, second) in enumerate(sizes):
            primary = Slot(image=image, slot=PRIMARY, offset=start, size=first)
            secondary = Slot(image=image, slot=SECONDARY, offset=start + first, size=second)
            pairs.append(SlotPair(primary=primary, secondary=secondary))
            start += first + second
        geometry = Geometry(size=start, sector_size=sector_size, write_block=write_block, erased_value=erased_value)
        layout = cls(
            algorithm=algorithm,
            geometry=geometry,
            pairs=tuple(pairs),
            max_align=align,
            max_sectors=most,
            copied=copied,
        )
        for image, (place, pair) in enumerate(zip(where, sizes, strict=True)):
            if max_image_size(layout, image) <= 0:
                raise InputError(
                    place,
                    f"{pair[0]} bytes leave no room for an image",
                    f"room beside {layout.of(image).algorithm}'s trailer",
                )
        return layout

    def of(self, image: int) -> "Layout":
        """The same slots as the bootloader treats this image: one that it copies is overwritten, and not swapped."""
        if image not in self.copied:
            return self
        return replace(self, algorithm=Algorithm.OVERWRITE_ONLY, copied=frozenset())

    @property
    def slots(self) -> tuple[Slot, ...]:
        """All slots by absolute number."""
        return tuple(slot for pair in self.pairs for slot in (pair.primary, pair.secondary) if slot.size)

    @property
    def magic_align_size(self) -> int:
        """Bytes that the magic takes at the slot's end: its 16, aligned."""
        return align_up(MAGIC_SIZE, self.max_align)

    @property
    def status_size(self) -> int:
        """Bytes of the swap status area, 0 where nothing is swapped.

        bootutil `boot_status_sz`: sectors x entries for each x write block; three entries for swap using move (one
        for the move, two for the exchange), two for swap using offset.
        """
        match self.algorithm:
            case Algorithm.SWAP_MOVE:
                return self.max_sectors * 3 * self.geometry.write_block
            case Algorithm.SWAP_OFFSET:
                return self.max_sectors * 2 * self.geometry.write_block
            case (
                Algorithm.OVERWRITE_ONLY
                | Algorithm.DIRECT_XIP
                | Algorithm.DIRECT_XIP_NO_REVERT
                | Algorithm.FIRMWARE_LOADER
                | Algorithm.SINGLE_SLOT
            ):
                return 0

    @property
    def trailer_size(self) -> int:
        """Bytes at the slot's end that belong to the bootloader (bootutil `boot_trailer_sz`).

        Status area, swap size, swap info, copy done, image ok, magic; swap using offset keeps the TLV sizes of both
        images as well; overwrite only and direct-XIP have neither status area nor swap size. With one slot nothing is
        ever written there; MCUboot keeps images out of it all the same.
        """
        fields = _TRAILER_FIELDS[self.algorithm]
        return self.status_size + fields * self.max_align + self.magic_align_size

    @property
    def trailer_sectors(self) -> int:
        """Sectors that the trailer touches."""
        return -(-self.trailer_size // self.geometry.sector_size)

    def upload_offset(self, slot: Slot) -> int:
        """Where in `slot` an uploaded image starts: sector 1 of the secondary with swap using offset, else 0."""
        if self.of(slot.image).algorithm is Algorithm.SWAP_OFFSET and slot.slot == SECONDARY:
            return self.geometry.sector_size
        return 0


def _checked_sizes(
    algorithm: Algorithm, sizes: Sequence[tuple[int, int]], sector_size: int, where: Sequence[str]
) -> Sequence[tuple[int, int]]:
    """The slots' sizes as this algorithm has them; refuses what cannot be, as `Layout.for_pairs` does."""
    if not algorithm.updates_itself and len(sizes) > 1:
        raise InputError(where[0], f"{len(sizes)} images with {algorithm}", "one image")
    for place, pair in zip(where, sizes, strict=True):
        for size in pair:
            if size <= 0 or size % sector_size:
                raise InputError(place, f"{size} bytes", f"a multiple of the flash sector of {sector_size} bytes")
    return [(first, 0) for first, _ in sizes] if algorithm is Algorithm.SINGLE_SLOT else sizes


def align_up(value: int, unit: int) -> int:
    """`value` rounded up to a multiple of `unit`."""
    return -(-value // unit) * unit


def area(flash: Flash, slot: Slot) -> Area:
    """The window onto `slot`."""
    return Area(flash, slot.offset, slot.size)


def max_image_size(layout: Layout, image: int = 0) -> int:
    """Largest file in bytes (header, payload, TLVs) that `layout` can take for `image`; never reaches the trailer.

    MCUboot's own numbers (`bootutil_max_image_size`, `app_max_size` of swap_move.c and swap_offset.c): the trailer is
    rounded up to sectors where sectors are exchanged; swap using move needs one sector more to move up into; with swap
    using offset the upload starts at sector 1 of the secondary, and its trailer counts as well (MCUboot before v2.3.0
    counted it only if the secondary is a sector larger than the primary).
    """
    layout, pair = layout.of(image), layout.pairs[image]
    sector = layout.geometry.sector_size
    trailer = layout.trailer_sectors * sector
    match layout.algorithm:
        case Algorithm.SWAP_MOVE:
            return min(pair.primary.size - trailer - sector, pair.secondary.size - trailer)
        case Algorithm.SWAP_OFFSET:
            return min(pair.primary.size - trailer, pair.secondary.size - trailer - sector)
        case Algorithm.OVERWRITE_ONLY | Algorithm.DIRECT_XIP | Algorithm.DIRECT_XIP_NO_REVERT:
            # bootutil_max_image_size: up to the swap info field; image and trailer may share a sector.
            return min(pair.primary.size, pair.secondary.size) - layout.trailer_size
        case Algorithm.FIRMWARE_LOADER | Algorithm.SINGLE_SLOT:
            # bootutil_max_image_size: boot_status_off.
            return pair.primary.size - layout.trailer_size
