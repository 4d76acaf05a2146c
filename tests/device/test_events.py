"""What the device says has happened: every refusal, proof, entry, lock-out and change of firmware, and nothing else."""

import dataclasses
import json
from typing import get_args

import pytest
from tests.device.server.test_entry_proofs import HOLDER, STRANGER, make_permit, permit_rig, show
from tests.device.server_rig import SECRET, Rig, image_hash, make_image, pump

from keyswitch.device import events
from keyswitch.device.events import DeviceEvent, to_json
from keyswitch.gate.events import ButtonHeld, SelfConfirmed
from keyswitch.policy.enums import ProofKind
from keyswitch.proof.challenge import Purpose
from keyswitch.reasons import Reason
from keyswitch.smp.groups import image, mode, os
from keyswitch.terms import Security, Transport

NEW = make_image("1.1.0")
MAINTENANCE = {"to": "maintenance"}


def happened(rig: Rig) -> list[DeviceEvent]:
    """What has happened since it was asked last."""
    found = [event for output in rig.outputs for event in output.events]
    rig.outputs.clear()
    return found


def udp(peer: int) -> events.By:
    return events.By(peer=peer, transport=Transport.UDP, security=Security.NONE)


def test_a_refused_command_is_told_with_everything_that_is_known_of_it():
    rig = Rig()
    peer = rig.peer()
    happened(rig)
    rig.write(peer, image.ID, image.Id.UPLOAD, {"off": 0})
    rig.input("motion", value=True)
    rig.write(peer, os.ID, os.Id.RESET)
    assert happened(rig) == [
        events.CommandRefused(
            command="image.upload", reason=Reason.WRONG_MODE, detail="normal", mode="normal", by=udp(peer)
        ),
        events.CommandRefused(
            command="os.reset", reason=Reason.WRONG_MODE, detail="active", mode="active", by=udp(peer)
        ),
    ]


def test_a_wrong_proof_and_the_lock_out_after_it_are_told_and_the_secret_is_not():
    rig = Rig()
    peer = rig.peer()
    happened(rig)
    for _ in range(4):
        rig.write(peer, mode.ID, mode.Id.ENTER, {**MAINTENANCE, **rig.proof(peer, secret=bytes(32))})
    rig.write(peer, mode.ID, mode.Id.ENTER, {**MAINTENANCE, **rig.proof(peer)})
    told = happened(rig)
    wrong = [event for event in told if isinstance(event, events.ProofWrong)]
    assert [(each.kind, each.why, each.failures, each.by) for each in wrong] == [
        (ProofKind.CHALLENGE, "another secret", n, udp(peer)) for n in (1, 2, 3, 4)
    ]
    (locked,) = (event for event in told if isinstance(event, events.LockedOut))
    assert (locked.kind, locked.failures) == (ProofKind.CHALLENGE, 4)
    refused = told[-1]
    assert isinstance(refused, events.CommandRefused)
    assert (refused.command, refused.reason) == ("mode.enter", Reason.LOCKED_OUT)
    assert len(told) == 6


@pytest.mark.parametrize(
    ("body", "kind", "why"),
    [
        ({"proof": "challenge", "mac": b"x"}, ProofKind.CHALLENGE, "no nonce was out for this peer and mode"),
        ({"proof": "sequence", "step": 1}, ProofKind.SEQUENCE, "not a proof that is taken here"),
        ({"proof": "magic"}, None, "not a proof that is taken here"),
        ({}, None, "not a proof that is taken here"),
    ],
)
def test_what_was_wrong_with_a_proof_is_for_the_log_alone(body, kind, why):
    rig = Rig()
    peer = rig.peer()
    happened(rig)
    assert rig.write(peer, mode.ID, mode.Id.ENTER, {**MAINTENANCE, **body}) == {"rc": 11, "rsn": "proof"}
    (told,) = happened(rig)
    assert isinstance(told, events.ProofWrong)
    assert (told.kind, told.why, told.purpose) == (kind, why, Purpose.ENTER)


def test_an_entry_says_who_and_how_and_leaving_says_why():
    rig = Rig()
    peer = rig.peer()
    happened(rig)
    rig.enter(peer)
    rig.write(peer, mode.ID, mode.Id.LEAVE)
    entered, left = happened(rig)
    assert entered == events.Entered(
        mode="maintenance",
        before="normal",
        proof=ProofKind.CHALLENGE,
        cause="request",
        permit=None,
        holder=None,
        by=udp(peer),
    )
    assert left == events.Left(mode="maintenance", to="normal", cause="request", by=udp(peer))


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (lambda rig: rig.wait(120_000), "time limit: idle"),
        (lambda rig: rig.input("motion", value=True), "input motion is true"),
        (lambda rig: rig.input("battery_percent", value=None), None),
    ],
)
def test_a_session_that_nobody_ended_says_what_did(end, cause):
    rig = Rig()
    rig.carry_out(rig.server.event(ButtonHeld(hold_ms=5_000), rig.now_ms))
    end(rig)
    told = happened(rig)
    assert told[0].cause == "button held for 5000 ms"
    assert (told[0].proof, told[0].by) == (ProofKind.BUTTON, None)
    assert [(each.cause, each.by) for each in told[1:]] == ([(cause, None)] if cause else [])


def test_an_entry_by_permit_names_permit_and_holder_but_no_key():
    rig = permit_rig()
    peer = rig.peer()
    happened(rig)
    show(rig, peer, make_permit(), holder=STRANGER)
    show(rig, peer, make_permit())
    wrong, entered = happened(rig)
    assert isinstance(wrong, events.ProofWrong)
    assert wrong.why == "holder"
    assert isinstance(entered, events.Entered)
    key = HOLDER.public_key().public_bytes_raw()
    assert entered.permit == "00" * 16
    assert entered.holder is not None
    assert len(entered.holder) == 16
    assert key.hex() not in json.dumps(to_json(entered))


def test_an_update_is_told_step_by_step_and_nothing_of_its_chunks():
    rig = Rig()
    peer = rig.in_maintenance()
    happened(rig)
    rig.upload(peer, NEW)
    for _ in range(20):
        rig.read(peer, os.ID, os.Id.ECHO, {"d": "x"})
    rig.test(peer, NEW)
    rig.reset(peer)
    assert [each.NAME for each in happened(rig)] == [
        "upload-began",
        "upload-done",
        "image-armed",
        "reset-granted",
        "session-resumed",
    ]
    back = rig.peer()
    rig.write(back, image.ID, image.Id.STATE, {"hash": image_hash(NEW), "confirm": True})
    assert happened(rig) == [events.ImageConfirmed(image=0, hash=image_hash(NEW).hex(), by=udp(back))]


def test_leaving_with_an_armed_image_says_that_it_is_armed_no_more():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    happened(rig)
    rig.write(peer, mode.ID, mode.Id.LEAVE)
    disarmed, left = happened(rig)
    assert disarmed == events.ImageDisarmed(image=0, hash=image_hash(NEW).hex(), cause="request")
    assert isinstance(left, events.Left)


def test_erasing_a_slot_and_setting_the_clock_are_told():
    rig = Rig()
    peer = rig.in_maintenance()
    happened(rig)
    rig.write(peer, image.ID, image.Id.ERASE, {})
    rig.write(peer, os.ID, os.Id.DATETIME, {"datetime": "2027-01-20T08:00:00"})
    assert happened(rig) == [
        events.SlotErased(image=0, slot=1, by=udp(peer)),
        events.ClockSet(to="2027-01-20T08:00:00", by=udp(peer)),
    ]


def test_a_button_and_an_application_that_are_refused_are_told():
    rig = Rig()
    rig.input("motion", value=True)
    happened(rig)
    rig.carry_out(rig.server.event(ButtonHeld(hold_ms=5_000), rig.now_ms))
    rig.carry_out(rig.server.event(SelfConfirmed(), rig.now_ms))
    assert [(each.act, each.reason) for each in happened(rig)] == [
        ("button", Reason.WRONG_MODE),
        ("confirm", Reason.IMAGE),
    ]


def test_requests_that_a_change_of_mode_has_dropped_are_told_as_refused():
    rig = Rig()
    peer = rig.in_maintenance()
    happened(rig)
    for _ in range(2):
        rig.put(peer, bytes.fromhex("0200000100010101a0"))  # image.upload, an empty map
    rig.input("motion", value=True)
    refused = [each for each in happened(rig) if isinstance(each, events.CommandRefused)]
    assert [each.command for each in refused] == ["image.upload"] * 2


def test_every_event_is_plain_json_with_a_name_of_its_own_and_the_secret_nowhere():
    kinds = get_args(DeviceEvent)
    assert len({kind.NAME for kind in kinds}) == len(kinds)
    rig = Rig(pump())
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    text = json.dumps([to_json(event) for event in happened(rig)])
    assert SECRET.hex() not in text
    assert rig.server.core.token.hex() not in text
    assert all(dataclasses.is_dataclass(kind) for kind in kinds)


def test_what_a_peer_says_is_shortened_and_cannot_move_a_cursor():
    rig = Rig()
    peer = rig.peer()
    happened(rig)
    rig.write(peer, mode.ID, mode.Id.ENTER, {"to": "maintenance", "proof": "\x1b[2J"})
    assert "\x1b" not in json.dumps([to_json(each) for each in happened(rig)], ensure_ascii=False)
