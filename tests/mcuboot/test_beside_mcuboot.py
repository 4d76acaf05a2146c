"""Flashes on which ours and the real MCUboot once differed: each is given, and boots as the real one boots it.

The outcomes were seen with MCUboot of June 2026, compiled for the host with Zephyr's default options.
"""

from collections.abc import Callable, Iterable

import pytest
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.devices import SWAPS, Device, device

from keyswitch.mcuboot import slots
from keyswitch.mcuboot import trailer as trailers
from keyswitch.mcuboot.bootloader import boot
from keyswitch.mcuboot.config import Downgrade
from keyswitch.mcuboot.flash import Flash, RamFlash
from keyswitch.mcuboot.layout import Algorithm, Layout, Slot, area
from keyswitch.mcuboot.ops import CarryOut, Op, Plan, TrailerField, Write, carry_out, write_magic
from keyswitch.mcuboot.slots import ArmResult
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


# --- rows that differ in bytes only, or where ours is the safer one ---------------------------------------------------


def sectors_read_erased(made: Device, slot: Slot, start: int, count: int) -> bool:
    whole = area(made.flash, slot)
    return whole.is_erased(whole.read(start, count))


def test_swap_using_offset_exchanges_all_sectors_of_the_larger_image():
    """MCUboot leaves out those behind the shorter one; the images are the same."""
    made = small(Algorithm.SWAP_OFFSET, images.signed("1.0.0", size=1400, header_size=32))
    new = images.signed("2.0.0", size=4200, seed=1, header_size=32)
    made.upload(new)
    made.arm()
    report = made.boot()
    assert report.images[0].why[-2] == "TEST: 5 sectors exchanged"
    assert made.flash.read(0, len(new)) == new
    assert made.version() == "1.0.0"


def test_an_image_that_nobody_armed_in_a_trial_bricks_nothing():
    """MCUboot goes back to the wrong place then, and nothing boots."""
    made = small(Algorithm.SWAP_OFFSET)
    made.upload(NEW)
    made.arm()
    assert made.version() == "2.0.0"
    made.upload(images.signed("3.0.0", size=1000, seed=4))
    assert made.version() == "2.0.0"
    assert made.version() == "2.0.0"


@pytest.mark.parametrize("left", [0, 1, 3])
def test_overwriting_copies_the_image_and_writes_no_trailer(left):
    """MCUboot writes the magic, and a write block too many where the size is a whole number of them."""
    made = small(Algorithm.OVERWRITE_ONLY)
    made.upload(new := NEW + bytes((left - len(NEW)) % 4))
    made.arm()
    made.boot()
    assert trailers.read_trailer(made.layout, area(made.flash, made.primary)) == trailers.UNSET
    size = -(-len(new) // 4) * 4
    assert sectors_read_erased(made, made.primary, size, made.primary.size - size)
    assert made.confirm() is ArmResult.ALREADY


@pytest.mark.parametrize("content", [b"", images.signed("2.0.0", "--non-bootable", size=900)])
def test_overwriting_leaves_no_slot_marked_that_holds_nothing_to_start(content):
    """With MCUboot it stays marked until the next upload."""
    made = small(Algorithm.OVERWRITE_ONLY)
    made.upload(content)
    made.arm()
    assert made.version() == "1.0.0"
    assert trailers.read_swap_type(made.flash, made.layout) is SwapType.NONE
    assert sectors_read_erased(made, made.secondary, 0, made.secondary.size)


@pytest.mark.parametrize("info", [0x00, 0x05, 0x1F])
def test_a_swap_info_out_of_range_boots(info):
    """MCUboot stops in an assertion, at every boot."""
    made = small(Algorithm.SWAP_MOVE)
    carry_out(made.flash, made.layout, [Write(made.primary, TrailerField.SWAP_INFO, bytes([info]))])
    carry_out(made.flash, made.layout, write_magic(made.layout, made.primary))
    assert [made.version(), made.version()] == ["1.0.0", "1.0.0"]


@pytest.mark.parametrize("algorithm", SWAPS)
def test_nothing_that_nobody_armed_starts_behind_a_swap_that_could_not_be(algorithm):
    """The primary notes a swap and the secondary is damaged: MCUboot keeps the note, and swaps a later upload in."""
    made = small(algorithm)
    made.upload(NEW[:700] + bytes([NEW[700] ^ 1]) + NEW[701:])
    carry_out(made.flash, made.layout, _noted(made, SwapType.TEST))
    assert made.version() == "1.0.0"
    assert trailers.read_trailer(made.layout, area(made.flash, made.primary)).magic is Magic.UNSET
    made.upload(NEW)
    assert made.version() == "1.0.0"


class CutError(Exception):
    """The power is gone."""


def cutting(stop: Callable[[int, Op], bool]) -> CarryOut:
    """Carries plans out until `stop` says so of the number of an operation, or of itself."""
    count = 0

    def do(flash: Flash, layout: Layout, plan: Iterable[Op]) -> None:
        nonlocal count
        for op in plan:
            if stop(count, op):
                raise CutError
            count += 1
            carry_out(flash, layout, [op])

    return do


@pytest.mark.parametrize("downgrade", Downgrade)
@pytest.mark.parametrize("algorithm", SWAPS)
def test_a_revert_that_was_cut_off_is_no_downgrade(algorithm, downgrade):
    """With swap using move MCUboot takes it for an upgrade to an older image, which it erases."""
    counted = ("--security-counter", "1"), ("--security-counter", "2")
    trial = device(
        algorithm, images.signed("1.0.0", *counted[0], size=900), slot_size=0x2800, sector_size=0x400,
        downgrade=downgrade,
    )  # fmt: skip
    trial.upload(images.signed("2.0.0", *counted[1], size=900, seed=1))
    trial.arm()
    assert trial.version() == "2.0.0"
    before = trial.flash.read(0, trial.layout.geometry.size)
    for cut in range(40):
        made = Device(RamFlash(trial.layout.geometry, content=before), trial.layout, trial.config)
        try:
            boot(made.flash, made.config, do=cutting(lambda count, _op, cut=cut: count == cut))
        except CutError:
            pass
        else:
            break
        assert made.version() == "1.0.0", cut
    assert cut > 5


@pytest.mark.parametrize("algorithm", SWAPS)
def test_a_cut_between_two_images_keeps_the_trial_that_had_not_begun(algorithm):
    """Image 0 is armed while image 1 goes back, and power is cut after the first: MCUboot gives image 0 up unseen."""
    made = device(algorithm, OLD, slot_size=0x2800, sector_size=0x400, images_=2)
    slots.install(made.flash, made.layout, made.layout.pairs[1].primary, OLD)
    made.upload(NEW, image=1)
    made.arm(image=1)
    assert made.boot().images[1].trial
    made.upload(NEW, image=0)
    made.arm(image=0)
    with pytest.raises(CutError):
        boot(made.flash, made.config, do=cutting(lambda _count, op: _first_status_of_image_1(op)))
    report = made.boot()
    assert (str(report.images[0].running_version), report.images[0].trial) == ("2.0.0", True)


def _first_status_of_image_1(op: Op) -> bool:
    return isinstance(op, Write) and op.field is TrailerField.STATUS and op.slot.image == 1


def test_an_old_image_that_is_larger_outlives_every_cut():
    """MCUboot with swap using offset loses one that is two sectors larger, by a cut in the last sector."""
    old = images.signed("1.0.0", size=4900, header_size=32)
    start = small(Algorithm.SWAP_OFFSET, old)
    start.upload(images.signed("2.0.0", size=1100, seed=1, header_size=32))
    start.arm()
    size = start.layout.geometry.size
    before = start.flash.read(0, size)
    start.boot()
    whole = start.flash.read(0, size)
    for cut in range(100):
        made = Device(RamFlash(start.layout.geometry, content=before), start.layout, start.config)
        with pytest.raises(CutError):
            boot(made.flash, made.config, do=cutting(lambda count, _op, cut=cut: count == cut))
        if made.flash.read(0, size) == whole:
            break
        assert (made.version(), made.version()) == ("2.0.0", "1.0.0"), cut
        assert made.flash.read(0, len(old)) == old, cut
    assert cut > 30


@pytest.mark.parametrize("algorithm", SWAPS)
def test_a_refusal_that_was_cut_off_behind_the_header_is_finished(algorithm):
    """MCUboot clears the trailer alone then, and leaves the rest of the image."""
    made = small(algorithm)
    made.upload(NEW)
    made.arm()
    made.flash.erase(made.secondary.offset + made.layout.upload_offset(made.secondary), 0x400)
    assert made.version() == "1.0.0"
    assert sectors_read_erased(made, made.secondary, 0, made.secondary.size)
