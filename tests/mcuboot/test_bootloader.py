import pytest
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.devices import SWAPS, device

from keyswitch.mcuboot.bootloader import Downgrade
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.mcuboot.slots import ArmResult
from keyswitch.mcuboot.trailer import SwapType

OLD = images.signed("1.0.0", size=9000)
NEW = images.signed("1.1.0", size=13000, seed=1)
while NEW[-1] == 0xFF:  # a signature is drawn, and erased flash would stand for a last byte that is missing
    NEW = images.signed("1.1.0", size=13000, seed=1)


@pytest.mark.parametrize("algorithm", [*SWAPS, Algorithm.OVERWRITE_ONLY])
def test_a_device_from_the_factory_boots_and_changes_nothing(algorithm):
    made = device(algorithm, OLD)
    before = made.flash.read(0, made.layout.geometry.size)
    report = made.boot()
    assert str(report.images[0].running_version) == "1.0.0"
    assert report.runs
    assert not report.trial
    assert made.flash.read(0, made.layout.geometry.size) == before
    assert made.shown() == ["0 1.0.0 ac"]


@pytest.mark.parametrize("algorithm", SWAPS)
def test_an_uploaded_image_does_not_start_by_itself(algorithm):
    made = device(algorithm, OLD)
    made.upload(NEW)
    assert made.shown() == ["0 1.0.0 ac", "1 1.1.0 "]
    assert made.version() == "1.0.0"


# What the list shows over a whole cycle: with move the old image stays listed after the confirmation, with offset it
# does not lie where an upload would.
AFTER_CONFIRM = {
    Algorithm.SWAP_MOVE: ["0 1.1.0 ac", "1 1.0.0 "],
    Algorithm.SWAP_OFFSET: ["0 1.1.0 ac"],
}


@pytest.mark.parametrize("algorithm", SWAPS)
def test_test_boot_and_confirm(algorithm):
    made = device(algorithm, OLD)
    made.upload(NEW)
    assert made.arm() is ArmResult.DONE
    assert made.shown() == ["0 1.0.0 ac", "1 1.1.0 p"]
    report = made.boot()
    assert report.trial
    assert report.images[0].done is SwapType.TEST
    assert made.shown() == ["0 1.1.0 a", "1 1.0.0 c"]
    assert made.confirm() is ArmResult.DONE
    assert made.shown() == AFTER_CONFIRM[algorithm]
    assert made.confirm() is ArmResult.ALREADY
    report = made.boot()
    assert (str(report.images[0].running_version), report.trial, report.reverted) == ("1.1.0", False, False)


@pytest.mark.parametrize("algorithm", SWAPS)
def test_an_unconfirmed_trial_is_given_up_and_may_be_tried_again(algorithm):
    made = device(algorithm, OLD)
    made.upload(NEW)
    made.arm()
    made.boot()
    report = made.boot()
    assert report.reverted
    assert report.images[0].found is SwapType.REVERT
    assert made.shown() == ["0 1.0.0 ac", "1 1.1.0 "]
    assert made.arm() is ArmResult.DONE
    assert made.version() == "1.1.0"


@pytest.mark.parametrize("algorithm", SWAPS)
def test_a_permanent_swap_needs_no_confirmation(algorithm):
    made = device(algorithm, OLD)
    made.upload(NEW)
    assert made.arm(permanent=True) is ArmResult.DONE
    assert made.shown() == ["0 1.0.0 ac", "1 1.1.0 pP"]
    report = made.boot()
    assert not report.trial
    assert made.shown() == AFTER_CONFIRM[algorithm]
    assert made.version() == "1.1.0"


def test_overwriting_leaves_nothing_to_go_back_to():
    made = device(Algorithm.OVERWRITE_ONLY, OLD)
    made.upload(NEW)
    made.arm()
    report = made.boot()
    assert not report.trial
    assert made.shown() == ["0 1.1.0 ac"]
    assert made.version() == "1.1.0"


@pytest.mark.parametrize("algorithm", [*SWAPS, Algorithm.OVERWRITE_ONLY])
@pytest.mark.parametrize(
    ("bad", "check"),
    [
        (NEW[:700] + bytes([NEW[700] ^ 0x10]) + NEW[701:], "hash"),
        (images.signed("1.1.0", size=13000, number=1), "signature"),
        (images.signed("1.1.0", size=13000, key=None), "signature"),
        (NEW[:-1], "signature"),
        (NEW[:-150], "format"),
        (images.signed("1.1.0", "--non-bootable", size=13000), "flags"),
        (NEW[:16] + b"\x04" + NEW[17:], "flags"),
        (NEW[:17] + b"\x04" + NEW[18:], "flags"),
    ],
    ids=[
        "flipped bit",
        "other key",
        "unsigned",
        "last byte missing",
        "truncated",
        "not bootable",
        "encrypted",
        "compressed",
    ],
)
def test_a_bad_image_never_runs_and_is_erased(algorithm, bad, check):
    made = device(algorithm, OLD)
    made.upload(bad)
    made.arm()
    report = made.boot()
    refused = next(result for result in report.images[0].checks if not result.ok)
    assert refused.name == check
    assert refused.detail in report.images[0].why[1]
    assert str(report.images[0].running_version) == "1.0.0"
    assert made.shown() == ["0 1.0.0 ac"]
    assert made.boot().images[0].found is SwapType.NONE


def test_a_bad_primary_does_not_run():
    bad = OLD[:700] + bytes([OLD[700] ^ 0x10]) + OLD[701:]
    report = device(Algorithm.SWAP_MOVE, bad).boot()
    assert not report.runs
    assert report.images[0].why[-1].startswith("nothing runs: hash: found")


def test_an_unchecked_primary_runs_if_it_is_an_image_at_all():
    bad = OLD[:700] + bytes([OLD[700] ^ 0x10]) + OLD[701:]
    assert device(Algorithm.SWAP_MOVE, bad, validate_primary=False).boot().runs
    assert not device(Algorithm.SWAP_MOVE, None, validate_primary=False).boot().runs


@pytest.mark.parametrize("algorithm", [*SWAPS, Algorithm.OVERWRITE_ONLY])
@pytest.mark.parametrize(("version", "runs"), [("0.9.0", "1.0.0"), ("1.0.0+7", "1.0.0.7"), ("1.0.1", "1.0.1")])
def test_downgrades_by_version_are_refused_and_equal_versions_are_not(algorithm, version, runs):
    made = device(algorithm, OLD, downgrade=Downgrade.BY_VERSION)
    made.upload(images.signed(version, size=9000, seed=3))
    made.arm(permanent=True)
    assert made.version() == runs


@pytest.mark.parametrize("algorithm", SWAPS)
def test_a_revert_is_no_downgrade(algorithm):
    made = device(algorithm, OLD, downgrade=Downgrade.BY_VERSION)
    made.upload(NEW)
    made.arm()
    assert made.version() == "1.1.0"
    assert made.version() == "1.0.0"


@pytest.mark.parametrize("algorithm", [*SWAPS, Algorithm.OVERWRITE_ONLY])
@pytest.mark.parametrize(("counter", "runs"), [("4", "1.0.0"), ("5", "1.1.0"), ("6", "1.1.0"), (None, "1.0.0")])
def test_downgrades_by_counter(algorithm, counter, runs):
    made = device(algorithm, images.signed("1.0.0", "--security-counter", "5"), downgrade=Downgrade.BY_COUNTER)
    options = () if counter is None else ("--security-counter", counter)
    made.upload(images.signed("1.1.0", *options, seed=3))
    made.arm(permanent=True)
    assert made.version() == runs


def test_the_stored_counter_rises_only_with_the_confirmation():
    made = device(Algorithm.SWAP_MOVE, images.signed("1.0.0", "--security-counter", "5"), rollback_protection=True)
    made.boot()
    assert made.counters == (5,)
    made.upload(images.signed("1.1.0", "--security-counter", "9"))
    made.arm()
    made.boot()
    assert made.counters == (5,)
    made.confirm()
    made.boot()
    assert made.counters == (9,)
    made.upload(images.signed("1.2.0", "--security-counter", "8"))
    made.arm(permanent=True)
    report = made.boot()
    assert str(report.images[0].running_version) == "1.1.0"
    assert "security counter: found 8, expected 9 or more" in report.images[0].why[1]


@pytest.mark.parametrize("algorithm", SWAPS)
def test_when_there_is_nothing_to_go_back_to_the_trial_ends(algorithm):
    made = device(algorithm, OLD)
    made.upload(NEW)
    made.arm()
    made.boot()
    made.flash.erase(made.secondary.offset, 0x1000)
    report = made.boot()
    assert str(report.images[0].running_version) == "1.1.0"
    assert "no image to go back to" in report.images[0].why[2]
    assert made.shown() == ["0 1.1.0 ac"]


def test_an_image_too_large_to_be_exchanged_stays_where_it_is():
    report = device(Algorithm.SWAP_MOVE, images.signed("1.0.0", size=0x7000)).boot()
    assert not report.runs
    assert report.images[0].why[-1].startswith("nothing runs: size")


@pytest.mark.parametrize("algorithm", SWAPS)
def test_without_room_nothing_is_exchanged_and_nothing_is_marked(algorithm):
    """A running image that was programmed larger than can be exchanged, and is not checked."""
    made = device(algorithm, images.signed("1.0.0", size=0x7000), validate_primary=False)
    made.upload(NEW)
    made.arm()
    before = made.flash.read(0, made.layout.geometry.size)
    report = made.boot()
    assert report.images[0].why[1].startswith("not enough room")
    assert report.images[0].done is SwapType.NONE
    assert str(report.images[0].running_version) == "1.0.0"
    assert made.flash.read(0, made.layout.geometry.size) == before


@pytest.mark.parametrize("algorithm", SWAPS)
@pytest.mark.parametrize("option", ["--pad", "--confirm"])
def test_a_padded_image_in_the_primary_is_no_swap_that_was_cut_off(algorithm, option):
    """Programmers write such files: magic good, copy done never set (bootutil `boot_set_next` speaks of them)."""
    padded = images.signed("1.0.0", option, "--max-sectors", "8", size=9000, slot_size=0x8000)
    made = device(algorithm)
    made.flash.write(made.primary.offset, padded)
    report = made.boot()
    assert (str(report.images[0].running_version), report.trial, report.images[0].resumed) == ("1.0.0", False, False)
    assert made.confirm() is (ArmResult.ALREADY if option == "--confirm" else ArmResult.DONE)
    made.upload(NEW)
    made.arm()
    assert made.version() == "1.1.0"
    assert made.version() == "1.0.0"
