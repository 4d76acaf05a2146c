"""What is done to the flash, one operation at a time: plans are values, and one function carries them out.

Rules kept here:

* a plan is a sequence of `Erase`, `Copy`, `Write`, `WriteHeader` and `Sync`; whoever makes it can be tested without a
  flash, and a test can spoil it on purpose (order, place, a missing `Sync`) without a switch in the code;
* durability is part of the plan: what must not be lost before the next operation has a `Sync` between.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.layout import Layout, Slot, align_up, area
from keyswitch.mcuboot.trailer import FLAG_SET, SwapType, magic_bytes, offsets


class TrailerField(Enum):
    """Fields of the trailer."""

    MAGIC = "magic"
    IMAGE_OK = "image ok"
    COPY_DONE = "copy done"
    SWAP_INFO = "swap info"
    TLV_SIZES = "TLV sizes"
    SWAP_SIZE = "swap size"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Erase:
    """Erase one sector of a slot, counted from the slot's start."""

    slot: Slot
    sector: int


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy one sector, or its first `length` bytes, onto an erased one."""

    source: Slot
    source_sector: int
    target: Slot
    target_sector: int
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Write one field of a slot's trailer; `entry` counts inside the status area."""

    slot: Slot
    field: TrailerField
    value: bytes
    entry: int = 0


@dataclass(frozen=True, slots=True)
class WriteHeader:
    """Write one write block of an image's header, `offset` bytes from the slot's start."""

    slot: Slot
    offset: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Sync:
    """Everything before this must survive a power loss before anything after it is done."""


Op = Erase | Copy | Write | WriteHeader | Sync
Plan = Iterator[Op]
SYNC = Sync()


def write_flag(slot: Slot, field: TrailerField) -> Plan:
    """Set a flag, durably."""
    yield Write(slot, field, bytes([FLAG_SET]))
    yield SYNC


def write_magic(layout: Layout, slot: Slot) -> Plan:
    """Say that there is a trailer, durably; the last act of building one."""
    yield Write(slot, TrailerField.MAGIC, magic_bytes(layout.max_align))
    yield SYNC


def write_swap_info(slot: Slot, kind: SwapType) -> Plan:
    """Remember the kind of swap, durably."""
    yield Write(slot, TrailerField.SWAP_INFO, bytes([kind | slot.image << 4]))
    yield SYNC


def write_status(slot: Slot, entry: int, value: int) -> Plan:
    """Remember that a step of the swap is done, durably, after making the step itself durable."""
    yield SYNC
    yield Write(slot, TrailerField.STATUS, bytes([value]), entry)
    yield SYNC


def erase_trailer(layout: Layout, slot: Slot) -> Plan:
    """Erase the sectors that hold the trailer, the last one first (bootutil `swap_erase_trailer_sectors`).

    The magic goes first: what is left of an interrupted erasure is no trailer.
    """
    last = slot.size // layout.geometry.sector_size - 1
    for number in range(layout.trailer_sectors):
        yield Erase(slot, last - number)
        yield SYNC


def erase_slot(layout: Layout, slot: Slot) -> Plan:
    """Erase all of a slot, its trailer first, then its header: an interrupted erasure is neither armed nor an image."""
    yield from erase_trailer(layout, slot)
    for sector in range(slot.size // layout.geometry.sector_size - layout.trailer_sectors):
        yield Erase(slot, sector)
        if sector == 0:
            yield SYNC
    yield SYNC


def carry_out(flash: Flash, layout: Layout, plan: Iterable[Op]) -> None:
    """Do what the plan says, in its order."""
    sector = layout.geometry.sector_size
    for op in plan:
        match op:
            case Erase():
                area(flash, op.slot).erase(op.sector * sector, sector)
            case Copy():
                length = sector if op.length is None else op.length
                data = area(flash, op.source).read(op.source_sector * sector, length)
                area(flash, op.target).write(op.target_sector * sector, data)
            case Write():
                _write(flash, layout, op)
            case WriteHeader():
                area(flash, op.slot).write(op.offset, op.value)
            case Sync():
                flash.sync()


def _write(flash: Flash, layout: Layout, op: Write) -> None:
    slot = area(flash, op.slot)
    erased = bytes([layout.geometry.erased_value])
    if op.field is TrailerField.MAGIC:
        size = layout.magic_align_size
        slot.write(slot.size - size, op.value.rjust(size, erased))
        return
    block = layout.geometry.write_block
    value = op.value.ljust(align_up(len(op.value), block), erased)
    slot.write(field_offset(layout, op.slot, op.field) + op.entry * block, value)


def field_offset(layout: Layout, slot: Slot, field: TrailerField) -> int:
    """Where a field lies in its slot."""
    at = offsets(layout, slot.size)
    places = {
        TrailerField.MAGIC: at.magic,
        TrailerField.IMAGE_OK: at.image_ok,
        TrailerField.COPY_DONE: at.copy_done,
        TrailerField.SWAP_INFO: at.swap_info,
        TrailerField.TLV_SIZES: at.tlv_sizes if at.tlv_sizes is not None else at.swap_size,
        TrailerField.SWAP_SIZE: at.swap_size,
        TrailerField.STATUS: at.status,
    }
    return places[field]


CarryOut = Callable[[Flash, Layout, Iterable[Op]], None]
"""What carries plans out; a test replaces it by one that spoils them."""
