"""The one door: every mode, every known command, every peer that differs."""

import itertools
from dataclasses import replace

import pytest
from tests.gate.drive import Gate, authorise, ble, udp
from tests.policy.samples import pump, pump_with

from keyswitch.gate import events as on
from keyswitch.gate.authorise import ASKING
from keyswitch.gate.decision import ALLOWED, Allowed, Refused
from keyswitch.gate.peer import Peer, Service
from keyswitch.policy.enums import ProofKind
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import ALL_KEYS, resolve
from keyswitch.smp.groups import mode as mode_group
from keyswitch.terms import Security, Transport

(UPLOAD,) = resolve("image.upload")
(ECHO,) = resolve("os.echo:write")
(LEAVE,) = resolve("mode.leave")
(STATE,) = resolve("mode.state")

IN_MODE = {
    "normal": (),
    "active": (on.InputChanged(name="motion", value=True),),
    "pairing": (on.ButtonHeld(hold_ms=2_000),),
    "maintenance": (on.EnterProved(peer=udp(), to="maintenance", proof=ProofKind.CHALLENGE),),
}


@pytest.mark.parametrize("mode", IN_MODE)
@pytest.mark.parametrize("transport", Transport)
def test_each_mode_serves_its_allow_list_and_nothing_else(mode: str, transport: Transport) -> None:
    gate = Gate(pump())
    gate.happens(*IN_MODE[mode])
    assert gate.state.mode == mode
    allow = gate.policy.modes[mode].allow
    for key in ALL_KEYS:
        decision = authorise(gate.policy, gate.state, Peer(id=7, transport=transport), key)
        assert decision == (ALLOWED if key in allow else Refused(Reason.WRONG_MODE, mode))


def test_only_maintenance_uploads() -> None:
    for mode, events in IN_MODE.items():
        gate = Gate(pump())
        gate.happens(*events)
        decision = authorise(gate.policy, gate.state, ble(), UPLOAD)
        assert isinstance(decision, Allowed) is (mode == "maintenance")


def test_the_mode_service_serves_its_own_group_only() -> None:
    gate = Gate(pump())
    gate.happens(*IN_MODE["maintenance"])
    peer = replace(ble(), door=Service.MODE)
    for key in ALL_KEYS:
        decision = authorise(gate.policy, gate.state, peer, key)
        expected = ALLOWED if key.group == mode_group.ID else Refused(Reason.NOT_ON_THIS_SERVICE)
        assert decision == expected


def test_nothing_is_served_before_the_boot_and_after_a_reset_was_ordered() -> None:
    gate = Gate(pump())
    down = replace(gate.state, down=True)
    for key in ALL_KEYS:
        assert authorise(gate.policy, down, ble(), key) == Refused(Reason.BUSY, "resetting")


@pytest.mark.parametrize(("needed", "had"), list(itertools.product(Security, Security)))
def test_security_is_asked_of_everything_but_asking(needed: Security, had: Security) -> None:
    gate = Gate(pump_with(('security = "none"', f'security = "{needed.word}"')))
    gate.happens(*IN_MODE["maintenance"])
    peer = ble(security=had)
    expected = ALLOWED if had >= needed else Refused(Reason.SECURITY, needed.word)
    for key in (UPLOAD, ECHO, LEAVE):
        assert authorise(gate.policy, gate.state, peer, key) == expected
    for key in resolve("mode"):
        if key.id in ASKING:
            assert authorise(gate.policy, gate.state, peer, key) == ALLOWED


def test_an_owned_session_is_used_by_its_owner_only() -> None:
    gate = Gate(pump_with(('session = "anyone"', 'session = "owner"')))
    gate.happens(*IN_MODE["maintenance"])
    assert authorise(gate.policy, gate.state, udp(), UPLOAD) == ALLOWED
    for key in (UPLOAD, LEAVE):
        assert authorise(gate.policy, gate.state, ble(), key) == Refused(Reason.OWNER)
    assert authorise(gate.policy, gate.state, ble(), STATE) == ALLOWED


def test_a_maintenance_mode_that_nobody_entered_serves_asking_only() -> None:
    gate = Gate(pump())
    stray = replace(gate.state, mode="maintenance")
    assert authorise(gate.policy, stray, ble(), UPLOAD) == Refused(Reason.WRONG_MODE, "nobody has entered")
    assert authorise(gate.policy, stray, ble(), STATE) == ALLOWED


def test_a_command_that_does_not_exist_is_refused_as_well() -> None:
    gate = Gate(pump())
    gate.happens(*IN_MODE["maintenance"])
    assert isinstance(authorise(gate.policy, gate.state, ble(), (64, 0, 0)), Refused)


def test_refusals_say_their_reason_and_deny_unless_it_is_contention() -> None:
    assert Refused(Reason.GUARD, "motion == false").text == "guard: motion == false"
    assert Refused(Reason.OWNER).text == "owner"
    assert Refused(Reason.OWNER).rc is Rc.EACCESSDENIED


def test_reserved_ops_come_by_the_mode_service_no_more_than_others() -> None:
    gate = Gate(pump())
    gate.happens(*IN_MODE["maintenance"])
    peer = replace(ble(), door=Service.MODE)
    for group, command in {(key.group, key.id) for key in ALL_KEYS if key.group != mode_group.ID}:
        for op in range(8):
            decision = authorise(gate.policy, gate.state, peer, (group, command, op))
            assert decision == Refused(Reason.NOT_ON_THIS_SERVICE), (group, command, op)


def test_no_mode_serves_a_reserved_op() -> None:
    for events in IN_MODE.values():
        gate = Gate(pump())
        gate.happens(*events)
        for group, command in {(key.group, key.id) for key in ALL_KEYS}:
            for op in set(range(8)) - {0, 2}:
                for door in Service:
                    assert isinstance(
                        authorise(gate.policy, gate.state, replace(ble(), door=door), (group, command, op)), Refused
                    )
