"""A device whose images start because they lie there: direct-XIP without revert, and a firmware loader.

Real bytes: an upload is no image until the machine has armed it, and a power cut before starts nothing.
"""

from dataclasses import replace
from typing import Any

import pytest
from tests.device.server_rig import SECTOR, Rig, early, image_hash, make_image, pump

from keyswitch.mcuboot import slots
from keyswitch.mcuboot.config import LoaderEntrance
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.layout import Algorithm, Layout, Slot
from keyswitch.policy.model import ImagePair, Policy

NEW = make_image("1.1.0")
NEWER = make_image("1.2.0", seed=3)
LOADER = make_image("0.3.0", seed=2)
ENOTSUP = {"rc": 8}
NO_FREE_SLOT = {"err": {"group": 1, "rc": 9}}


def policy_of(algorithm: Algorithm) -> Policy:
    made = pump()
    entrance = (LoaderEntrance.BOOT_MODE, LoaderEntrance.NO_APPLICATION)
    loader = algorithm is Algorithm.FIRMWARE_LOADER
    boot = replace(
        made.bootloader, algorithm=algorithm, loader_entrance=entrance if loader else (), loader_gated=loader
    )
    return replace(made, bootloader=boot, update=replace(made.update, trial_deadline_ms=None))


def in_place(policy: Policy | None = None, **how: Any) -> Rig:
    return Rig(policy or policy_of(Algorithm.DIRECT_XIP_NO_REVERT), algorithm=Algorithm.DIRECT_XIP_NO_REVERT, **how)


def updater(**how: Any) -> Rig:
    return Rig(policy_of(Algorithm.FIRMWARE_LOADER), algorithm=Algorithm.FIRMWARE_LOADER, loader=LOADER, **how)


def version(rig: Rig) -> str:
    return str(rig.report.images[0].running_version)


# --- direct-XIP without revert ----------------------------------------------------------------------------------------


def test_upload_reset_and_it_runs_for_good():
    rig = in_place()
    peer = rig.in_maintenance()
    assert rig.read(peer, 0, 8, {"query": "mode"}) == {"mode": 4}
    rig.upload(peer, NEW)
    assert rig.images(peer) == [
        (0, "1.0.0", "bootable confirmed active"),
        (1, "1.1.0", "bootable pending permanent"),
    ]
    assert rig.test(peer, NEW) == ENOTSUP, "as in Zephyr's builds for it: there is nothing to mark"
    rig.reset(peer)
    assert (version(rig), rig.report.active, rig.mode) == ("1.1.0", (1,), "maintenance")
    assert not rig.report.trial
    assert rig.images(rig.peer())[1] == (1, "1.1.0", "bootable confirmed active")
    rig.power_up()
    assert version(rig) == "1.1.0"


@pytest.mark.parametrize("pieces", [1, 2, 4])
def test_a_power_cut_before_the_sessions_own_reset_starts_nothing(pieces: int):
    """After any part of the upload, and after all of it."""
    rig = in_place()
    peer = rig.in_maintenance()
    if pieces == 4:
        rig.upload(peer, NEW)
    else:
        for at in range(pieces):
            data = NEW[1024 * at : 1024 * (at + 1)]
            rig.write(peer, 1, 1, {"off": 1024 * at, "data": data, **({"len": len(NEW)} if at == 0 else {})})
    rig.power_up()
    assert (version(rig), rig.mode) == ("1.0.0", "normal")
    assert len(rig.images(rig.in_maintenance())) == 1


def test_leaving_takes_the_upload_with_it():
    rig = in_place()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.write(peer, 19283, 5, {})
    assert rig.mode == "normal"
    rig.power_up()
    assert version(rig) == "1.0.0"


def test_armed_early_it_lies_there_at_once_and_leaving_erases_its_header():
    rig = in_place(early(policy_of(Algorithm.DIRECT_XIP_NO_REVERT)))
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    assert rig.images(peer)[1] == (1, "1.1.0", "bootable pending permanent")
    assert rig.flash.read(rig.layout.pairs[0].secondary.offset, 32) == NEW[:32]
    rig.write(peer, 19283, 5, {})
    secondary = rig.flash.read(rig.layout.pairs[0].secondary.offset, SECTOR)
    assert secondary == b"\xff" * SECTOR
    rig.power_up()
    assert version(rig) == "1.0.0"


def test_what_is_not_what_its_hash_says_is_never_an_image():
    rig = in_place()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW[:-40] + bytes([NEW[-40] ^ 1]) + NEW[-39:])
    assert len(rig.images(peer)) == 1
    rig.reset(peer)
    assert version(rig) == "1.0.0"


def test_an_image_that_the_permit_does_not_name_is_refused_with_its_last_piece():
    rig = in_place()
    peer = rig.in_maintenance()
    state = rig.server.core.state
    assert state.session is not None
    rig.server.core.state = replace(state, session=replace(state.session, images=frozenset({image_hash(NEWER)})))
    assert rig.write(peer, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:2048]}) == {"off": 2048}
    assert rig.write(peer, 1, 1, {"off": 2048, "data": NEW[2048:4096]}) == {"off": 4096}
    answer = rig.write(peer, 1, 1, {"off": 4096, "data": NEW[4096:]})
    assert (answer["rc"], answer["rsn"]) == (11, "image: not in the permit")
    assert len(rig.images(peer)) == 1
    rig.upload(peer, NEWER)
    assert rig.images(peer)[1][1] == "1.2.0"


def test_a_second_upload_takes_the_place_of_the_first():
    rig = in_place()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.upload(peer, NEWER)
    assert [each[1] for each in rig.images(peer)] == ["1.0.0", "1.2.0"]
    rig.reset(peer)
    assert version(rig) == "1.2.0"
    peer = rig.peer()
    rig.upload(peer, make_image("2.0.0"))
    assert [each[0::2] for each in rig.images(peer)] == [
        (0, "bootable pending permanent"),
        (1, "bootable confirmed active"),
    ]
    rig.reset(peer)
    assert (version(rig), rig.report.active) == ("2.0.0", (0,))


def test_an_older_image_does_not_start_and_the_session_ends_with_the_reset():
    rig = in_place()
    peer = rig.in_maintenance()
    rig.upload(peer, make_image("0.9.0"))
    assert rig.images(peer)[1] == (1, "0.9.0", "bootable")
    rig.reset(peer)
    assert (version(rig), rig.mode) == ("1.0.0", "normal")


def test_erasing_forgets_what_was_to_start():
    rig = in_place()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    assert rig.write(peer, 1, 5, {}) == {}
    assert len(rig.images(peer)) == 1
    rig.reset(peer)
    assert version(rig) == "1.0.0"


# --- several images ---------------------------------------------------------------------------------------------------


def two(policy: Policy | None = None) -> Rig:
    layout = Layout.for_slots(Algorithm.DIRECT_XIP_NO_REVERT, 16 * SECTOR, images=2, sector_size=SECTOR)
    made = policy or policy_of(Algorithm.DIRECT_XIP_NO_REVERT)
    pairs = tuple(ImagePair(slot_size=pair.primary.size, secondary_size=pair.secondary.size) for pair in layout.pairs)
    return Rig(replace(made, bootloader=replace(made.bootloader, images=pairs)), layout=layout)


def upload(rig: Rig, peer: int, image: int, content: bytes) -> list[dict[str, Any]]:
    """What is answered to each piece."""
    pieces = [(at, content[at : at + 1024]) for at in range(0, len(content), 1024)]
    first = {"len": len(content), "image": image}
    return [rig.write(peer, 1, 1, {"off": at, "data": data, **(first if at == 0 else {})}) for at, data in pieces]


def versions(rig: Rig) -> list[str]:
    return [str(each.running_version) for each in rig.report.images]


def test_two_images_wait_for_one_reset_each_with_its_own_header():
    rig = two()
    peer = rig.in_maintenance()
    upload(rig, peer, 0, NEW)
    upload(rig, peer, 1, NEWER)
    waiting = [(each["image"], each["version"]) for each in rig.read(peer, 1, 0)["images"] if each["pending"]]
    assert waiting == [(0, "1.1.0"), (1, "1.2.0")]
    for pair in rig.layout.pairs:
        assert rig.flash.read(pair.secondary.offset, 32) == b"\xff" * 32, "no image before the session's own reset"
    rig.reset(peer)
    assert (versions(rig), rig.mode) == (["1.1.0", "1.2.0"], "maintenance")


def test_an_image_that_is_sent_anew_leaves_the_other_as_it_was():
    rig = two()
    peer = rig.in_maintenance()
    upload(rig, peer, 0, NEW)
    upload(rig, peer, 1, NEW)
    rig.write(peer, 1, 1, {"off": 0, "len": len(NEWER), "image": 0, "data": NEWER[:1024]})  # and never ended
    waiting = [(each["image"], each["version"]) for each in rig.read(peer, 1, 0)["images"] if each["pending"]]
    assert waiting == [(1, "1.1.0")]
    rig.reset(peer)
    assert versions(rig) == ["1.0.0", "1.1.0"]


def test_one_image_for_each_reset_is_refused_with_the_last_piece_of_the_second():
    made = policy_of(Algorithm.DIRECT_XIP_NO_REVERT)
    rig = two(replace(made, update=replace(made.update, simultaneous=False)))
    peer = rig.in_maintenance()
    upload(rig, peer, 0, NEW)
    *_, answer = upload(rig, peer, 1, NEWER)
    assert (answer["rc"], answer["rsn"]) == (10, "busy: an image of another number is pending")
    rig.reset(peer)
    assert versions(rig) == ["1.1.0", "1.0.0"]


def test_power_cut_between_two_headers_starts_the_first_alone_outside_the_session(monkeypatch: pytest.MonkeyPatch):
    written = slots.write_header

    def cut(flash: Flash, layout: Layout, slot: Slot, header: bytes) -> None:
        if slot.image == 0:
            written(flash, layout, slot, header)

    rig = two()
    peer = rig.in_maintenance()
    upload(rig, peer, 0, NEW)
    upload(rig, peer, 1, NEWER)
    monkeypatch.setattr(slots, "write_header", cut)
    rig.reset(peer)
    assert (versions(rig), rig.mode) == (["1.1.0", "1.0.0"], "normal")
    rig.power_up()
    assert (versions(rig), rig.mode) == (["1.1.0", "1.0.0"], "normal")


@pytest.mark.parametrize("ended", ["left", "cut off"])
def test_neither_starts_without_the_sessions_own_reset(ended: str):
    rig = two()
    peer = rig.in_maintenance()
    upload(rig, peer, 0, NEW)
    upload(rig, peer, 1, NEWER)
    if ended == "left":
        rig.write(peer, 19283, 5, {})
    rig.power_up()
    assert (versions(rig), rig.mode) == (["1.0.0", "1.0.0"], "normal")


# --- a firmware loader ------------------------------------------------------------------------------------------------


def in_loader(rig: Rig) -> int:
    """A peer in maintenance, in the loader."""
    peer = rig.in_maintenance()
    assert rig.write(peer, 0, 5, {"boot_mode": 1}) == {}
    rig.wait(250)
    assert version(rig) == "0.3.0"
    assert rig.mode == "normal", "each firmware has a session of its own"
    return rig.in_maintenance()


def test_the_application_cannot_be_updated_while_it_runs():
    rig = updater()
    peer = rig.in_maintenance()
    assert rig.read(peer, 0, 8, {"query": "mode"}) == {"mode": 7}
    assert rig.images(peer) == [(0, "1.0.0", "bootable confirmed active")]
    first = {"off": 0, "len": len(NEW), "data": NEW[:64]}
    assert rig.write(peer, 1, 1, first) == NO_FREE_SLOT
    for slot in ({}, {"slot": 0}, {"slot": 1}):
        assert rig.write(peer, 1, 5, slot) == NO_FREE_SLOT
    (told,) = rig.read(peer, 1, 6)["images"]
    assert told["slots"] == [{"slot": 0, "size": rig.layout.pairs[0].primary.size}]


def test_the_loader_writes_the_one_slot_and_the_application_runs():
    rig = updater()
    peer = in_loader(rig)
    assert rig.images(peer) == [(0, "1.0.0", "bootable pending permanent")], "the loader runs: nothing is active"
    assert rig.write(peer, 1, 5, {"slot": 1}) == NO_FREE_SLOT, "never the loader's own slot"
    rig.upload(peer, NEW)
    assert rig.images(peer) == [(0, "1.1.0", "bootable pending permanent")]
    assert rig.test(peer, NEW) == ENOTSUP
    rig.reset(peer)
    assert (version(rig), rig.mode) == ("1.1.0", "maintenance"), "the session expected this image"
    assert rig.images(rig.peer()) == [(0, "1.1.0", "bootable confirmed active")]


@pytest.mark.parametrize("whole", [False, True])
def test_a_power_cut_in_an_upload_leaves_the_loader(whole: bool):
    rig = updater()
    peer = in_loader(rig)
    if whole:
        rig.upload(peer, NEW)
    else:
        assert rig.write(peer, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:1024]}) == {"off": 1024}
    rig.power_up()
    assert (version(rig), rig.mode) == ("0.3.0", "normal")
    assert rig.report.images[0].why[-2] == "no application may run: the firmware loader is started"
    again = rig.in_maintenance()
    rig.upload(again, NEW)
    rig.reset(again)
    assert version(rig) == "1.1.0"


def test_the_loader_is_entered_in_maintenance_alone_and_for_one_boot():
    rig = updater()
    stranger = rig.peer()
    assert rig.write(stranger, 0, 5, {"boot_mode": 1})["rc"] == 11
    in_loader(rig)
    rig.power_up()
    assert version(rig) == "1.0.0"


def test_without_that_entrance_no_reset_starts_the_loader():
    policy = policy_of(Algorithm.FIRMWARE_LOADER)
    only = replace(policy, bootloader=replace(policy.bootloader, loader_entrance=(LoaderEntrance.PIN,)))
    rig = Rig(only, algorithm=Algorithm.FIRMWARE_LOADER, loader=LOADER)
    assert rig.write(rig.in_maintenance(), 0, 5, {"boot_mode": 1})["rc"] == 3
    swapping = Rig()
    assert swapping.write(swapping.in_maintenance(), 0, 5, {"boot_mode": 1})["rc"] == 3


def test_a_reset_that_was_granted_and_did_not_come_asks_for_nothing():
    rig = updater()
    peer = rig.in_maintenance()
    rig.write(peer, 0, 5, {"boot_mode": 1})
    assert rig.server.loader_asked
    rig.write(peer, 19283, 5, {})
    assert not rig.server.loader_asked


# --- a single slot ----------------------------------------------------------------------------------------------------


def test_with_a_single_slot_nothing_is_sent():
    rig = Rig(policy_of(Algorithm.SINGLE_SLOT), algorithm=Algorithm.SINGLE_SLOT)
    peer = rig.in_maintenance()
    assert rig.read(peer, 0, 8, {"query": "mode"}) == {"mode": 0}
    assert rig.images(peer) == [(0, "1.0.0", "bootable confirmed active")]
    assert rig.write(peer, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:64]}) == NO_FREE_SLOT
    assert rig.write(peer, 1, 5, {}) == NO_FREE_SLOT
    assert rig.write(peer, 1, 5, {"slot": 1}) == {"err": {"group": 1, "rc": 10}}
