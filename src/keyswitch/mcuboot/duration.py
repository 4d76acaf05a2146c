"""How long the bootloader is at work, reckoned from the policy's numbers alone: no flash is touched."""

from dataclasses import dataclass
from typing import Final

from keyswitch.errors import InputError
from keyswitch.mcuboot.flash import FlashTimes
from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapTime:
    """The least that bringing a full slot into place takes.

    Attributes:
        sectors: that are brought into place.
        copies: of each: how often a sector is erased and written for it.
        us: microseconds of erasing and writing; trailers and status entries come on top.
    """

    sectors: int
    copies: int
    us: int


_COPIES: Final = {
    # swap_move.c: up by one, then into the primary and into the secondary.
    Algorithm.SWAP_MOVE: 3,
    # swap_offset.c: into the secondary and into the primary.
    Algorithm.SWAP_OFFSET: 2,
    Algorithm.OVERWRITE_ONLY: 1,
    Algorithm.DIRECT_XIP: 0,
    Algorithm.DIRECT_XIP_NO_REVERT: 0,
    # An upload writes the slot that runs afterwards.
    Algorithm.FIRMWARE_LOADER: 0,
    Algorithm.SINGLE_SLOT: 0,
}


def full_swap(
    algorithm: Algorithm, *, slot_size: int, sector_size: int, write_block: int, times: FlashTimes
) -> SwapTime:
    """For an image that fills its slot.

    Args:
        algorithm: how images are exchanged.
        slot_size: bytes of each slot.
        sector_size: bytes that are erased together.
        write_block: bytes that are written together.
        times: of the flash.
    """
    sectors = _sectors(algorithm, slot_size, sector_size, write_block)
    copies = _COPIES[algorithm]
    copy_us = times.erase_us_per_sector + sector_size // write_block * times.write_us_per_block
    return SwapTime(sectors=sectors, copies=copies, us=sectors * copies * copy_us)


def _sectors(algorithm: Algorithm, slot_size: int, sector_size: int, write_block: int) -> int:
    """Sectors of the largest image; 0 for slots in which none has room."""
    try:
        layout = Layout.for_slots(algorithm, slot_size, sector_size=sector_size, write_block=write_block)
    except InputError:
        return 0
    return -(-max_image_size(layout) // sector_size)
