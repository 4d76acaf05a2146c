"""The trailer at a slot's end: what will be swapped, how far that is, and whether it is confirmed.

Fields, from the slot's end downwards, each in `max_align` bytes (bootutil_public.c, docs/design.md "Image trailer"):
magic (16, aligned) | image ok | copy done | swap info | swap size | swap status. (Swap using offset keeps
one more field, the sizes of the unprotected TLV areas, between swap info and swap size.)

Rules kept here:

* a flag is unset (erased), set (1), or *bad*: anything else is neither;
* the swap type comes from one table, first row that fits;
* this module only reads; what is written is written by `keyswitch.mcuboot.ops`.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from keyswitch.mcuboot.flash import Area, Flash
from keyswitch.mcuboot.layout import MAGIC_SIZE, Algorithm, Layout, area

MAGIC_ALIGN_8: Final = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
"""The magic where `BOOT_MAX_ALIGN` is 8."""
MAGIC_TAIL: Final = bytes.fromhex("2de15d29410b8d77679c110f1f8a")
"""Behind the little-endian alignment, the magic where `BOOT_MAX_ALIGN` is larger."""
FLAG_SET: Final = 0x01


class Magic(Enum):
    """State of the magic field."""

    GOOD = "good"
    UNSET = "unset"
    BAD = "bad"


class TrailerFlag(Enum):
    """State of a flag field."""

    SET = "set"
    UNSET = "unset"
    BAD = "bad"


class SwapType(IntEnum):
    """What the bootloader would do next (bootutil_public.h `BOOT_SWAP_TYPE_*`)."""

    NONE = 1
    TEST = 2
    PERM = 3
    REVERT = 4
    FAIL = 5
    PANIC = 0xFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Trailer:
    """What a trailer says.

    Attributes:
        magic: whether there is a trailer.
        image_ok: confirmed, or to be made permanent.
        copy_done: the swap into this slot has ended.
        swap_type: what the swap info field says; `NONE` if erased or out of range.
        image_number: which pair the swap info names.
    """

    magic: Magic
    image_ok: TrailerFlag
    copy_done: TrailerFlag
    swap_type: SwapType = SwapType.NONE
    image_number: int = 0


UNSET: Final = Trailer(magic=Magic.UNSET, image_ok=TrailerFlag.UNSET, copy_done=TrailerFlag.UNSET)
"""An erased trailer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offsets:
    """Where the fields lie, relative to the slot's start (bootutil_public.c `boot_*_off`)."""

    magic: int
    image_ok: int
    copy_done: int
    swap_info: int
    tlv_sizes: int | None
    swap_size: int
    status: int


def offsets(layout: Layout, slot_size: int) -> Offsets:
    """The fields' places in a slot of `slot_size` bytes."""
    unit = layout.max_align
    magic = slot_size - MAGIC_SIZE
    image_ok = (magic - unit) // unit * unit
    copy_done = image_ok - unit
    swap_info = copy_done - unit
    tlv_sizes = swap_info - unit if layout.algorithm is Algorithm.SWAP_OFFSET else None
    swap_size = (swap_info if tlv_sizes is None else tlv_sizes) - unit
    return Offsets(
        magic=magic,
        image_ok=image_ok,
        copy_done=copy_done,
        swap_info=swap_info,
        tlv_sizes=tlv_sizes,
        swap_size=swap_size,
        status=slot_size - layout.trailer_size,
    )


def magic_bytes(max_align: int) -> bytes:
    """The 16 bytes that say that there is a trailer."""
    return MAGIC_ALIGN_8 if max_align == 8 else max_align.to_bytes(2, "little") + MAGIC_TAIL  # noqa: PLR2004 - above


def read_trailer(layout: Layout, slot: Area) -> Trailer:
    """What the trailer of `slot` says."""
    at = offsets(layout, slot.size)
    block = slot.read(at.swap_info, slot.size - at.swap_info)
    magic = block[at.magic - at.swap_info :]
    info = block[0]
    kind, number = info & 0x0F, info >> 4
    if slot.is_erased(block[:1]) or not SwapType.NONE <= kind <= SwapType.REVERT:
        kind, number = SwapType.NONE, 0
    return Trailer(
        magic=_magic_state(layout, slot, magic),
        image_ok=_flag_state(slot, block[at.image_ok - at.swap_info]),
        copy_done=_flag_state(slot, block[at.copy_done - at.swap_info]),
        swap_type=SwapType(kind),
        image_number=number,
    )


def _magic_state(layout: Layout, slot: Area, magic: bytes) -> Magic:
    if slot.is_erased(magic):
        return Magic.UNSET
    return Magic.GOOD if magic == magic_bytes(layout.max_align) else Magic.BAD


def _flag_state(slot: Area, value: int) -> TrailerFlag:
    if value == slot.geometry.erased_value:
        return TrailerFlag.UNSET
    return TrailerFlag.SET if value == FLAG_SET else TrailerFlag.BAD


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRow:
    """One row of the swap type table; None fits anything."""

    primary_magic: Magic | None = None
    primary_image_ok: TrailerFlag | None = None
    primary_copy_done: TrailerFlag | None = None
    secondary_magic: Magic | None = None
    secondary_image_ok: TrailerFlag | None = None
    secondary_copy_done: TrailerFlag | None = None
    result: SwapType

    def fits(self, primary: Trailer, secondary: Trailer) -> bool:
        """Whether both trailers are as the row says."""
        wanted = (
            (self.primary_magic, primary.magic),
            (self.primary_image_ok, primary.image_ok),
            (self.primary_copy_done, primary.copy_done),
            (self.secondary_magic, secondary.magic),
            (self.secondary_image_ok, secondary.image_ok),
            (self.secondary_copy_done, secondary.copy_done),
        )
        return all(row is None or row is found for row, found in wanted)


SWAP_ROWS: Final = (
    SwapRow(secondary_magic=Magic.GOOD, secondary_image_ok=TrailerFlag.UNSET, result=SwapType.TEST),
    SwapRow(secondary_magic=Magic.GOOD, secondary_image_ok=TrailerFlag.SET, result=SwapType.PERM),
    SwapRow(
        primary_magic=Magic.GOOD,
        primary_image_ok=TrailerFlag.UNSET,
        primary_copy_done=TrailerFlag.SET,
        result=SwapType.REVERT,
    ),
)
"""bootutil_public.c `boot_swap_tables`; the secondary's wishes come first."""
REVERT_IN_PROGRESS: Final = SwapRow(
    secondary_magic=Magic.GOOD,
    secondary_image_ok=TrailerFlag.UNSET,
    secondary_copy_done=TrailerFlag.SET,
    result=SwapType.REVERT,
)
"""Swap using offset only, before the others: a revert that was begun (swap_offset.c `fixup_revert`)."""


def swap_rows(algorithm: Algorithm) -> tuple[SwapRow, ...]:
    """The swap type table of `algorithm`; the first row that fits decides, none means `SwapType.NONE`."""
    return (REVERT_IN_PROGRESS, *SWAP_ROWS) if algorithm is Algorithm.SWAP_OFFSET else SWAP_ROWS


def swap_type(algorithm: Algorithm, primary: Trailer, secondary: Trailer) -> SwapType:
    """What the bootloader would do next with these two trailers (bootutil `boot_swap_type_multi`)."""
    for row in swap_rows(algorithm):
        if row.fits(primary, secondary):
            return row.result
    return SwapType.NONE


def read_swap_type(flash: Flash, layout: Layout, image: int = 0) -> SwapType:
    """The swap type of one image pair, as its two trailers say it; `NONE` where the bootloader reads none."""
    layout, pair = layout.of(image), layout.pairs[image]
    if not layout.algorithm.armed_by_trailer:
        return SwapType.NONE
    primary = read_trailer(layout, area(flash, pair.primary))
    secondary = read_trailer(layout, area(flash, pair.secondary))
    return swap_type(layout.algorithm, primary, secondary)


def read_swap_size(layout: Layout, slot: Area) -> int:
    """How many bytes are exchanged, as the trailer remembers it."""
    return int.from_bytes(slot.read(offsets(layout, slot.size).swap_size, 4), "little")


def read_status_entries(layout: Layout, slot: Area) -> int:
    """How many entries of the swap status area are written, counted to the last one."""
    block = layout.geometry.write_block
    status = slot.read(offsets(layout, slot.size).status, layout.status_size)
    firsts = status[::block]
    erased = bytes([slot.geometry.erased_value])
    return len(firsts.rstrip(erased))
