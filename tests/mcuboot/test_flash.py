import pytest

from keyswitch.errors import LocalError
from keyswitch.mcuboot.flash import (
    NRF52840_TIMES,
    Area,
    BytesSource,
    Geometry,
    RamFlash,
)

GEOMETRY = Geometry(size=0x4000, sector_size=0x1000, write_block=8)


def test_a_new_flash_is_erased():
    assert RamFlash(GEOMETRY).read(0, 0x4000) == b"\xff" * 0x4000


def test_written_bytes_come_back_and_erasing_takes_a_whole_sector():
    flash = RamFlash(GEOMETRY)
    flash.write(0x1000, b"12345678" * 2)
    assert flash.read(0x1000, 16) == b"12345678" * 2
    flash.erase(0x1000, 0x1000)
    assert flash.read(0x1000, 16) == b"\xff" * 16


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda flash: flash.write(4, b"12345678"), "whole units of 8"),
        (lambda flash: flash.write(0, b"1234"), "whole units of 8"),
        (lambda flash: flash.write(0x4000, b"12345678"), "outside the flash"),
        (lambda flash: flash.write(-8, b"12345678"), "outside the flash"),
        (lambda flash: flash.erase(0x800, 0x1000), "whole units of 4096"),
        (lambda flash: flash.erase(0x3000, 0x2000), "outside the flash"),
        (lambda flash: flash.read(0x3FFF, 2), "outside the flash"),
    ],
)
def test_what_flash_cannot_do_is_refused(act, said):
    with pytest.raises(LocalError, match=said):
        act(RamFlash(GEOMETRY))


def test_a_block_is_written_once():
    flash = RamFlash(GEOMETRY)
    flash.write(16, b"\xff" * 7 + b"\x01")
    with pytest.raises(LocalError, match="byte 0x17 is written already"):
        flash.write(16, b"\x00" * 8)
    flash.write(24, b"abcdefgh")


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0x4000, "write_block": 3},
        {"size": 0x4000, "write_block": 0},
        {"size": 0x4001},
        {"size": 0},
        {"size": 0x4000, "sector_size": 10, "write_block": 4},
        {"size": 0x4000, "erased_value": 1},
    ],
)
def test_impossible_geometries_are_refused(wrong):
    with pytest.raises(LocalError, match=r"^flash:"):
        Geometry(**wrong)


def test_the_cost_is_reported_and_not_waited_for():
    flash = RamFlash(Geometry(size=0x4000), NRF52840_TIMES)
    flash.erase(0, 0x2000)
    flash.write(0, b"1234" * 10)
    flash.sync()
    wear = flash.wear
    assert (wear.sectors_erased, wear.blocks_written, wear.syncs) == (2, 10, 1)
    assert wear.cost_us == 2 * 85_000 + 10 * 41


def test_an_area_is_bounded_and_relative():
    flash = RamFlash(GEOMETRY)
    slot = Area(flash, 0x2000, 0x1000)
    slot.write(8, b"abcdefgh")
    assert flash.read(0x2008, 8) == b"abcdefgh"
    assert slot.part(8).read(0, 8) == b"abcdefgh"
    with pytest.raises(LocalError, match="outside the area"):
        slot.read(0xFFF, 2)
    with pytest.raises(LocalError, match="outside the area"):
        slot.erase(0x1000, 0x1000)
    with pytest.raises(LocalError, match="outside the area"):
        slot.write(-8, b"abcdefgh")


def test_a_flash_that_erases_to_zero():
    flash = RamFlash(Geometry(size=0x2000, erased_value=0))
    assert Area(flash, 0, 0x2000).is_erased(flash.read(0, 100))
    flash.write(0, b"\x01\x00\x00\x00")
    with pytest.raises(LocalError):
        flash.write(0, b"\x01\x00\x00\x00")


def test_a_buffer_is_read_without_copying_where_asked():
    source = BytesSource(memoryview(b"0123456789"))
    assert source.size == 10
    assert source.read(2, 3) == b"234"
    assert isinstance(source.view(2, 3), memoryview)
