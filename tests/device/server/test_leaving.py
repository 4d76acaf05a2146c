"""Leaving maintenance by every way: nothing that began in it continues outside it."""

import pytest
from tests.device.server_rig import Rig, bodies, early, image_hash, packet, pump
from tests.device.ways_to_leave import (
    MODE,
    NEW,
    WAYS,
    assert_shut,
    by_every_way,
    leave_by_battery,
    leave_by_guard,
    leave_by_idling,
    leave_by_lease,
    leave_by_power_cut,
)


@by_every_way
def test_an_upload_does_not_outlive_maintenance(leave):
    rig = Rig()
    peer = rig.in_maintenance()
    rig.write(peer, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:2000], "sha": bytes(32)})
    leave(rig, peer)
    if leave is not leave_by_power_cut:
        assert bodies(rig.send(peer, packet(2, 1, 1, {"off": 2000, "data": NEW[2000:3000]})))[0]["rc"] == 11
    assert_shut(rig)
    peer = rig.in_maintenance() if rig.mode == "normal" else None
    if peer is not None:
        assert rig.write(peer, 1, 1, {"off": 2000, "data": NEW[2000:3000]}) == {"off": 0}
        assert rig.images(peer) == [(0, "1.0.0", "bootable confirmed active")]


# A power cut after early arming starts the image: the prover reports it, and what becomes of it is shown below.
ARMED = [(pump(), leave) for leave in WAYS] + [(early(pump()), leave) for leave in WAYS[:-1]]


@pytest.mark.parametrize(("policy", "leave"), ARMED, ids=[f"{p.update.arm}-{way.__name__}" for p, way in ARMED])
@pytest.mark.parametrize("permanent", [False, True])
def test_an_image_marked_for_the_next_boot_does_not_start_outside(leave, policy, permanent):
    rig = Rig(policy)
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    assert rig.test(peer, NEW, confirm=permanent)["images"][1]["pending"]
    leave(rig, peer)
    assert_shut(rig)
    assert rig.report.images[0].running_hash == image_hash(rig.running)


def test_a_power_cut_after_early_arming_does_not_leave_a_trial_running():
    rig = Rig(early(pump()))
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.power_up()
    assert rig.resets == 1, "the trial was started outside a session: the device resets, and the bootloader reverts"
    assert rig.report.images[0].running_hash == image_hash(rig.running)
    assert rig.mode == "normal"


@by_every_way
def test_a_granted_reset_does_not_outlive_maintenance(leave):
    rig = Rig()
    peer = rig.in_maintenance()
    if leave in {leave_by_lease, leave_by_idling}:
        rig.wait(119_900)
        for _ in range(7 if leave is leave_by_lease else 0):
            rig.send(peer, packet(0, 0, 6))
            rig.wait(111_428)
    assert rig.write(peer, 0, 5, {}) == {}
    resets = rig.resets
    leave(rig, peer)
    rig.wait(1_000)
    assert rig.resets == resets or leave in {leave_by_lease, leave_by_idling}
    assert_shut(rig)


def test_leave_and_upload_in_one_write():
    rig = Rig()
    peer = rig.in_maintenance()
    upload = packet(2, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:64]}, sequence=2)
    answers = rig.send(peer, packet(2, MODE, 5) + upload)
    assert bodies(answers) == [{"mode": "normal"}, {"rc": 11, "rsn": "wrong mode: normal"}]
    assert [answer.header.sequence for answer in answers] == [1, 2]
    assert_shut(rig)


def test_requests_that_waited_when_maintenance_ended_are_refused_not_executed():
    rig = Rig()
    peer, other = rig.in_maintenance(), rig.peer()
    rig.put(peer, packet(2, MODE, 5, sequence=1))
    rig.put(peer, packet(2, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:64]}, sequence=2))
    rig.put(peer, packet(2, 0, 0, {"d": "allowed in normal too"}, sequence=3))
    rig.put(other, packet(2, 1, 5, {}, sequence=4))
    rig.run()
    told = {answer.header.sequence: answer.body() for box in rig.inbox.values() for answer in box}
    refused = {"rc": 11, "rsn": "wrong mode: normal"}
    assert told[1] == {"mode": "normal"}
    assert [told[2], told[3]] == [refused, refused]
    assert told[4] in (refused, {}), "the other peer's turn may have come first"
    assert_shut(rig)


@pytest.mark.parametrize("leave", [leave_by_guard, leave_by_battery])
def test_a_guard_that_turns_false_drops_what_waits(leave):
    rig = Rig()
    peer = rig.in_maintenance()
    rig.put(peer, packet(2, 1, 5, {}))
    before = rig.flash.wear
    leave(rig, peer)
    assert rig.inbox[peer][-1].body()["rc"] == 11
    rig.run()
    assert rig.flash.wear == before


def test_a_time_limit_that_is_due_comes_before_the_frame():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.put(peer, packet(2, 1, 5, {}))
    rig.now_ms += 120_000
    output = rig.server.run_one(rig.now_ms)
    assert output is not None
    refusal = bytes.fromhex("bf6272630b6372736e72") + b"wrong mode: normal\xff"
    assert [answer.packet[8:] for answer in output.answers] == [refusal]
    assert rig.mode == "normal"


def test_served_commands_keep_the_session_awake_and_questions_do_not():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.wait(119_999)
    rig.read(peer, 0, 6)
    rig.wait(119_999)
    assert rig.mode == "maintenance"
    rig.read(peer, MODE, 0)
    rig.wait(1)
    assert rig.mode == "normal"
