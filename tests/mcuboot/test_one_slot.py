"""One slot for the application, alone or beside a firmware loader (boot/zephyr: firmware_loader.c, single_loader.c)."""

import random

import pytest
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.devices import Device, device
from tests.mcuboot.surgery import MUTATIONS
from tests.mcuboot.test_mutations import oracle_accepts

from keyswitch.mcuboot import slots
from keyswitch.mcuboot.config import LoaderEntrance
from keyswitch.mcuboot.layout import Algorithm

OLD = images.signed("1.0.0", size=3000)
NEW = images.signed("1.1.0", size=5000, seed=1)
LOADER = images.signed("0.3.0", size=2000, seed=2)
BAD = NEW[:700] + bytes([NEW[700] ^ 1]) + NEW[701:]

ALWAYS = frozenset(LoaderEntrance)
NOT_WITHOUT = ALWAYS - {LoaderEntrance.NO_APPLICATION}


def updater(
    application: bytes | None = OLD, loader: bytes | None = LOADER, entrances: frozenset[LoaderEntrance] = ALWAYS
) -> Device:
    made = device(Algorithm.FIRMWARE_LOADER, application, loader_entrances=entrances)
    if loader is not None:
        slots.install(made.flash, made.layout, made.secondary, loader)
    return made


def runs(made: Device, *, asked: bool = False) -> tuple[int | None, str]:
    image = made.boot(loader_asked=asked).images[0]
    return image.running_slot, str(image.running_version)


NOTHING = (None, "None")
APPLICATION, IN_LOADER = (0, "1.0.0"), (1, "0.3.0")


@pytest.mark.parametrize("entrances", [ALWAYS, NOT_WITHOUT], ids=["always", "not without"])
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("loader", [LOADER, BAD, None], ids=["good loader", "bad loader", "no loader"])
@pytest.mark.parametrize("application", [OLD, BAD, None], ids=["good application", "bad one", "none"])
def test_what_runs(application, loader, asked, entrances):
    """`boot_go`: the loader if asked for and good; else the application; else, where that is built in, the loader."""
    made = updater(application, loader, entrances)
    before = made.flash.read(0, made.layout.geometry.size)
    expected = NOTHING
    if asked and loader is LOADER:
        expected = IN_LOADER
    elif application is OLD:
        expected = APPLICATION
    elif entrances is ALWAYS and loader is LOADER:
        expected = IN_LOADER
    assert runs(made, asked=asked) == expected
    assert made.flash.read(0, made.layout.geometry.size) == before, "a boot changes nothing, whatever it finds"


def test_the_loader_is_asked_for_once():
    made = updater()
    assert runs(made, asked=True) == IN_LOADER
    assert runs(made) == APPLICATION


def test_the_report_says_why():
    report = updater(BAD).boot().images[0]
    assert report.why[0].startswith("the application does not run: hash: found")
    assert report.why[1:] == (
        "no application may run: the firmware loader is started",
        "runs 0.3.0, the firmware loader",
    )
    assert not report.trial


def test_the_loader_writes_the_one_slot_and_the_upload_is_no_image_before_it_is_made_one():
    made = updater()
    runs(made, asked=True)
    assert slots.upload_slot(made.layout, 0, made.active) == made.primary
    made.upload(NEW)
    assert made.shown() == []
    assert runs(made) == IN_LOADER, "cut off here, the old application is gone and the new one is not there yet"
    made.arm()
    assert made.shown() == ["0 1.1.0 pP"]
    assert runs(made) == (0, "1.1.0")
    assert made.shown() == ["0 1.1.0 ac"]


def test_without_the_entrance_for_it_an_upload_that_was_cut_off_leaves_nothing_that_boots():
    made = updater(entrances=NOT_WITHOUT)
    runs(made, asked=True)
    made.upload(NEW)
    assert runs(made) == NOTHING
    assert runs(made, asked=True) == IN_LOADER, "by its pin the loader still runs"


def test_the_application_has_nothing_to_write_to():
    made = updater()
    runs(made)
    assert slots.upload_slot(made.layout, 0, made.active) is None


def test_what_was_installed_is_taken_back():
    made = updater()
    runs(made, asked=True)
    made.upload(NEW)
    made.arm()
    slots.disarm(made.flash, made.layout, 0, made.active)
    assert runs(made) == IN_LOADER


@pytest.mark.parametrize("beyond", [0, 1])
def test_each_slot_bounds_its_own_image(beyond):
    kind = "ed25519"  # whose signatures all have one length
    application = images.signed("1.0.0", key=kind, size=900)
    made = device(Algorithm.FIRMWARE_LOADER, application, keys=images.keys(kind), loader_entrances=ALWAYS)
    room = made.secondary.size - made.layout.trailer_size
    loader = images.signed("0.3.0", key=kind, size=room - len(images.signed("0.3.0", key=kind, size=0)) + beyond)
    assert len(loader) == room + beyond
    slots.install(made.flash, made.layout, made.secondary, loader)
    assert runs(made, asked=True) == (APPLICATION if beyond else IN_LOADER)


def test_a_stored_counter_is_asked_and_never_raised():
    made = device(Algorithm.SINGLE_SLOT, images.signed("1.0.0", "--security-counter", "5"), rollback_protection=True)
    assert runs(made) == APPLICATION
    assert made.counters == (0,), "boot_go here does not store one"
    made.counters = (6,)
    assert runs(made) == NOTHING


def test_a_single_slot():
    made = device(Algorithm.SINGLE_SLOT, OLD)
    assert runs(made) == APPLICATION
    assert made.shown() == ["0 1.0.0 ac"]
    assert slots.upload_slot(made.layout, 0, made.active) is None
    assert runs(device(Algorithm.SINGLE_SLOT, BAD)) == NOTHING
    assert runs(device(Algorithm.SINGLE_SLOT)) == NOTHING


@pytest.mark.parametrize("slot", [0, 1])
def test_no_mutant_runs_that_imgtool_refuses(slot):
    image = images.signed("1.2.3", size=600, header_size=32)
    chance = random.Random(slot)
    for mutation in MUTATIONS:
        mutant = mutation(image, chance)
        if len(mutant) > 0x7000:
            continue
        made = updater(mutant if slot == 0 else None, mutant if slot == 1 else LOADER)
        found = made.boot(loader_asked=slot == 1).images[0]
        if found.running_slot == slot:
            assert oracle_accepts(mutant, "ecdsa-p256"), mutation.__name__
