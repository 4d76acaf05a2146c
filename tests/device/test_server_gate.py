"""The gate over the whole path: every command in every mode, and every way that something could slip through."""

import pytest
from tests.device.server_rig import SECRET, Rig, bodies, early, image_hash, make_image, packet, pump

from keyswitch.gate.effects import EndConnections, Inhibit, ShowService
from keyswitch.gate.events import ButtonHeld, InputChanged, SelfConfirmed
from keyswitch.gate.peer import Door
from keyswitch.mcuboot.flash import NRF52840_TIMES
from keyswitch.mcuboot.slots import disarm
from keyswitch.proof.challenge import Purpose
from keyswitch.smp.commands import ALL_KEYS, COMMANDS, resolve
from keyswitch.smp.groups import mode
from keyswitch.terms import Transport

NEW = make_image("1.1.0")
MODE = mode.ID
MODES = ("normal", "active", "pairing", "maintenance")

ALLOWED = {
    "normal": resolve("os.echo") | resolve("os.params") | resolve("image.state:read") | resolve("mode"),
    "active": resolve("mode"),
    "pairing": resolve("mode"),
    "maintenance": resolve("os") | resolve("image") | resolve("mode"),
}


def bring(rig: Rig, to: str) -> int:
    """A peer, and the device in the mode."""
    if to == "maintenance":
        return rig.in_maintenance()
    if to == "active":
        rig.input("motion", value=True)
    if to == "pairing":
        rig.carry_out(rig.server.event(ButtonHeld(hold_ms=2_000), rig.now_ms))
    assert rig.mode == to
    return rig.peer()


@pytest.mark.parametrize("transport", Transport)
@pytest.mark.parametrize("name", MODES)
def test_every_command_in_every_mode(name: str, transport: Transport):
    for key in sorted(ALL_KEYS):
        rig = Rig()
        bring(rig, name)
        peer = rig.peer(transport)
        before = rig.flash.read(0, rig.flash.geometry.size)
        assert rig.mode == name
        answers = bodies(rig.send(peer, packet(key.op, key.group, key.id, {})))
        if key in ALLOWED[name] and key.group == MODE:
            assert answers[0].get("rc") in {None, 3, 11}, "its own word, not the gate's"
            assert key.id > 1 or "mode" in answers[0] or answers == [{"rc": 3}]
        elif key in ALLOWED[name]:
            assert answers[0].get("rc") not in {8, 10, 11}, (name, key)
        else:
            assert answers == [{"rc": 11, "rsn": f"wrong mode: {name}"}], (name, key)
            assert rig.mode == name
            assert rig.flash.read(0, rig.flash.geometry.size) == before
            assert rig.server.core.state.arming is None
            assert rig.server.next_due_ms() is None or name in {"pairing", "maintenance"}


@pytest.mark.parametrize("name", MODES)
def test_unknown_commands_are_unknown_in_every_mode(name: str):
    rig = Rig()
    peer = bring(rig, name)
    for group in (*range(70), MODE, 0xFFFF):
        for command in (*range(12), 99, 255):
            for op in (0, 2):
                if (group, command, op) not in ALL_KEYS:
                    assert bodies(rig.send(peer, packet(op, group, command, {}))) == [{"rc": 8}], (group, command, op)


@pytest.mark.parametrize("name", MODES)
def test_the_mode_service_serves_nothing_else(name: str):
    rig = Rig()
    peer = bring(rig, name)
    for group, command in COMMANDS:
        for op in COMMANDS[group, command].ops:
            answers = bodies(rig.send(peer, packet(op, group, command, {}), Door.MODE))
            if group != MODE:
                assert answers == [{"rc": 11, "rsn": "not on this service"}]
    assert rig.read(peer, MODE, 0, door=Door.MODE)["mode"] in MODES


def test_answers_go_out_by_the_door_they_came_in():
    rig = Rig()
    peer = rig.peer(Transport.BLE)
    rig.put(peer, packet(0, MODE, 0), Door.MODE)
    rig.put(peer, packet(0, MODE, 0), Door.SMP)
    doors = [answer.door for _ in range(2) for answer in rig.carry_out(rig.server.run_one(rig.now_ms)).answers]
    assert doors == [Door.MODE, Door.SMP]


# --- entering ---


def test_state_says_why_the_gate_is_shut():
    rig = Rig()
    peer = rig.peer()
    told = rig.read(peer, MODE, 0)
    assert (told["mode"], told["gate"], told["reason"]) == ("normal", False, "wrong mode: normal")
    assert (len(told["boot_id"]), told["policy"]) == (8, rig.policy.digest[:8])
    assert "lease_ms" not in told
    rig.input("motion", value=True)
    assert rig.read(peer, MODE, 0)["reason"] == "guard: motion == false"
    rig.input("motion", value=False)
    rig.enter(peer)
    told = rig.read(peer, MODE, 0)
    assert (told["mode"], told["gate"], told["lease_ms"]) == ("maintenance", True, 900_000)
    assert "reason" not in told


def test_entering_by_challenge():
    rig = Rig()
    peer = rig.peer()
    asked = rig.read(peer, MODE, 1, {"to": "maintenance"})
    assert (len(asked["nonce"]), asked["device"], asked["proofs"]) == (16, "Pump 7", ["challenge"])
    answer = rig.enter(peer)
    assert answer == {"session": rig.server.core.token, "reconnect": False, "lease_ms": 900_000}
    assert rig.server.beacon() == mode.Beacon(mode_index=3, token=answer["session"])
    assert rig.modes_told == ["normal", "maintenance"]
    told = [effect for output in rig.outputs for effect in output.effects]
    assert Inhibit(names=frozenset({"motion"})) in told
    assert ShowService(shown=True) in told


def test_entering_again_after_a_lost_answer():
    rig = Rig()
    peer = rig.peer()
    body = {"to": "maintenance", **rig.proof(peer)}
    first = rig.write(peer, MODE, 2, body)
    rig.wait(1_000)
    assert rig.write(peer, MODE, 2, body) == first | {"lease_ms": 899_000}
    assert rig.enter(peer) == first | {"lease_ms": 899_000}


def test_entering_over_a_connection_ends_it_after_the_answer():
    rig = Rig()
    peer = rig.peer(Transport.BLE)
    rig.put(peer, packet(2, MODE, 2, {"to": "maintenance", **rig.proof(peer)}))
    output = rig.server.run_one(rig.now_ms)
    assert output is not None
    assert [answer.peer for answer in output.answers] == [peer]
    assert EndConnections(peers=frozenset({peer}), after_answer=True) in output.effects
    assert not any(isinstance(effect, ShowService) for effect in output.effects)
    gone = rig.server.peer_gone(peer, rig.now_ms)
    assert gone.effects == (ShowService(shown=True),)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"proof": "challenge"},
        {"proof": "challenge", "mac": bytes(32)},
        {"proof": "challenge", "mac": "text"},
        {"proof": "challenge", "mac": b""},
        {"proof": "button"},
        {"proof": "permit"},
        {"proof": "sequence", "step": 1},
        {"proof": 5},
        {"proof": None},
    ],
    ids=str,
)
def test_wrong_proofs(body):
    rig = Rig()
    peer = rig.peer()
    rig.read(peer, MODE, 1, {"to": "maintenance"})
    answer = rig.write(peer, MODE, 2, {"to": "maintenance", **body})
    assert answer == {"rc": 11, "rsn": "proof"}
    assert rig.mode == "normal"


def test_a_proof_is_for_one_peer_one_nonce_one_purpose_once():
    rig = Rig()
    peer, other = rig.peer(), rig.peer()
    body = {"to": "maintenance", **rig.proof(peer)}
    assert rig.write(other, MODE, 2, body)["rsn"] == "proof", "another peer's"
    rig.read(peer, MODE, 1, {"to": "maintenance"})
    assert rig.write(peer, MODE, 2, body)["rsn"] == "proof", "an older nonce's"
    body = {"to": "maintenance", **rig.proof(peer, purpose=Purpose.ATTACH)}
    assert rig.write(peer, MODE, 2, body)["rsn"] == "proof", "attaching"
    rig.wait(400_000)
    body = {"to": "maintenance", **rig.proof(peer)}
    rig.wait(30_000)
    assert rig.write(peer, MODE, 2, body)["rsn"] == "proof", "too late"
    assert rig.mode == "normal"


def test_replay_after_leaving():
    rig = Rig()
    peer = rig.peer()
    body = {"to": "maintenance", **rig.proof(peer)}
    rig.write(peer, MODE, 2, body)
    rig.write(peer, MODE, 5)
    assert rig.write(peer, MODE, 2, body) == {"rc": 11, "rsn": "proof"}


@pytest.mark.parametrize(("value", "guard"), [(29, True), (30, False), (31, False), (None, True)])
def test_guards_at_their_limit(value, guard):
    rig = Rig()
    rig.input("battery_percent", value)
    answer = rig.enter(rig.peer())
    assert answer.get("rsn") == ("guard: battery_percent >= 30" if guard else None)


def test_the_refusal_in_active_mode_names_the_guard():
    rig = Rig()
    peer = bring(rig, "active")
    assert rig.enter(peer) == {"rc": 11, "rsn": "guard: motion == false"}


@pytest.mark.parametrize("to", ["normal", "elsewhere", ""])
def test_no_way_leads_there(to: str):
    rig = Rig()
    peer = rig.peer()
    assert rig.read(peer, MODE, 1, {"to": to}) == {"rc": 11, "rsn": "wrong mode: normal"}
    assert rig.write(peer, MODE, 2, {"to": to})["rc"] == 11
    assert rig.read(peer, MODE, 1, {}) == {"rc": 3}
    assert rig.read(peer, MODE, 1, {"to": 5}) == {"rc": 3}
    assert rig.write(peer, MODE, 2, {}) == {"rc": 3}


def test_wrong_proofs_are_slowed_also_across_a_reset_and_the_button_never():
    rig = Rig()
    peer = rig.peer()
    for _ in range(3):
        assert rig.write(peer, MODE, 2, {"to": "maintenance", **rig.proof(peer, secret=bytes(32))})["rsn"] == "proof"
    assert rig.store.documents["counters.json"] == {"lockout": {"challenge": 3}}
    assert rig.write(peer, MODE, 2, {"to": "maintenance", **rig.proof(peer, secret=bytes(32))})["rsn"] == "proof"
    assert rig.enter(peer) == {"rc": 11, "rsn": "locked out: for 1000 ms"}
    rig.wait(999)
    assert rig.enter(peer) == {"rc": 11, "rsn": "locked out: for 1 ms"}
    rig.power_up()
    peer = rig.peer()
    assert rig.enter(peer)["rsn"] == "locked out: for 1000 ms"
    rig.carry_out(rig.server.event(ButtonHeld(hold_ms=5_000), rig.now_ms))
    assert rig.mode == "maintenance"
    rig.write(peer, MODE, 5)
    rig.wait(1_000)
    assert "session" in rig.enter(peer)
    assert "counters.json" not in rig.store.documents


def test_attach_gives_the_session_to_its_owners_new_connection():
    policy = pump()
    rig = Rig(policy)
    peer = rig.in_maintenance()
    rig.gone(peer)
    back = rig.peer()
    assert rig.write(back, MODE, 3, rig.proof(back)) == {"rc": 11, "rsn": "proof"}, "made for entering"
    assert rig.write(back, MODE, 3, rig.proof(back, purpose=Purpose.ATTACH)) == {"lease_ms": 900_000}
    assert rig.server.core.state.session.owner == back
    rig.write(back, MODE, 5)
    assert rig.write(back, MODE, 3, {"proof": "challenge"}) == {"rc": 11, "rsn": "wrong mode: normal"}


def test_extending_and_its_limit():
    rig = Rig()
    peer = rig.in_maintenance()
    for minute in range(1, 60):
        rig.wait(60_000)
        answer = rig.write(peer, MODE, 4)
        assert answer == {"lease_ms": min(900_000, 3_600_000 - minute * 60_000)}
    rig.wait(60_000)
    assert rig.mode == "normal"
    assert rig.write(peer, MODE, 4)["rc"] == 11


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (ButtonHeld(hold_ms=1_999), "wrong mode: normal"),
        (InputChanged(name="colour", value=1), "guard: no input colour that can be 1"),
        (SelfConfirmed(), "image: only the operator confirms"),
    ],
)
def test_what_the_machine_refuses_at_the_panel_is_said(event, reason: str):
    rig = Rig()
    output = rig.server.event(event, rig.now_ms)
    assert output.refused is not None
    assert (output.refused.text, bool(output)) == (reason, False)
    assert rig.input("motion", value=True).refused is None


# --- leaving, by every way ---


def leave_by_request(rig: Rig, peer: int) -> None:
    rig.write(peer, MODE, 5)


def leave_by_lease(rig: Rig, peer: int) -> None:
    for _ in range(10):
        rig.wait(90_000)
        if rig.mode == "maintenance":
            rig.send(peer, packet(0, 0, 6))


def leave_by_idling(rig: Rig, _peer: int) -> None:
    rig.wait(120_000)


def leave_by_guard(rig: Rig, _peer: int) -> None:
    rig.input("motion", value=True)


def leave_by_battery(rig: Rig, _peer: int) -> None:
    rig.input("battery_percent", 29)


def leave_by_power_cut(rig: Rig, _peer: int) -> None:
    rig.power_up()


WAYS = [leave_by_request, leave_by_lease, leave_by_idling, leave_by_guard, leave_by_battery, leave_by_power_cut]
by_every_way = pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)


def assert_shut(rig: Rig) -> None:
    assert rig.mode in {"normal", "active"}
    core = rig.server.core
    assert (core.upload, core.state.upload, core.state.arming, core.state.session) == (None, None, None, None)
    assert core.queues.depth() == 0
    assert rig.store.documents.get("session.json") is None
    running = rig.report.images[0].running_hash
    rig.wait(10_000)
    rig.power_up()
    assert rig.report.images[0].running_hash == running
    peer = rig.peer()
    assert rig.write(peer, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:64]})["rc"] == 11


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


# --- the update's own reset ---


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
    assert rig.store.documents == {}
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


def test_flash_work_is_reported():
    rig = Rig(times=NRF52840_TIMES)
    peer = rig.in_maintenance()
    rig.put(peer, packet(2, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:64]}))
    output = rig.server.run_one(rig.now_ms)
    assert output is not None
    sectors = rig.layout.trailer_sectors + 1
    assert output.flash_us == sectors * 85_000 + 16 * 41
    assert rig.server.run_one(rig.now_ms) is None


def test_the_secret_is_needed():
    rig = Rig()
    assert SECRET not in repr(rig.server.core.state).encode()
    peer = rig.peer()
    assert rig.write(peer, MODE, 2, {"to": "maintenance", **rig.proof(peer, secret=SECRET[::-1])})["rsn"] == "proof"


def test_status_for_the_panel():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    told = rig.server.status(rig.now_ms)
    assert (told["mode"], told["lease_ms"], told["gate"]) == ("maintenance", 900_000, "open")
    assert told["running"] == {"version": "1.0.0", "hash": image_hash(rig.running).hex()}
    assert [(slot["slot"], slot["pending"], slot["hash"]) for slot in told["slots"]] == [
        (0, False, image_hash(rig.running).hex()),
        (1, True, image_hash(NEW).hex()),
    ]
    rig.write(peer, MODE, 5)
    assert (rig.server.status(rig.now_ms)["gate"], rig.server.status(rig.now_ms)["lease_ms"]) == ("shut", None)


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
