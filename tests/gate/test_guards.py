"""No transition leads from one maintenance mode into another, even under a policy that no loader has seen."""

from dataclasses import replace

import pytest
from tests.gate.drive import Gate, ble
from tests.policy.samples import small

from keyswitch.gate import events as on
from keyswitch.gate import record
from keyswitch.gate.events import Timer
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import (
    OnButton,
    OnConnect,
    OnDisconnect,
    OnEnter,
    OnInput,
    OnLeave,
    OnReset,
    OnTimeout,
    Policy,
    Transition,
    Trigger,
)
from keyswitch.reasons import Reason

FACTORY = """
[modes.factory]
maintenance = true
allow = ["os", "image", "mode"]
lease_s = 60
"""

SET_OFF: dict[str, tuple[Trigger, tuple[on.Event, ...]]] = {
    "enter": (
        OnEnter(proofs=(ProofKind.CHALLENGE,)),
        (on.EnterProved(peer=ble(), to="factory", proof=ProofKind.CHALLENGE),),
    ),
    "leave": (OnLeave(), (on.LeaveAsked(peer=ble()),)),
    "lease": (OnLeave(), (on.Expired(timer=Timer.LEASE),)),
    "guard": (OnLeave(), (on.InputChanged(name="motion", value=True),)),
    "button": (OnButton(hold_ms=1_000), (on.ButtonHeld(hold_ms=1_000),)),
    "input": (OnInput(), (on.InputChanged(name="battery", value=70),)),
    "timeout": (OnTimeout(), (on.Expired(timer=Timer.TIMEOUT),)),
    "connect": (OnConnect(), (on.Connected(peer=1),)),
    "disconnect": (OnDisconnect(), (on.Connected(peer=1), on.Disconnected(peer=1))),
}


def leading_on(trigger: Trigger, *, source: str = "maintenance") -> Policy:
    """Two maintenance modes and a transition between them that the loader would refuse."""
    policy = small(FACTORY)
    way = Transition(index=1, sources=(source,), target="factory", trigger=trigger)
    modes = {name: replace(mode, timeout_ms=1_000) for name, mode in policy.modes.items()}
    return replace(policy, modes=modes, transitions=(*policy.transitions, way))


@pytest.mark.parametrize("what", SET_OFF)
def test_nothing_leads_from_one_maintenance_mode_into_another(what: str) -> None:
    trigger, events = SET_OFF[what]
    gate = Gate(leading_on(trigger))
    gate.happens(on.EnterProved(peer=ble(), to="maintenance", proof=ProofKind.CHALLENGE))
    assert gate.state.mode == "maintenance"
    gate.happens(*events)
    assert gate.state.mode in {"maintenance", "normal"}
    assert 1 not in gate.last.ways
    if what in {"enter", "button"}:
        assert gate.last.refused is not None
        assert gate.last.refused.reason is Reason.WRONG_MODE


def test_the_same_transition_is_taken_from_outside_maintenance() -> None:
    gate = Gate(leading_on(OnButton(hold_ms=1_000), source="normal"))
    gate.happens(on.ButtonHeld(hold_ms=1_000))
    assert gate.state.mode == "factory"


def test_no_reset_leads_from_one_maintenance_mode_into_another() -> None:
    assert Gate(leading_on(OnReset()), on.Booted(mode_before="maintenance")).state.mode == "normal"
    assert Gate(leading_on(OnReset()), on.Booted(mode_before="of an older policy")).state.mode == "normal"


def test_a_step_that_ends_a_session_begins_none() -> None:
    """Through another mode, in one step: no better than a transition between the two."""
    gate = Gate(leading_on(OnInput(), source="normal"), on.Booted(inputs=(("motion", False),)))
    assert gate.state.mode == "factory"
    gate.happens(on.LeaveAsked(peer=ble()))
    assert (gate.state.mode, gate.state.session) == ("normal", None)


@pytest.mark.parametrize("ending", [False, True])
def test_a_record_resumes_the_mode_that_its_session_was_in_and_no_other(ending: bool) -> None:
    policy = leading_on(OnLeave())
    gate = Gate(policy)
    gate.happens(on.EnterProved(peer=ble(), to="maintenance", proof=ProofKind.CHALLENGE))
    kept = record.make(policy, gate.state, expected=(), token=b"", lease_ms=9_000, lease_max_ms=None)
    assert Gate(policy, on.Booted(record=replace(kept, mode="factory", ending=ending))).state.mode == "normal"
    after = Gate(policy, on.Booted(record=replace(kept, ending=ending))).state.mode
    assert after == ("normal" if ending else "maintenance")
