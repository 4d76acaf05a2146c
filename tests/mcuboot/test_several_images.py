"""Devices with more than one image, and images that need each other."""

from dataclasses import replace

import pytest
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.devices import BY_TRAILER, SWAPS, Device, device

from keyswitch.mcuboot import slots
from keyswitch.mcuboot.bootloader import boot
from keyswitch.mcuboot.flash import RamFlash
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.mcuboot.power import WatchedFlash
from keyswitch.mcuboot.trailer import SwapType

APP = images.signed("1.0.0", size=3000)
NET = images.signed("5.0.0", size=2000, seed=1)
NEW_APP = images.signed("2.0.0", "--dependencies", "(1, 6.0.0)", size=3500, seed=2)
NEW_NET = images.signed("6.0.0", "--dependencies", "(0, 1.0.0)", size=2500, seed=3)
REVERTING = (*SWAPS, Algorithm.DIRECT_XIP)


def two(algorithm: Algorithm) -> Device:
    made = device(algorithm, APP, images_=2, slot_size=0x4000)
    slots.install(made.flash, made.layout, made.layout.pairs[1].primary, NET)
    made.boot()
    return made


def versions(made: Device) -> list[str]:
    return [str(image.running_version) for image in made.boot().images]


@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_both_images_run(algorithm):
    assert versions(two(algorithm)) == ["1.0.0", "5.0.0"]


@pytest.mark.parametrize("algorithm", SWAPS)
def test_both_are_listed_with_their_slots(algorithm):
    made = two(algorithm)
    made.upload(NEW_NET, image=1)
    made.arm(image=1)
    assert made.shown() == ["0 1.0.0 ac", "2 5.0.0 ac", "3 6.0.0 p"]


@pytest.mark.parametrize("algorithm", REVERTING)
def test_both_are_upgraded_and_given_up_together(algorithm):
    made = two(algorithm)
    for image, new in enumerate((NEW_APP, NEW_NET)):
        made.upload(new, image=image)
        made.arm(image=image)
    assert versions(made) == ["2.0.0", "6.0.0"]
    assert versions(made) == ["1.0.0", "5.0.0"]
    assert versions(made) == ["1.0.0", "5.0.0"]


@pytest.mark.parametrize("algorithm", SWAPS)
def test_an_image_whose_dependency_is_missing_is_held_back(algorithm):
    made = two(algorithm)
    made.upload(NEW_APP)
    made.arm()
    report = made.boot()
    assert [str(image.running_version) for image in report.images] == ["1.0.0", "5.0.0"]
    assert report.images[0].why[1] == "held back: image 0 needs image 1 6.0.0, found image 1 5.0.0"
    # It is not lost: with the other image it goes through.
    made.upload(NEW_NET, image=1)
    made.arm(image=1)
    assert versions(made) == ["2.0.0", "6.0.0"]


def test_in_place_an_image_whose_dependency_is_missing_is_passed_over():
    made = two(Algorithm.DIRECT_XIP)
    made.upload(NEW_APP)
    made.arm()
    report = made.boot()
    assert [str(image.running_version) for image in report.images] == ["1.0.0", "5.0.0"]
    assert "passed over: it needs image 1 6.0.0, found 5.0.0" in report.images[0].why[1]


@pytest.mark.parametrize("algorithm", BY_TRAILER)
def test_a_dependency_on_an_image_that_does_not_exist_is_never_met(algorithm):
    made = two(algorithm)
    made.upload(images.signed("2.0.0", "--dependencies", "(7, 0.0.1)"))
    made.arm(permanent=True)
    assert versions(made) == ["1.0.0", "5.0.0"]


@pytest.mark.parametrize("algorithm", SWAPS)
def test_one_bad_image_does_not_stop_the_other(algorithm):
    made = two(algorithm)
    bad = NEW_NET[:600] + bytes([NEW_NET[600] ^ 1]) + NEW_NET[601:]
    made.upload(images.signed("1.5.0", size=3000))
    made.upload(bad, image=1)
    made.arm()
    made.arm(image=1)
    assert versions(made) == ["1.5.0", "5.0.0"]


@pytest.mark.parametrize("algorithm", SWAPS)
def test_nothing_runs_if_one_image_is_missing(algorithm):
    made = device(algorithm, APP, images_=2)
    report = made.boot()
    assert not report.runs
    assert [image.running_slot for image in report.images] == [0, None]


def after_cuts(made: Device) -> list[list[str]]:
    """The versions that run after the power was lost in this boot, in each way in which it can be."""
    left: dict[bytes, None] = {}
    start = made.flash.read(0, made.layout.geometry.size)
    watched = WatchedFlash(made.layout.geometry, start, lambda leftovers: left.update(dict.fromkeys(leftovers.all())))
    boot(watched, made.config)
    left.pop(watched.content)
    return [versions(Device(RamFlash(made.layout.geometry, content=cut), made.layout, made.config)) for cut in left]


@pytest.mark.parametrize("algorithm", SWAPS)
def test_power_lost_anywhere_in_an_exchange_of_two_images(algorithm):
    """Both end on the same side; no trial is given up because the other image was not exchanged yet."""
    made = two(algorithm)
    for image, new in enumerate((NEW_APP, NEW_NET)):
        made.upload(new, image=image)
        made.arm(image=image)
    found = after_cuts(made)
    assert len(found) > 50
    assert all(versions == ["2.0.0", "6.0.0"] for versions in found)
    made.boot()
    assert all(versions == ["1.0.0", "5.0.0"] for versions in after_cuts(made))


# --- an image that is copied, as nRF5340's network core is ---


def with_network_core(algorithm: Algorithm) -> Device:
    made = two(algorithm)
    layout = replace(made.layout, copied=frozenset({1}))
    return Device(made.flash, layout, replace(made.config, layout=layout))


@pytest.mark.parametrize("algorithm", SWAPS)
def test_a_copied_image_is_on_no_trial_and_does_not_go_back(algorithm):
    made = with_network_core(algorithm)
    for image, new in enumerate((NEW_APP, NEW_NET)):
        made.upload(new, image=image)
        made.arm(image=image)
    assert made.shown() == ["0 1.0.0 ac", "1 2.0.0 p", "3 6.0.0 p"]  # what runs there nobody can read
    report = made.boot()
    assert [(str(image.running_version), image.trial) for image in report.images] == [("2.0.0", True), ("6.0.0", False)]
    assert versions(made) == ["1.0.0", "6.0.0"]
    assert made.shown() == ["0 1.0.0 ac", "1 2.0.0 "]


@pytest.mark.parametrize("algorithm", SWAPS)
def test_power_lost_anywhere_between_an_exchange_and_a_copy(algorithm):
    made = with_network_core(algorithm)
    for image, new in enumerate((NEW_APP, NEW_NET)):
        made.upload(new, image=image)
        made.arm(image=image)
    found = after_cuts(made)
    assert len(found) > 40
    assert all(versions == ["2.0.0", "6.0.0"] for versions in found)


@pytest.mark.parametrize("algorithm", SWAPS)
def test_a_copied_image_is_armed_and_disarmed_by_itself(algorithm):
    made = with_network_core(algorithm)
    made.upload(NEW_NET, image=1)
    assert made.arm(image=1) is slots.ArmResult.DONE
    assert slots.disarm(made.flash, made.layout, 1) is SwapType.NONE
    assert versions(made) == ["1.0.0", "5.0.0"]
    made.upload(NEW_NET, image=1)
    made.arm(image=1)
    assert versions(made) == ["1.0.0", "6.0.0"]
    assert made.confirm(image=1) is slots.ArmResult.ALREADY
