import pytest

from keyswitch.errors import InputError
from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size

SLOT = 458_752
SECTORS = 112


@pytest.mark.parametrize(
    ("algorithm", "size"),
    [
        # 112 sectors of 4 KiB; the trailer takes 1.6 kB with 128 entries, so one sector.
        (Algorithm.SWAP_MOVE, (112 - 1 - 1) * 4096),
        (Algorithm.SWAP_OFFSET, (112 - 1 - 1) * 4096),
        (Algorithm.OVERWRITE_ONLY, SLOT - 40),
        (Algorithm.DIRECT_XIP, SLOT - 40),
        (Algorithm.DIRECT_XIP_NO_REVERT, SLOT - 40),
        # bootutil_max_image_size: up to the status area, which has no entries (swap size, info, copy done, image ok).
        (Algorithm.FIRMWARE_LOADER, SLOT - 48),
        (Algorithm.SINGLE_SLOT, SLOT - 48),
    ],
)
def test_the_largest_image(algorithm, size):
    assert max_image_size(Layout.for_slots(algorithm, SLOT)) == size


@pytest.mark.parametrize(("sector_size", "trailer"), [(512, 4), (1024, 2), (2048, 1)])
def test_the_trailer_is_rounded_up_to_sectors(sector_size, trailer):
    layout = Layout.for_slots(Algorithm.SWAP_MOVE, 128 * sector_size, sector_size=sector_size)
    assert layout.trailer_sectors == trailer
    assert max_image_size(layout) == (128 - trailer - 1) * sector_size


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slot_size": 4095}, "4095 bytes .expected a multiple of the flash sector of 4096"),
        ({"slot_size": 0}, "0 bytes .expected a multiple"),
        ({"slot_size": -4096}, "-4096 bytes .expected a multiple"),
        ({"slot_size": 129 * 4096, "max_sectors": 128}, "129 sectors of 4096 bytes .expected at most 128 sectors"),
        ({"slot_size": SLOT, "secondary_size": 4097}, "4097 bytes .expected a multiple of the flash sector of 4096"),
        (
            {"slot_size": 3 * 4096, "secondary_size": 4096},
            "12288 bytes leave no room for an image .expected room beside swap-move's trailer",
        ),
        ({"slot_size": 8192}, "8192 bytes leave no room for an image .expected room beside swap-move's trailer"),
        (
            {"slot_size": SLOT, "write_block": 16, "max_align": 8},
            "a flash written in blocks of 16 bytes, trailer fields of 8",
        ),
        ({"slot_size": SLOT, "max_align": 64}, "a flash written in blocks of 4 bytes, trailer fields of 64"),
        ({"slot_size": SLOT, "write_block": 64}, "a flash written in blocks of 64 bytes"),
    ],
)
def test_slots_that_cannot_be(wrong, said):
    with pytest.raises(InputError, match=f"^pump.toml: bootloader.slot_size: {said}"):
        Layout.for_slots(Algorithm.SWAP_MOVE, where="pump.toml: bootloader.slot_size", **wrong)


@pytest.mark.parametrize(("write_block", "align"), [(1, 8), (4, 8), (8, 8), (16, 16), (32, 32)])
def test_trailer_fields_hold_a_write_block(write_block, align):
    assert Layout.for_slots(Algorithm.SWAP_MOVE, SLOT, write_block=write_block).max_align == align


def test_the_smallest_slots_that_can_be():
    assert max_image_size(Layout.for_slots(Algorithm.SWAP_MOVE, 3 * 4096)) == 4096
    assert max_image_size(Layout.for_slots(Algorithm.SWAP_MOVE, 128 * 4096)) == 126 * 4096


def test_slots_of_several_images_follow_each_other():
    layout = Layout.for_slots(Algorithm.SWAP_MOVE, 3 * 4096, images=2)
    assert [(slot.image, slot.slot, slot.absolute, slot.offset) for slot in layout.slots] == [
        (0, 0, 0, 0),
        (0, 1, 1, 0x3000),
        (1, 0, 2, 0x6000),
        (1, 1, 3, 0x9000),
    ]
    assert layout.geometry.size == 0xC000


def test_an_upload_starts_at_sector_1_of_the_secondary_with_offset_alone():
    for algorithm in Algorithm:
        layout = Layout.for_slots(algorithm, SLOT)
        assert layout.upload_offset(layout.pairs[0].primary) == 0
        expected = 4096 if algorithm is Algorithm.SWAP_OFFSET else 0
        assert layout.upload_offset(layout.pairs[0].secondary) == expected


def test_what_smp_calls_the_algorithms():
    assert {str(algorithm): int(algorithm.boot_mode) for algorithm in Algorithm} == {
        "swap-move": 3,
        "swap-offset": 9,
        "overwrite-only": 2,
        "direct-xip": 5,
        "direct-xip-no-revert": 4,
        "firmware-loader": 7,
        "single-slot": 0,
    }


@pytest.mark.parametrize(
    ("algorithm", "primary", "secondary", "largest"),
    [
        # The sector that swap using move needs to move up into, and the one that an upload with offset starts behind,
        # cost nothing where the other slot is a sector smaller.
        (Algorithm.SWAP_MOVE, 10, 10, 8),
        (Algorithm.SWAP_MOVE, 11, 10, 9),
        (Algorithm.SWAP_MOVE, 10, 11, 8),
        (Algorithm.SWAP_OFFSET, 10, 10, 8),
        (Algorithm.SWAP_OFFSET, 10, 11, 9),
        (Algorithm.SWAP_OFFSET, 11, 10, 8),
    ],
)
def test_unequal_slots(algorithm, primary, secondary, largest):
    layout = Layout.for_slots(algorithm, primary * 4096, secondary_size=secondary * 4096)
    assert max_image_size(layout) == largest * 4096
    assert layout.max_sectors == max(primary, secondary)
    assert layout.pairs[0].secondary.offset == primary * 4096
    assert layout.geometry.size == (primary + secondary) * 4096


# A slot of Zephyr's nrf54l15dk (RRAM, write block 16), and of products with the second slot on another chip.
@pytest.mark.parametrize(
    ("slot_size", "write_block", "trailer_sectors"),
    [(679_936, 16, 2), (712_704, 16, 3), (999_424, 4, 1), (999_424, 16, 3)],
)
def test_slots_of_more_than_128_sectors(slot_size, write_block, trailer_sectors):
    layout = Layout.for_slots(Algorithm.SWAP_MOVE, slot_size, write_block=write_block)
    assert layout.trailer_sectors == trailer_sectors
    assert max_image_size(layout) == slot_size - (trailer_sectors + 1) * 4096


def test_a_single_slot_has_no_other():
    layout = Layout.for_slots(Algorithm.SINGLE_SLOT, SLOT)
    assert [(slot.slot, slot.size) for slot in layout.slots] == [(0, SLOT)]
    assert (layout.pairs[0].secondary.size, layout.geometry.size) == (0, SLOT)


@pytest.mark.parametrize("algorithm", [Algorithm.SINGLE_SLOT, Algorithm.FIRMWARE_LOADER])
def test_one_slot_for_the_application_is_for_one_image(algorithm):
    with pytest.raises(InputError, match=f"2 images with {algorithm} .expected one image"):
        Layout.for_slots(algorithm, SLOT, images=2)


def test_the_loader_has_a_slot_of_its_own_size_and_bounds_no_application():
    layout = Layout.for_slots(Algorithm.FIRMWARE_LOADER, SLOT, secondary_size=16 * 4096)
    assert max_image_size(layout) == SLOT - 48
