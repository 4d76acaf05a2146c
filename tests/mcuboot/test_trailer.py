from itertools import product

import pytest
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.devices import BY_TRAILER

from keyswitch.mcuboot import slots
from keyswitch.mcuboot import trailer as trailers
from keyswitch.mcuboot.flash import RamFlash
from keyswitch.mcuboot.layout import Algorithm, Layout, area
from keyswitch.mcuboot.ops import SYNC, TrailerField, Write, carry_out, erase_trailer, field_offset
from keyswitch.mcuboot.slots import ArmResult
from keyswitch.mcuboot.trailer import Magic, SwapType, Trailer, TrailerFlag, swap_type

ALIGNS = [(4, 8), (8, 8), (16, 16), (32, 32)]


def expected(algorithm: Algorithm, primary: Trailer, secondary: Trailer) -> SwapType:
    """The table of MCUboot's design document, written as prose is."""
    if secondary.magic is Magic.GOOD:
        if (
            algorithm is Algorithm.SWAP_OFFSET
            and secondary.image_ok is TrailerFlag.UNSET
            and secondary.copy_done is TrailerFlag.SET
        ):
            return SwapType.REVERT
        if secondary.image_ok is TrailerFlag.UNSET:
            return SwapType.TEST
        if secondary.image_ok is TrailerFlag.SET:
            return SwapType.PERM
    trial = (
        primary.magic is Magic.GOOD and primary.copy_done is TrailerFlag.SET and primary.image_ok is TrailerFlag.UNSET
    )
    return SwapType.REVERT if trial else SwapType.NONE


@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_the_swap_type_of_every_pair_of_trailers(algorithm):
    every = [
        Trailer(magic=magic, image_ok=image_ok, copy_done=copy_done)
        for magic, image_ok, copy_done in product(Magic, TrailerFlag, TrailerFlag)
    ]
    assert len(every) == 27
    for primary, secondary in product(every, every):
        found = swap_type(algorithm, primary, secondary)
        assert found is expected(algorithm, primary, secondary)


def flash_of(algorithm: Algorithm, write_block: int, max_align: int) -> tuple[RamFlash, Layout]:
    layout = Layout.for_slots(algorithm, 0x8000, write_block=write_block, max_align=max_align, max_sectors=8)
    return RamFlash(layout.geometry), layout


@pytest.mark.parametrize(("write_block", "max_align"), ALIGNS)
@pytest.mark.parametrize("permanent", [False, True])
@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_an_armed_slot_ends_as_imgtools_padded_file_does(algorithm, write_block, max_align, permanent):
    flash, layout = flash_of(algorithm, write_block, max_align)
    slot = layout.pairs[0].secondary
    assert slots.arm(flash, layout, slot, permanent=permanent) is ArmResult.DONE
    option = "--confirm" if permanent else "--test"
    padded = images.signed(
        "1.0.0", option, "--align", str(write_block), "--max-align", str(max_align), "--max-sectors", "8",
        slot_size=0x8000,
    )  # fmt: skip
    ours = bytearray(area(flash, slot).read(0, slot.size))
    # MCUboot itself writes the kind of swap when it arms (boot_set_next); imgtool leaves it erased.
    info = field_offset(layout, slot, TrailerField.SWAP_INFO)
    assert ours[info] == (SwapType.PERM if permanent else SwapType.TEST)
    ours[info] = 0xFF
    size = layout.trailer_size
    assert bytes(ours[-size:]) == padded[-size:]


@pytest.mark.parametrize(("write_block", "max_align"), ALIGNS)
def test_a_padded_file_in_the_secondary_is_pending(write_block, max_align):
    for option, kind in (("--test", SwapType.TEST), ("--confirm", SwapType.PERM)):
        flash, layout = flash_of(Algorithm.SWAP_MOVE, write_block, max_align)
        padded = images.signed(
            "1.0.0", option, "--align", str(write_block), "--max-align", str(max_align), "--max-sectors", "8",
            slot_size=0x8000,
        )  # fmt: skip
        flash.write(layout.pairs[0].secondary.offset, padded)
        assert trailers.read_swap_type(flash, layout) is kind


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [
        # 8 sectors x 3 or 2 entries x 4 bytes, fields of 8 bytes, magic 16.
        (Algorithm.SWAP_MOVE, 8 * 3 * 4 + 4 * 8 + 16),
        (Algorithm.SWAP_OFFSET, 8 * 2 * 4 + 5 * 8 + 16),
        (Algorithm.OVERWRITE_ONLY, 3 * 8 + 16),
        (Algorithm.DIRECT_XIP, 3 * 8 + 16),
    ],
)
def test_trailer_sizes(algorithm, size):
    _, layout = flash_of(algorithm, 4, 8)
    assert layout.trailer_size == size


def test_where_the_fields_are():
    _, layout = flash_of(Algorithm.SWAP_MOVE, 4, 8)
    at = trailers.offsets(layout, 0x8000)
    assert (at.magic, at.image_ok, at.copy_done, at.swap_info, at.swap_size) == (
        0x7FF0, 0x7FE8, 0x7FE0, 0x7FD8, 0x7FD0,
    )  # fmt: skip
    assert at.status == 0x7FD0 - 96
    _, layout = flash_of(Algorithm.SWAP_OFFSET, 4, 8)
    at = trailers.offsets(layout, 0x8000)
    assert (at.tlv_sizes, at.swap_size, at.status) == (0x7FD0, 0x7FC8, 0x7FC8 - 64)


@pytest.mark.parametrize(
    ("value", "state"),
    [
        (0xFF, TrailerFlag.UNSET),
        (0x01, TrailerFlag.SET),
        (0x00, TrailerFlag.BAD),
        (0x02, TrailerFlag.BAD),
        (0xFE, TrailerFlag.BAD),
    ],
)
def test_flags(value, state):
    flash, layout = flash_of(Algorithm.SWAP_MOVE, 4, 8)
    slot = layout.pairs[0].primary
    carry_out(flash, layout, (Write(slot, TrailerField.IMAGE_OK, bytes([value])), SYNC))
    assert trailers.read_trailer(layout, area(flash, slot)).image_ok is state


@pytest.mark.parametrize(
    ("value", "kind", "number"),
    [(0xFF, 1, 0), (0x02, 2, 0), (0x13, 3, 1), (0x24, 4, 2), (0x05, 1, 0), (0x00, 1, 0)],
)
def test_swap_info(value, kind, number):
    flash, layout = flash_of(Algorithm.SWAP_MOVE, 4, 8)
    slot = layout.pairs[0].primary
    carry_out(flash, layout, (Write(slot, TrailerField.SWAP_INFO, bytes([value])),))
    found = trailers.read_trailer(layout, area(flash, slot))
    assert (found.swap_type, found.image_number) == (kind, number)


@pytest.mark.parametrize(("max_align", "other"), [(8, 16), (16, 32), (32, 8)])
def test_a_magic_for_another_alignment_is_bad(max_align, other):
    flash, layout = flash_of(Algorithm.SWAP_MOVE, 4, max_align)
    slot = layout.pairs[0].secondary
    carry_out(flash, layout, (Write(slot, TrailerField.MAGIC, trailers.magic_bytes(other)),))
    assert trailers.read_trailer(layout, area(flash, slot)).magic is Magic.BAD


def test_every_byte_of_the_magic_counts():
    for at in range(16):
        flash, layout = flash_of(Algorithm.SWAP_MOVE, 4, 8)
        slot = layout.pairs[0].secondary
        magic = bytearray(trailers.magic_bytes(8))
        magic[at] ^= 1
        carry_out(flash, layout, (Write(slot, TrailerField.MAGIC, bytes(magic)),))
        assert trailers.read_trailer(layout, area(flash, slot)).magic is Magic.BAD


def test_erasing_a_trailer_erases_its_sectors_and_no_other():
    flash, layout = flash_of(Algorithm.SWAP_MOVE, 4, 8)
    slot = layout.pairs[0].secondary
    whole = area(flash, slot)
    whole.write(0, b"\0" * slot.size)
    carry_out(flash, layout, erase_trailer(layout, slot))
    assert whole.read(0, slot.size) == b"\0" * 0x7000 + b"\xff" * 0x1000


@pytest.mark.parametrize("entries", range(9))
def test_status_entries_are_counted_to_the_last(entries):
    flash, layout = flash_of(Algorithm.SWAP_MOVE, 4, 8)
    slot = layout.pairs[0].primary
    carry_out(flash, layout, [Write(slot, TrailerField.STATUS, b"\x01", number) for number in range(entries)])
    assert trailers.read_status_entries(layout, area(flash, slot)) == entries
