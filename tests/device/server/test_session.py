"""The session across the update's own reset, and whose it is meanwhile."""

from dataclasses import replace

import pytest
from tests.device.server_rig import Rig, image_hash, pump
from tests.device.ways_to_leave import MODE, NEW, assert_shut, leave_by_guard, leave_by_idling, leave_by_request

from keyswitch.mcuboot.slots import disarm
from keyswitch.policy.enums import SessionRule
from keyswitch.smp.groups import mode
from keyswitch.terms import Transport


def update(rig: Rig, peer: int, content: bytes = NEW) -> int:
    rig.upload(peer, content)
    rig.test(peer, content)
    rig.reset(peer)
    return rig.peer()


def test_the_session_survives_the_updates_own_reset():
    rig = Rig()
    peer = rig.in_maintenance()
    token = rig.server.core.token
    rig.wait(10_000)
    peer = update(rig, peer)
    told = rig.read(peer, MODE, 0)
    assert (told["mode"], told["gate"]) == ("maintenance", True)
    assert told["lease_ms"] == 900_000 - 10_000 - 250
    assert rig.server.core.token == token
    assert "session.json" not in rig.store.documents, "single use"
    assert "images" in rig.write(peer, 1, 0, {"confirm": True})
    rig.write(peer, MODE, 5)
    rig.power_up()
    assert rig.report.images[0].running_hash == image_hash(NEW)
    assert rig.mode == "normal"


def test_an_unconfirmed_trial_reverts_at_its_deadline_still_in_maintenance():
    rig = Rig()
    peer = update(rig, rig.in_maintenance())
    rig.wait(60_000)
    rig.read(peer, 0, 6)
    rig.wait(60_000)
    assert rig.report.images[0].running_hash == image_hash(rig.running)
    assert (rig.mode, rig.resets) == ("maintenance", 2)
    assert rig.read(rig.peer(), MODE, 0)["lease_ms"] == 900_000 - 250 - 120_000


@pytest.mark.parametrize("leave", [leave_by_request, leave_by_guard, leave_by_idling], ids=lambda way: way.__name__)
def test_leaving_during_a_trial_reverts_first(leave):
    rig = Rig()
    peer = update(rig, rig.in_maintenance())
    leave(rig, peer)
    assert rig.report.images[0].running_hash == image_hash(rig.running)
    assert rig.report.images[0].reverted
    rig.input("motion", value=False)
    if leave is leave_by_idling:
        rig.wait(120_000)  # the trial's own deadline came first; the session is idle after it
    assert_shut(rig)


def test_another_reset_than_the_updates_ends_the_session():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.reset(peer)
    assert (rig.mode, rig.resets) == ("normal", 1)


def test_an_image_changed_behind_the_arming_is_not_started():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    slot = rig.layout.pairs[0].secondary
    rig.flash.erase(slot.offset, 1024)
    rig.reset(peer)
    assert (rig.mode, rig.resets) == ("maintenance", 0)
    assert "session.json" not in rig.store.documents
    assert "slot" in str(rig.read(peer, 1, 0))
    assert disarm(rig.flash, rig.layout, 0).name == "NONE"


# --- owners ---


def test_one_upload_has_one_owner_and_nobody_elses_mistake_touches_it():
    rig = Rig()
    owner, other = rig.in_maintenance(), rig.peer(Transport.SERIAL)
    first = {"off": 0, "len": len(NEW), "data": NEW[:64], "sha": bytes(32)}
    assert rig.write(owner, 1, 1, first) == {"off": 64}
    busy = {"rc": 10, "rsn": "busy: another peer is uploading"}
    for body in (first, {"off": 64, "data": NEW[64:100]}, {"off": 64, "data": bytes(6000 - 3600)}, {"data": b"x"}):
        assert rig.write(other, 1, 1, body) == busy
    assert rig.write(other, 1, 5, {}) == busy
    assert rig.write(other, 1, 1, {"off": "x"}) == {"rc": 3}
    assert rig.write(owner, 1, 1, {"off": 64, "data": NEW[64:100]}) == {"off": 100}


@pytest.mark.parametrize("resume", [True, False])
def test_an_upload_whose_owner_has_gone_is_whoever_takes_it_up(resume):
    rig = Rig()
    owner = rig.in_maintenance()
    first = {"off": 0, "len": len(NEW), "data": NEW[:64], "sha": bytes(32)}
    rig.write(owner, 1, 1, first)
    rig.gone(owner)
    heir, other = rig.peer(), rig.peer()
    answer = rig.write(heir, 1, 1, first if resume else {"off": 64, "data": NEW[64:100]})
    assert answer == ({"off": 64} if resume else {"off": 100})
    assert rig.write(other, 1, 1, first)["rc"] == 10


def test_the_state_characteristic():
    rig = Rig()
    value = rig.server.state_value(rig.now_ms)
    assert (value.mode_index, value.flags, value.lease_s) == (0, mode.StateFlags(0), 0)
    peer = rig.in_maintenance()
    rig.wait(1)
    value = rig.server.state_value(rig.now_ms)
    assert (value.mode_index, value.lease_s, value.token) == (3, 900, rig.server.core.token)
    assert value.flags == mode.StateFlags.GATE_OPEN | mode.StateFlags.LEASED
    update(rig, peer)
    assert mode.StateFlags.TRIAL in rig.server.state_value(rig.now_ms).flags


# --- idleness ---

NO_USE = {
    "malformed": lambda rig, peer: rig.write(peer, 1, 1, {"off": "no number"}),
    "a command's own error": lambda rig, peer: rig.write(peer, 1, 0, {"hash": bytes(32)}),
    "refused": lambda rig, peer: rig.write(peer, 3, 0, {"name": "x", "val": b""}),
    "unknown": lambda rig, peer: rig.read(peer, 60, 0),
    "asking": lambda rig, peer: rig.read(peer, MODE, 0),
}


@pytest.mark.parametrize("what", NO_USE)
def test_what_was_not_executed_does_not_keep_maintenance_open(what):
    rig = Rig()
    peer = rig.in_maintenance()
    rig.wait(119_000)
    NO_USE[what](rig, peer)
    rig.wait(1_000)
    assert rig.mode == "normal"


def test_what_was_executed_keeps_maintenance_open():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.wait(119_000)
    assert rig.write(peer, 0, 0, {"d": "x"}) == {"r": "x"}
    rig.wait(119_999)
    assert rig.mode == "maintenance"
    rig.wait(1)
    assert rig.mode == "normal"


def test_in_an_owned_session_a_strangers_echo_does_not_keep_maintenance_open():
    policy = pump()
    modes = {**policy.modes, "maintenance": replace(policy.modes["maintenance"], session=SessionRule.OWNER)}
    rig = Rig(replace(policy, modes=modes))
    rig.in_maintenance()
    rig.wait(119_000)
    rig.write(rig.peer(Transport.UDP), 0, 0, {"d": "x"})
    rig.wait(1_000)
    assert rig.mode == "normal"
