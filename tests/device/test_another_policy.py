"""New firmware that brings another revision of the policy, and the first firmware with a gate: on the whole server."""

from dataclasses import replace

import pytest
from tests.device.server.test_power_at_the_gate import Left, Watch
from tests.device.server_rig import Rig, image_hash, make_image, pump
from tests.policy.samples import pump_with

from keyswitch.mcuboot import slots
from keyswitch.mcuboot.flash import RamFlash
from keyswitch.policy.model import Policy
from keyswitch.smp.groups import fs, image, mode, os

NEW = make_image("1.1.0", 3000)
DENIED = 11


def revision(*changes: tuple[str, str]) -> Policy:
    return replace(pump_with(*changes), bootloader=pump().bootloader)


REVISED = revision((">= 30", ">= 20"), ("lease_s = 900", "lease_s = 600"), ("deadline_s = 120", "deadline_s = 60"))
RENAMED = revision(("[modes.maintenance]", "[modes.service]"), ('to = "maintenance"', 'to = "service"'))


def updated(policy: Policy) -> Rig:
    """After the update's own reset, from the pump's policy to an image that brings another."""
    rig = Rig(brings={image_hash(NEW): policy})
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.reset(peer)
    return rig


def running(rig: Rig) -> bytes:
    return rig.report.images[0].running_hash


def confirm(rig: Rig, peer: int) -> dict[str, object]:
    return rig.write(peer, image.ID, image.Id.STATE, {"confirm": True})


def stays(rig: Rig) -> bool:
    """Whether the new image is what runs after another reset."""
    rig.power_up()
    return running(rig) == image_hash(NEW)


def test_an_image_that_brings_another_revision_is_confirmed() -> None:
    rig = updated(REVISED)
    peer = rig.peer()
    told = rig.read(peer, mode.ID, mode.Id.STATE)
    assert (told["mode"], told["gate"]) == ("maintenance", True)
    assert told["policy"] == REVISED.digest[: mode.POLICY_SIZE]
    assert told["lease_ms"] == 600_000
    assert "images" in confirm(rig, peer)
    assert rig.write(peer, mode.ID, mode.Id.LEAVE) == {"mode": "normal"}
    assert stays(rig)


def test_its_trial_ends_by_the_shorter_deadline_and_the_old_firmware_is_shut() -> None:
    rig = updated(REVISED)
    rig.wait(59_000)
    assert (running(rig), rig.mode) == (image_hash(NEW), "maintenance")
    rig.wait(1_000)
    # What the new policy wrote for its revert names no image: under the old one it is not taken.
    assert (running(rig), rig.mode) == (image_hash(rig.running), "normal")
    assert not stays(rig)


def test_where_the_new_policy_has_no_such_mode_the_trial_reverts() -> None:
    rig = updated(RENAMED)
    assert (running(rig), rig.mode, rig.report.trial) == (image_hash(rig.running), "normal", False)
    assert not stays(rig)


def test_a_guard_of_the_new_policy_that_does_not_hold_reverts_it() -> None:
    rig = updated(revision((">= 30", ">= 101")))
    assert (running(rig), rig.mode) == (image_hash(rig.running), "normal")


def test_a_record_of_version_1_is_not_taken() -> None:
    """As the firmware of before wrote it: it named the way by its place in the file."""
    rig = Rig()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    arm = rig.server.core.parts.arm

    def writes_version_1(flash, layout, slot, *, permanent):
        written = rig.store.documents["session.json"]["record"]
        rig.store.documents["session.json"]["record"] = {
            "version": 1,
            "policy": written["policy"],
            "mode": "maintenance",
            "way": 4,
            "proof": "challenge",
            "images": None,
            "image": written["expected"],
            "ending": False,
            "token": written["token"],
            "lease_ms": 900_000,
            "lease_max_ms": 3_600_000,
        }
        return arm(flash, layout, slot, permanent=permanent)

    rig.server.core.parts = replace(rig.server.core.parts, arm=writes_version_1)
    rig.reset(peer)
    assert (running(rig), rig.mode) == (image_hash(rig.running), "normal")
    assert "session.json" not in rig.store.documents


@pytest.mark.parametrize("changes", [(), ((">= 30", ">= 20"),)], ids=["the same rules", "revised"])
def test_a_record_of_a_program_that_took_the_bytes_of_the_file_goes_on(changes: tuple[tuple[str, str], ...]) -> None:
    """It is one of another revision: it goes on where its image runs, and nothing else of it is believed."""
    policy = revision(*changes)
    rig = Rig(brings={image_hash(NEW): policy})
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    arm = rig.server.core.parts.arm

    def by_the_files_bytes(flash, layout, slot, *, permanent):
        rig.store.documents["session.json"]["record"]["policy"] = rig.policy.file_digest.hex()
        return arm(flash, layout, slot, permanent=permanent)

    rig.server.core.parts = replace(rig.server.core.parts, arm=by_the_files_bytes)
    rig.reset(peer)
    rig.server.core.parts = replace(rig.server.core.parts, arm=arm)
    peer = rig.peer()
    assert (running(rig), rig.mode) == (image_hash(NEW), "maintenance")
    assert "images" in confirm(rig, peer)
    assert rig.write(peer, mode.ID, mode.Id.LEAVE) == {"mode": "normal"}
    assert stays(rig)


def after_cut(rig: Rig, left: Left) -> Rig:
    """Another device of the same kind, with its firmware, and this in flash and store."""
    content, documents = left
    other = Rig(rig.policy, layout=rig.layout, brings=rig.brings)
    other.flash = RamFlash(rig.layout.geometry, content=content)
    other.store.documents = {name: dict(each) for name, each in documents.items()}
    other.power_up()
    return other


@pytest.mark.parametrize("policy", [REVISED, RENAMED], ids=["revised", "renamed"])
def test_power_lost_at_any_moment_leaves_no_trial_outside_maintenance(policy: Policy) -> None:
    rig = Rig(brings={image_hash(NEW): policy})
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    watch = Watch(rig)
    rig.reset(peer)
    went_on = 0
    for left in watch.left.values():
        after = after_cut(rig, left)
        if running(after) == image_hash(NEW):
            assert (after.mode, after.report.trial) == ("maintenance", True)
            went_on += 1
    assert (went_on > 0) is (policy is REVISED)


# --- the first image with a gate ------------------------------------------------------------------------------------


def ungated(policy: Policy | None = None) -> Rig:
    """Firmware without a gate has brought the first image with one, for a trial; nothing was ever in the store."""
    rig = Rig(policy)
    rig.store.documents.clear()
    slots.install(rig.flash, rig.layout, rig.layout.pairs[0].secondary, NEW)
    slots.arm(rig.flash, rig.layout, rig.layout.pairs[0].secondary, permanent=False)
    return rig


def test_the_first_image_with_a_gate_is_confirmed() -> None:
    rig = ungated()
    rig.power_up()
    peer = rig.peer()
    told = rig.read(peer, mode.ID, mode.Id.STATE)
    assert (told["mode"], told["gate"]) == ("normal", False)
    assert "the first image with this gate is on trial" in told["reason"]
    for group, command in ((image.ID, image.Id.UPLOAD), (image.ID, image.Id.ERASE), (os.ID, os.Id.RESET), (fs.ID, 0)):
        assert rig.write(peer, group, command, {"off": 0, "len": 9, "data": b"x"})["rc"] == DENIED
    refused = rig.write(peer, mode.ID, mode.Id.ENTER, {"to": "maintenance"})
    assert refused["rc"] == DENIED
    assert [flags for _, _, flags in rig.images(peer)] == ["bootable active", "bootable confirmed"]
    other = rig.write(peer, image.ID, image.Id.STATE, {"hash": image_hash(rig.running)})
    assert "images" not in other
    assert "images" in confirm(rig, peer)
    assert rig.read(peer, mode.ID, mode.Id.STATE)["mode"] == "normal"
    assert rig.read(peer, image.ID, image.Id.STATE) != {"rc": DENIED}
    assert rig.write(peer, image.ID, image.Id.STATE, {"confirm": True})["rc"] == DENIED
    assert stays(rig)
    assert "session" in rig.enter(rig.peer())


def test_the_first_trial_reverts_at_its_deadline_and_does_not_come_again() -> None:
    rig = ungated()
    rig.power_up()
    rig.wait(119_999)
    assert running(rig) == image_hash(NEW)
    rig.wait(1)
    assert (running(rig), rig.report.trial) == (image_hash(rig.running), False)
    again = rig.layout.pairs[0].secondary
    slots.install(rig.flash, rig.layout, again, NEW)
    slots.arm(rig.flash, rig.layout, again, permanent=False)
    rig.power_up()
    assert (running(rig), rig.mode) == (image_hash(rig.running), "normal")


def test_a_record_that_was_lost_makes_no_store_blank() -> None:
    rig = ungated()
    rig.power_up()
    confirm(rig, rig.peer())
    assert rig.store.documents == {"gate.json": {"written": True}}
    slots.install(rig.flash, rig.layout, rig.layout.pairs[0].secondary, rig.running)
    slots.arm(rig.flash, rig.layout, rig.layout.pairs[0].secondary, permanent=False)
    rig.power_up()
    assert running(rig) == image_hash(NEW)


def test_power_lost_during_the_first_trial_reverts_it_and_it_happens_once() -> None:
    rig = ungated()
    watch = Watch(rig)
    rig.power_up()
    assert running(rig) == image_hash(NEW)
    trials = 0
    for left in watch.left.values():
        after = after_cut(rig, left)
        on_trial = running(after) == image_hash(NEW)
        assert after.server.core.state.first_trial is on_trial
        assert after.store.documents == {"gate.json": {"written": True}}
        trials += on_trial
        if left[1]:
            assert not on_trial, "the store was marked: that was the one"
    assert trials > 0
