"""Flashes on which ours and the real MCUboot once differed: each is given, and boots as the real one boots it.

The outcomes were seen with MCUboot of June 2026, compiled for the host with Zephyr's default options.
"""

import pytest
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.devices import SWAPS, Device, device

from keyswitch.mcuboot import trailer as trailers
from keyswitch.mcuboot.layout import Algorithm, area
from keyswitch.mcuboot.ops import Plan, TrailerField, Write, carry_out, write_magic
from keyswitch.mcuboot.trailer import Magic, SwapType

OLD = images.signed("1.0.0", size=1500)
NEW = images.signed("2.0.0", size=3500, seed=1)


def small(algorithm: Algorithm, running: bytes | None = OLD) -> Device:
    return device(algorithm, running, slot_size=0x2800, sector_size=0x400)


@pytest.mark.parametrize("algorithm", SWAPS)
@pytest.mark.parametrize("primary", [b"\xff" * 32, b"\0" * 32])
def test_a_blank_or_broken_primary_takes_no_armed_image(algorithm, primary):
    """Without `BOOT_BOOTSTRAP` nothing boots, for ever: what lies in the secondary stays there, and stays armed."""
    made = small(algorithm, None)
    made.flash.write(0, primary)
    made.upload(NEW)
    made.arm()
    before = made.flash.read(0, made.layout.geometry.size)
    for _ in range(2):
        report = made.boot()
        assert not report.runs
        assert report.images[0].done is SwapType.NONE
        assert made.flash.read(0, made.layout.geometry.size) == before
    assert report.images[0].why[0].startswith("nothing is exchanged: slot 0 holds no image (magic: found ")


def test_overwrite_only_fills_a_blank_primary():
    made = small(Algorithm.OVERWRITE_ONLY, None)
    made.upload(NEW)
    made.arm()
    assert made.version() == "2.0.0"


def test_swap_using_offset_refuses_what_also_lies_in_sector_0():
    """ "wrong upload address?": the slot is erased, the running image stays."""
    made = small(Algorithm.SWAP_OFFSET)
    made.upload(NEW)
    made.arm()
    made.flash.write(made.secondary.offset, OLD[:32])
    report = made.boot()
    assert str(report.images[0].running_version) == "1.0.0"
    assert report.images[0].why[1] == "refused: an image header in sector 0 of the secondary, where no upload starts"
    secondary = area(made.flash, made.secondary)
    assert secondary.is_erased(secondary.read(0, secondary.size))
    assert made.version() == "1.0.0"


@pytest.mark.parametrize("algorithm", SWAPS)
def test_a_swap_that_was_noted_without_its_size_is_carried_out(algorithm):
    """No status entry is written yet, so the images say themselves how large they are."""
    made = small(algorithm)
    made.upload(NEW)
    carry_out(made.flash, made.layout, _noted(made, SwapType.TEST))
    report = made.boot()
    assert report.images[0].done is SwapType.TEST
    assert str(report.images[0].running_version) == "2.0.0"
    assert made.version() == "1.0.0", "it can be gone back to"


def _noted(made: Device, kind: SwapType) -> Plan:
    yield Write(made.primary, TrailerField.SWAP_INFO, bytes([kind]))
    yield from write_magic(made.layout, made.primary)


@pytest.mark.parametrize("algorithm", SWAPS)
@pytest.mark.parametrize("size", [0xFFFF_FFFF, 0x7FFF_FFFF, 0x2800])
def test_a_swap_size_that_cannot_be_is_a_report_and_no_exception(algorithm, size):
    """As a bootloader before v2.3.0 leaves it: there the field before is the size, and the status one field higher."""
    made = small(algorithm)
    made.upload(NEW)
    carry_out(made.flash, made.layout, _noted(made, SwapType.TEST))
    at = trailers.offsets(made.layout, made.primary.size)
    if size != 0xFFFF_FFFF:
        made.flash.write(made.primary.offset + at.swap_size, size.to_bytes(4, "little").ljust(8, b"\xff"))
    made.flash.write(made.primary.offset + at.status, b"\x01\xff\xff\xff")
    report = made.boot()
    assert report.images[0].why[0].startswith(f"not enough room: {size} bytes, ")
    assert report.images[0].done is SwapType.NONE
    assert str(report.images[0].running_version) == "1.0.0"


@pytest.mark.parametrize(("algorithm", "kind"), [(Algorithm.SWAP_MOVE, "REVERT"), (Algorithm.SWAP_OFFSET, "PERM")])
def test_a_permanent_swap_with_the_note_of_a_revert(algorithm, kind):
    """The note belongs to swap using move; with offset a revert is told by its copy-done flag."""
    made = small(algorithm)
    made.upload(NEW)
    for field, value in ((TrailerField.SWAP_INFO, bytes([SwapType.REVERT])), (TrailerField.IMAGE_OK, b"\x01")):
        carry_out(made.flash, made.layout, [Write(made.secondary, field, value)])
    carry_out(made.flash, made.layout, write_magic(made.layout, made.secondary))
    assert trailers.read_trailer(made.layout, area(made.flash, made.secondary)).magic is Magic.GOOD
    assert made.boot().images[0].found is SwapType[kind]
