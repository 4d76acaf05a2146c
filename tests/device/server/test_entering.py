"""Entering maintenance over the whole path, by challenge; sequence and permit have a file of their own."""

import pytest
from tests.device.server_rig import Rig, bodies, make_image, packet, pump

from keyswitch.gate.effects import EndConnections, Inhibit, ShowService
from keyswitch.gate.events import ButtonHeld, InputChanged, SelfConfirmed
from keyswitch.proof.challenge import Purpose
from keyswitch.smp.groups import mode
from keyswitch.terms import Transport

NEW = make_image("1.1.0")
MODE = mode.ID


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


def test_state_says_why_the_gate_is_shut():
    rig = Rig()
    peer = rig.peer()
    told = rig.read(peer, MODE, 0)
    assert (told["mode"], told["gate"], told["reason"]) == ("normal", False, "wrong mode: normal")
    assert (len(told["boot_id"]), told["policy"], told["device"]) == (8, rig.policy.digest[:8], "Pump 7")
    assert "lease_ms" not in told
    rig.input("motion", value=True)
    assert rig.read(peer, MODE, 0)["reason"] == "guard: motion == false, is true"
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


ERASE = packet(2, 1, 5, {}, sequence=2)
NOT_THEN = {"rc": 11, "rsn": "wrong mode: normal"}


def test_what_follows_enter_in_one_write_was_asked_too_early():
    rig = Rig()
    peer = rig.peer()
    enter = packet(2, mode.ID, mode.Id.ENTER, {"to": "maintenance", **rig.proof(peer)})
    before = rig.flash.wear
    answers = rig.send(peer, enter + ERASE + ERASE)
    assert [answer.header.sequence for answer in answers] == [1, 2]
    assert "session" in answers[0].body()
    assert answers[1].body() == NOT_THEN
    assert (rig.mode, rig.flash.wear) == ("maintenance", before)
    assert rig.send(peer, ERASE)[0].body() == {}


@pytest.mark.parametrize("how", ["enter", "button"])
def test_what_waited_when_maintenance_began_is_answered_and_not_executed(how: str):
    """Also what waited because its sender took no answers."""
    rig = Rig()
    opener, peer, deaf = rig.peer(), rig.peer(), rig.peer()
    enter = packet(2, mode.ID, mode.Id.ENTER, {"to": "maintenance", **rig.proof(opener)})
    before = rig.flash.wear
    rig.server.hold(deaf, held=True)
    for each in (peer, deaf):
        rig.inbox[each].clear()
        rig.put(each, packet(2, 0, 0, {"d": "allowed in both"}))
        rig.put(each, ERASE)
    if how == "enter":
        rig.server.hold(peer, held=True)  # else its turn comes before
        rig.put(opener, enter)
        rig.run()
    else:
        rig.carry_out(rig.server.event(ButtonHeld(hold_ms=5_000), rig.now_ms))
    assert rig.mode == "maintenance"
    for each in (peer, deaf):
        rig.server.hold(each, held=False)
    rig.run()
    assert [bodies(list(rig.inbox[each])) for each in (peer, deaf)] == [[NOT_THEN, NOT_THEN]] * 2
    assert rig.flash.wear == before


def test_what_waited_when_an_ordinary_mode_changed_is_told_the_mode_now():
    rig = Rig()
    peer = rig.peer()
    rig.put(peer, packet(2, 0, 0, {"d": "allowed in normal"}))
    rig.input("motion", value=True)
    rig.input("motion", value=False)
    rig.run()
    assert bodies(list(rig.inbox[peer])) == [{"rc": 11, "rsn": "wrong mode: active"}]


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
    assert answer.get("rsn") == (
        f"guard: battery_percent >= 30, is {'unknown' if value is None else value}" if guard else None
    )


def test_the_refusal_in_active_mode_names_the_guard():
    rig = Rig()
    peer = bring(rig, "active")
    assert rig.enter(peer) == {"rc": 11, "rsn": "guard: motion == false, is true"}


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
