import pytest
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.devices import Device, device

from keyswitch.mcuboot.layout import Algorithm, area
from keyswitch.mcuboot.ops import TrailerField, Write, carry_out, erase_trailer
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
