"""What is reckoned of a swap, beside a swap of two full slots on a flash that counts."""

import pytest
from tests.device.server_rig import make_image
from tests.mcuboot.devices import BY_TRAILER

from keyswitch.mcuboot import slots
from keyswitch.mcuboot.bootloader import boot
from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.duration import full_swap
from keyswitch.mcuboot.flash import NRF52840_TIMES, RamFlash
from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size

SECTOR, SECTORS, BLOCK = 1_024, 40, 4
AROUND = 32 + 8 + 32
"""Header and hash of an image around its body."""


@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_no_full_swap_is_quicker_than_it_is_reckoned(algorithm: Algorithm) -> None:
    layout = Layout.for_slots(algorithm, SECTORS * SECTOR, sector_size=SECTOR, write_block=BLOCK)
    flash = RamFlash(layout.geometry, NRF52840_TIMES)
    pair, size = layout.pairs[0], max_image_size(layout) - AROUND - 4
    slots.install(flash, layout, pair.primary, make_image("1.0.0", size))
    writer = slots.SlotWriter(flash, layout, pair.secondary, max_image_size(layout))
    writer.write(make_image("2.0.0", size, seed=2))
    writer.finish()
    slots.arm(flash, layout, pair.secondary, permanent=True)
    before = flash.wear.cost_us
    report = boot(flash, BootConfig(layout=layout, keys=VerificationKeys()))
    took_us = flash.wear.cost_us - before
    reckoned = full_swap(
        algorithm, slot_size=SECTORS * SECTOR, sector_size=SECTOR, write_block=BLOCK, times=NRF52840_TIMES
    )
    assert str(report.images[0].running_version) == "2.0.0"
    # Trailers and status entries come on top: a few sectors.
    assert reckoned.us <= took_us <= reckoned.us + 8 * (85_000 + SECTOR // BLOCK * 41)


def test_slots_without_room_for_an_image_are_not_swapped() -> None:
    swap = full_swap(Algorithm.SWAP_MOVE, slot_size=8_192, sector_size=4_096, write_block=4, times=NRF52840_TIMES)
    assert (swap.sectors, swap.us) == (0, 0)


def test_more_sectors_than_usual_are_counted_all() -> None:
    large = full_swap(
        Algorithm.SWAP_OFFSET, slot_size=300 * 4_096, sector_size=4_096, write_block=4, times=NRF52840_TIMES
    )
    assert large.sectors == 298
