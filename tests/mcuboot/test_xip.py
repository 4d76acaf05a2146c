import random

import pytest
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.devices import Device, device
from tests.mcuboot.surgery import MUTATIONS
from tests.mcuboot.test_mutations import oracle_accepts

from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import parse_image
from keyswitch.mcuboot.layout import Algorithm, area, max_image_size
from keyswitch.mcuboot.ops import SYNC, TrailerField, Write, WriteHeader, carry_out, erase_trailer
from keyswitch.mcuboot.slots import HeaderShown, computed_hash, disarm, write_header
from keyswitch.mcuboot.tlvs import Flags
from keyswitch.mcuboot.trailer import Magic, TrailerFlag, magic_bytes, read_trailer

OLD = images.signed("1.0.0", size=3000)
NEW = images.signed("1.1.0", size=5000, seed=1)
OLDER = images.signed("0.9.0", size=5000, seed=2)


def running(made: Device) -> tuple[str, int | None]:
    image = made.boot().images[0]
    return str(image.running_version), image.running_slot


def started() -> Device:
    made = device(Algorithm.DIRECT_XIP, OLD)
    assert running(made) == ("1.0.0", 0)
    return made


def test_the_higher_version_runs_where_it_lies():
    made = started()
    made.upload(NEW)
    made.arm()
    assert made.shown() == ["0 1.0.0 ac", "1 1.1.0 p"]
    report = made.boot()
    assert (report.active, report.trial) == ((1,), True)
    assert made.shown() == ["0 1.0.0 c", "1 1.1.0 a"]


def test_confirmed_it_stays_and_the_other_slot_takes_the_next():
    made = started()
    made.upload(NEW)
    made.arm()
    made.boot()
    made.confirm()
    assert made.shown() == ["0 1.0.0 c", "1 1.1.0 ac"]
    assert running(made) == ("1.1.0", 1)
    made.upload(images.signed("2.0.0"))
    made.arm(permanent=True)
    assert made.shown() == ["0 2.0.0 pP", "1 1.1.0 ac"]
    report = made.boot()
    assert (report.active, report.trial) == ((0,), False)


def test_not_confirmed_it_is_given_up_and_erased():
    made = started()
    made.upload(NEW)
    made.arm()
    made.boot()
    report = made.boot()
    assert (report.active, report.reverted) == ((0,), True)
    assert report.images[0].why == (
        "slot 1 erased: it was started and not confirmed",
        "runs 1.0.0 in slot 0",
    )
    assert made.shown() == ["0 1.0.0 ac"]


def test_what_nobody_asked_for_never_runs():
    made = started()
    made.upload(NEW)
    report = made.boot()
    assert report.active == (0,)
    assert not report.reverted
    assert report.images[0].why[0] == "slot 1 erased: nobody asked for it (magic unset)"


def test_an_older_image_is_not_chosen_and_not_touched():
    made = started()
    made.upload(OLDER)
    made.arm()
    assert running(made) == ("1.0.0", 0)
    assert made.shown() == ["0 1.0.0 ac", "1 0.9.0 p"]


def test_of_equal_versions_the_primary_runs():
    made = started()
    made.upload(images.signed("1.0.0", size=100, seed=9))
    made.arm()
    assert running(made) == ("1.0.0", 0)


@pytest.mark.parametrize("image_ok", TrailerFlag)
@pytest.mark.parametrize("copy_done", TrailerFlag)
@pytest.mark.parametrize("magic", Magic)
def test_every_trailer(magic, copy_done, image_ok):
    made = started()
    made.upload(NEW)
    values = {TrailerFlag.SET: b"\x01", TrailerFlag.BAD: b"\x05"}
    plan = [
        Write(made.secondary, field, values[flag])
        for field, flag in ((TrailerField.IMAGE_OK, image_ok), (TrailerField.COPY_DONE, copy_done))
        if flag is not TrailerFlag.UNSET
    ]
    if magic is not Magic.UNSET:
        value = magic_bytes(8) if magic is Magic.GOOD else b"\0" * 16
        plan.append(Write(made.secondary, TrailerField.MAGIC, value))
    carry_out(made.flash, made.layout, plan)
    report = made.boot()
    damaged = TrailerFlag.BAD in (copy_done, image_ok) and image_ok is not TrailerFlag.SET
    runs = magic is Magic.GOOD and not damaged and not (copy_done is TrailerFlag.SET and image_ok is TrailerFlag.UNSET)
    assert report.active == ((1,) if runs else (0,))
    assert report.trial == (runs and image_ok is TrailerFlag.UNSET)
    passed_over = magic is Magic.GOOD and damaged and copy_done is not TrailerFlag.SET
    assert ("1 1.1.0" in " ".join(made.shown())) == (runs or passed_over)
    if runs and copy_done is not TrailerFlag.BAD:
        assert read_trailer(made.layout, area(made.flash, made.secondary)).copy_done is TrailerFlag.SET


@pytest.mark.parametrize(
    ("image_ok", "copy_done", "runs"),
    [(TrailerFlag.SET, TrailerFlag.BAD, True), (TrailerFlag.BAD, TrailerFlag.UNSET, False),
     (TrailerFlag.BAD, TrailerFlag.BAD, False), (TrailerFlag.UNSET, TrailerFlag.BAD, False)],
)  # fmt: skip
def test_the_only_image_is_not_erased_because_of_a_damaged_flag(image_ok, copy_done, runs):
    """A confirmed one runs, as with MCUboot; of the others MCUboot runs each, and nothing here knows what they are."""
    made = device(Algorithm.DIRECT_XIP, OLD)
    carry_out(made.flash, made.layout, erase_trailer(made.layout, made.primary))
    values = {TrailerFlag.SET: b"\x01", TrailerFlag.BAD: b"\x05"}
    flags = ((TrailerField.IMAGE_OK, image_ok), (TrailerField.COPY_DONE, copy_done))
    plan = [Write(made.primary, field, values[flag]) for field, flag in flags if flag in values]
    carry_out(made.flash, made.layout, [*plan, Write(made.primary, TrailerField.MAGIC, magic_bytes(8))])
    before = bytes(made.flash.read(0, made.primary.size))
    assert made.boot().runs is runs
    assert bytes(made.flash.read(0, made.primary.size)) == before


def test_a_bad_image_is_erased_and_the_other_runs():
    made = started()
    made.upload(NEW[:700] + bytes([NEW[700] ^ 1]) + NEW[701:])
    made.arm()
    report = made.boot()
    assert report.active == (0,)
    assert report.images[0].why[1].startswith("slot 1 erased: refused: hash: found")
    assert not made.boot().reverted


def test_an_image_built_for_the_other_slot_is_passed_over():
    made = started()
    here = images.signed("1.1.0", "--rom-fixed", hex(made.secondary.offset))
    elsewhere = images.signed("1.1.0", "--rom-fixed", hex(made.secondary.offset + 0x1000))
    made.upload(elsewhere)
    made.arm()
    assert running(made) == ("1.0.0", 0)
    made.upload(here)
    made.arm()
    assert running(made) == ("1.1.0", 1)


def test_nothing_to_run():
    report = device(Algorithm.DIRECT_XIP).boot()
    assert not report.runs
    assert report.images[0].why == ("nothing runs: no slot holds an image that may",)


def test_a_lower_counter_than_the_stored_one_is_erased():
    made = device(Algorithm.DIRECT_XIP, images.signed("1.0.0", "--security-counter", "5"), rollback_protection=True)
    made.boot()
    assert made.counters == (5,)
    made.upload(images.signed("1.1.0", "--security-counter", "4"))
    made.arm()
    assert running(made) == ("1.0.0", 0)
    made.upload(images.signed("1.1.0", "--security-counter", "6"))
    made.arm()
    assert running(made) == ("1.1.0", 1)
    assert made.counters == (5,)
    made.confirm()
    made.boot()
    assert made.counters == (6,)


# --- without revert ---------------------------------------------------------------------------------------------------


def in_place(running: bytes | None = OLD) -> Device:
    made = device(Algorithm.DIRECT_XIP_NO_REVERT, running)
    made.boot()
    return made


def test_without_revert_the_higher_version_runs_for_good():
    made = in_place()
    made.upload(NEW)
    assert made.shown() == ["0 1.0.0 ac"], "without its header it is no image yet"
    assert running(made) == ("1.0.0", 0)
    made.upload(NEW)
    made.arm()
    assert made.shown() == ["0 1.0.0 ac", "1 1.1.0 pP"]
    report = made.boot()
    assert (report.active, report.trial, report.reverted) == ((1,), False, False)
    assert made.shown() == ["0 1.0.0 ", "1 1.1.0 ac"]
    assert running(made) == ("1.1.0", 1), "nobody confirmed it, and it stays"


def test_without_revert_no_trailer_counts_and_none_is_written():
    """An image as imgtool signs it, without `--pad`: with revert it would be erased."""
    made = device(Algorithm.DIRECT_XIP_NO_REVERT)
    made.flash.write(made.secondary.offset, NEW.ljust(-(-len(NEW) // 4) * 4, b"\xff"))
    carry_out(made.flash, made.layout, [Write(made.secondary, TrailerField.MAGIC, b"\0" * 16)])
    before = made.flash.read(0, made.layout.geometry.size)
    assert running(made) == ("1.1.0", 1)
    assert made.flash.read(0, made.layout.geometry.size) == before


@pytest.mark.parametrize("secondary", [OLDER, images.signed("1.0.0", size=100, seed=9)])
def test_without_revert_an_older_or_equal_image_does_not_run_and_is_not_pending(secondary):
    made = in_place()
    made.upload(secondary)
    made.arm()
    assert running(made) == ("1.0.0", 0)
    assert made.shown()[1].endswith(" "), "no flags"


def test_without_revert_of_equal_versions_slot_0_would_run_next():
    made = in_place()
    made.upload(NEW)
    made.arm()
    assert running(made) == ("1.1.0", 1)
    made.upload(images.signed("1.1.0", size=100, seed=9))
    made.arm()
    assert made.shown() == ["0 1.1.0 pP", "1 1.1.0 ac"]
    assert running(made) == ("1.1.0", 0)


def test_without_revert_a_bad_image_is_erased_and_the_other_runs():
    made = in_place()
    made.upload(NEW[:700] + bytes([NEW[700] ^ 1]) + NEW[701:])
    made.arm()
    report = made.boot()
    assert report.active == (0,)
    assert report.images[0].why[0].startswith("slot 1 erased: refused: hash: found")
    secondary = area(made.flash, made.secondary)
    assert secondary.is_erased(secondary.read(0, secondary.size))


@pytest.mark.parametrize("algorithm", [Algorithm.DIRECT_XIP, Algorithm.DIRECT_XIP_NO_REVERT])
def test_an_image_that_is_not_bootable_is_passed_over_and_stays(algorithm):
    """`boot_validate_slot`: no bootable image in the slot, and nothing is erased for it."""
    made = device(algorithm, OLD)
    made.boot()
    made.upload(images.signed("1.1.0", "--non-bootable"))
    made.arm()
    assert running(made) == ("1.0.0", 0)
    assert "1.1.0" in " ".join(made.shown())


@pytest.mark.parametrize("algorithm", [Algorithm.DIRECT_XIP, Algorithm.DIRECT_XIP_NO_REVERT])
@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (Flags.ENCRYPTED_AES128, "an encrypted image, which this bootloader cannot decrypt"),
        (Flags.ENCRYPTED_AES256, "an encrypted image, which this bootloader cannot decrypt"),
        (Flags.COMPRESSED_LZMA2, "a compressed image, which this bootloader cannot unpack"),
    ],
)
def test_what_this_bootloader_cannot_read_is_no_image_to_it(algorithm, flags, said):
    """`boot_check_header_valid`: neither started nor erased, whatever its trailer says."""
    made = device(algorithm, OLD)
    made.boot()
    made.upload(NEW[:16] + int(flags).to_bytes(4, "little") + NEW[20:])
    made.arm()
    before = made.flash.read(made.secondary.offset, made.secondary.size)
    report = made.boot()
    assert report.active == (0,)
    assert report.images[0].why[0] == f"slot 1 passed over: {said}"
    assert made.flash.read(made.secondary.offset, made.secondary.size) == before


def test_without_revert_a_counter_counts_at_once():
    made = device(
        Algorithm.DIRECT_XIP_NO_REVERT, images.signed("1.0.0", "--security-counter", "5"), rollback_protection=True
    )
    made.boot()
    made.upload(images.signed("1.1.0", "--security-counter", "6"))
    made.arm()
    made.boot()
    assert made.counters == (6,)


def test_without_revert_what_was_armed_is_taken_back():
    made = in_place()
    made.upload(NEW)
    made.arm()
    disarm(made.flash, made.layout, 0, made.active)
    assert running(made) == ("1.0.0", 0)
    made.upload(OLDER)
    made.arm()
    disarm(made.flash, made.layout, 0, made.active)
    assert made.shown()[1:] == ["1 0.9.0 "], "it would not have started, so that nothing is taken back"


def test_without_revert_no_mutant_runs_that_imgtool_refuses():
    image = images.signed("1.2.3", size=600, header_size=32)
    chance = random.Random(0)
    for mutation in MUTATIONS:
        mutant = mutation(image, chance)
        if len(mutant) > made_size():
            continue
        made = device(Algorithm.DIRECT_XIP_NO_REVERT, OLD)
        made.flash.write(made.secondary.offset, mutant.ljust(-(-len(mutant) // 4) * 4, b"\xff"))
        report = made.boot()
        assert report.runs, mutation.__name__
        if report.active == (1,):
            assert oracle_accepts(mutant, "ecdsa-p256"), mutation.__name__


def made_size() -> int:
    return max_image_size(device(Algorithm.DIRECT_XIP_NO_REVERT).layout)


@pytest.mark.parametrize("write_block", [1, 4, 8, 16, 32])
def test_a_header_is_written_with_its_magic_last(write_block):
    made = device(Algorithm.DIRECT_XIP_NO_REVERT, OLD, write_block=write_block, max_align=max(8, write_block))
    made.boot()
    made.upload(NEW)
    shown = HeaderShown(made.flash, made.secondary, made.headers[0])
    assert computed_hash(shown, made.layout, made.secondary) == parse_image(BytesSource(NEW)).hash
    plans: list[list[object]] = []
    write_header(made.flash, made.layout, made.secondary, made.headers[0], do=lambda *given: plans.append([*given[2]]))
    ((*_, last, sync),) = plans
    assert (last, sync) == (WriteHeader(made.secondary, 0, NEW[:write_block]), SYNC)
    made.arm()
    assert made.flash.read(made.secondary.offset, len(NEW)) == NEW
