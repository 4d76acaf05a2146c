"""Exchanging two images, so that it can be cut off anywhere and continued (bootutil swap_move.c, swap_offset.c).

Rules kept here:

* a sector's copy is durable before the status entry that says so is written, and the entry before the next sector;
* the primary's trailer says what is being done; until its magic is there the secondary's still does;
* a revert is first written down in the secondary, because its own note in the primary has to be erased to begin;
* the plan for a swap cut off after `entries` status entries is the tail of the plan for the whole swap.

With move, all sectors of the primary first move up by one; then sector after sector is exchanged. With offset, the new
image lies one sector up in the secondary from the start.
"""

from dataclasses import dataclass, replace

from keyswitch.mcuboot import trailer as trailers
from keyswitch.mcuboot.flash import Area, Flash
from keyswitch.mcuboot.image import ImageFault, parse_image
from keyswitch.mcuboot.layout import Algorithm, Layout, Slot, SlotPair, area
from keyswitch.mcuboot.ops import (
    SYNC,
    Copy,
    Erase,
    Plan,
    TrailerField,
    Write,
    erase_trailer,
    write_flag,
    write_magic,
    write_status,
    write_swap_info,
)
from keyswitch.mcuboot.trailer import Magic, SwapType, Trailer, TrailerFlag


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """One exchange, from the beginning or from where it was cut off.

    Attributes:
        kind: TEST, PERM or REVERT.
        size: bytes of the larger image; whole sectors are exchanged.
        tlv_sizes: sizes of the unprotected TLV areas of both images, which swap using offset writes down as well.
        entries: status entries that are written already.
        noted: the primary's trailer says already what is being done.
    """

    kind: SwapType
    size: int
    tlv_sizes: tuple[int, int] = (0, 0)
    entries: int = 0
    noted: bool = False


def find_interrupted(flash: Flash, layout: Layout, pair: SlotPair) -> Swap | None:
    """The swap that was cut off, if one was (`swap_status_source`, `swap_read_status`)."""
    primary = area(flash, pair.primary)
    own = trailers.read_trailer(layout, primary)
    other = trailers.read_trailer(layout, area(flash, pair.secondary))
    if own.magic is not Magic.GOOD or own.copy_done is not TrailerFlag.UNSET or other.magic is Magic.GOOD:
        return None
    if own.swap_type is SwapType.NONE:
        # A padded image that was programmed into the primary: no swap was ever begun.
        return None
    entries = trailers.read_status_entries(layout, primary)
    if not entries:
        # Nothing has moved yet: the images say themselves how large they are, whatever the trailer remembers.
        return replace(begin(flash, layout, pair, own.swap_type), noted=True)
    return Swap(kind=own.swap_type, size=trailers.read_swap_size(layout, primary), entries=entries, noted=True)


def wanted(flash: Flash, layout: Layout, pair: SlotPair) -> SwapType:
    """The swap type that the trailers ask for; a revert that was written down, but not begun, is one."""
    secondary = trailers.read_trailer(layout, area(flash, pair.secondary))
    kind = trailers.read_swap_type(flash, layout, pair.primary.image)
    noted = layout.algorithm is Algorithm.SWAP_MOVE and secondary.swap_type is SwapType.REVERT
    return SwapType.REVERT if kind is SwapType.PERM and noted else kind


def begin(flash: Flash, layout: Layout, pair: SlotPair, kind: SwapType) -> Swap:
    """A new swap of what lies in the two slots."""
    sizes: list[tuple[int, int]] = []
    for source in (area(flash, pair.primary), incoming(flash, layout, pair.secondary, kind)):
        image = parse_image(source)
        sizes.append((0, 0) if isinstance(image, ImageFault) else (image.size, image.size - image.header.hashed_size))
    (primary, primary_tlvs), (secondary, secondary_tlvs) = sizes
    return Swap(kind=kind, size=max(primary, secondary), tlv_sizes=(primary_tlvs, secondary_tlvs))


def incoming(flash: Flash, layout: Layout, secondary: Slot, kind: SwapType) -> Area:
    """Where the image that a swap of this kind would start lies in the secondary."""
    return area(flash, secondary).part(0 if kind is SwapType.REVERT else layout.upload_offset(secondary))


def room(layout: Layout, pair: SlotPair) -> int:
    """How many sectors can be exchanged."""
    sectors = layout.geometry.sector_size
    primary = pair.primary.size // sectors - layout.trailer_sectors
    secondary = pair.secondary.size // sectors - layout.trailer_sectors
    if layout.algorithm is Algorithm.SWAP_MOVE:
        return min(primary - 1, secondary)
    return min(primary, secondary - 1)


def sectors_of(layout: Layout, size: int) -> int:
    """How many sectors `size` bytes take, at least one (`find_last_idx`)."""
    return max(1, -(-size // layout.geometry.sector_size))


def plan(flash: Flash, layout: Layout, pair: SlotPair, swap: Swap) -> Plan:
    """All operations that are left of `swap`, and the flags that end it."""
    secondary = trailers.read_trailer(layout, area(flash, pair.secondary))
    yield from _prologue(layout, pair, swap, secondary)
    if layout.algorithm is Algorithm.SWAP_MOVE:
        yield from _move(layout, pair, swap)
    elif swap.kind is SwapType.REVERT:
        yield from _offset_back(layout, pair, swap)
    else:
        yield from _offset(layout, pair, swap)


def finish(flash: Flash, layout: Layout, slot: Slot, kind: SwapType) -> Plan:
    """The flags in the primary's trailer that end a swap: confirmed unless on trial, and done."""
    own = trailers.read_trailer(layout, area(flash, slot))
    if kind is not SwapType.TEST and own.image_ok is TrailerFlag.UNSET:
        yield from write_flag(slot, TrailerField.IMAGE_OK)
    if own.copy_done is TrailerFlag.UNSET:
        yield from write_flag(slot, TrailerField.COPY_DONE)


def _prologue(layout: Layout, pair: SlotPair, swap: Swap, secondary: Trailer) -> Plan:
    """Write down what will be done; nothing to do once the first status entry is there."""
    if swap.entries:
        return
    if not swap.noted:
        if swap.kind is SwapType.REVERT and secondary.magic is not Magic.GOOD:
            yield from _note_revert(layout, pair.secondary, swap)
        yield from erase_trailer(layout, pair.primary)
        yield from write_swap_info(pair.primary, swap.kind)
        if swap.kind is SwapType.PERM or (swap.kind is SwapType.REVERT and layout.algorithm is Algorithm.SWAP_MOVE):
            yield from write_flag(pair.primary, TrailerField.IMAGE_OK)
        yield from _write_size(layout, pair.primary, swap)
        yield from write_magic(layout, pair.primary)
    yield from erase_trailer(layout, pair.secondary)


def _note_revert(layout: Layout, slot: Slot, swap: Swap) -> Plan:
    """Write a revert down in the secondary (`fixup_revert`).

    With move it looks like a permanent upgrade there; the swap info, which MCUboot leaves erased, tells them apart.
    With offset the copy-done flag in the secondary says that it is a revert.
    """
    yield from erase_trailer(layout, slot)
    yield from write_swap_info(slot, SwapType.REVERT)
    flag = TrailerField.IMAGE_OK if layout.algorithm is Algorithm.SWAP_MOVE else TrailerField.COPY_DONE
    yield from write_flag(slot, flag)
    yield from _write_size(layout, slot, swap)
    yield from write_magic(layout, slot)


def _write_size(layout: Layout, slot: Slot, swap: Swap) -> Plan:
    yield Write(slot, TrailerField.SWAP_SIZE, swap.size.to_bytes(4, "little"))
    yield SYNC
    if layout.algorithm is Algorithm.SWAP_OFFSET:
        primary, secondary = swap.tlv_sizes
        yield Write(slot, TrailerField.TLV_SIZES, (primary | secondary << 16).to_bytes(4, "little"))
        yield SYNC


def _move(layout: Layout, pair: SlotPair, swap: Swap) -> Plan:
    primary, secondary = pair.primary, pair.secondary
    count = sectors_of(layout, swap.size)
    for done in range(min(swap.entries, count), count):
        target = count - done
        yield Erase(primary, target)
        yield Copy(primary, target - 1, primary, target)
        yield from write_status(primary, done, 1)
    exchanged = max(0, swap.entries - layout.max_sectors)
    for step in range(exchanged, 2 * count):
        sector, second = divmod(step, 2)
        if second:
            yield Erase(secondary, sector)
            yield Copy(primary, sector + 1, secondary, sector)
        else:
            yield Erase(primary, sector)
            yield Copy(secondary, sector, primary, sector)
        yield from write_status(primary, layout.max_sectors + step, second + 1)


def _offset(layout: Layout, pair: SlotPair, swap: Swap) -> Plan:
    primary, secondary = pair.primary, pair.secondary
    for step in range(swap.entries, 2 * sectors_of(layout, swap.size)):
        sector, second = divmod(step, 2)
        if second:
            yield Erase(primary, sector)
            yield Copy(secondary, sector + 1, primary, sector)
        else:
            yield Erase(secondary, sector)
            yield Copy(primary, sector, secondary, sector)
        yield from write_status(primary, step, second + 1)


def _offset_back(layout: Layout, pair: SlotPair, swap: Swap) -> Plan:
    """The same from the last sector down, so that the images end where they were before the upgrade."""
    primary, secondary = pair.primary, pair.secondary
    count = sectors_of(layout, swap.size)
    for step in range(swap.entries, 2 * count):
        sector, second = count - 1 - step // 2, step % 2
        if second:
            yield Erase(primary, sector)
            yield Copy(secondary, sector, primary, sector)
        else:
            yield Erase(secondary, sector + 1)
            yield Copy(primary, sector, secondary, sector + 1)
        yield from write_status(primary, step, second + 1)
    # The old image's first sector would be taken for an upload in the wrong place.
    yield Erase(secondary, 0)
    yield SYNC
    yield from erase_trailer(layout, secondary)
