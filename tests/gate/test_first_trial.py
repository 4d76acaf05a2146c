"""The first gated image on a device that had no gate: one trial outside any session, and nothing else meanwhile."""

import pytest
from tests.gate.drive import IMAGE, ONE, OTHER, Gate, authorise, ble, udp
from tests.policy.samples import pump, pump_with, small

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.decision import ALLOWED, FIRST_TRIAL
from keyswitch.gate.events import Timer
from keyswitch.gate.machine import TABLE
from keyswitch.gate.record import SessionRecord
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import Policy
from keyswitch.reasons import Reason
from keyswitch.smp.commands import ALL_KEYS, resolve
from keyswitch.terms import Security

FIRST = on.Booted(running=(IMAGE,), on_trial=ONE, blank=True)


def first(policy: Policy | None = None) -> Gate:
    gate = Gate(policy or pump(), FIRST)
    assert gate.state.first_trial
    return gate


def test_it_runs_in_the_initial_mode_with_its_deadline_and_the_service_in_the_table() -> None:
    gate = first()
    assert gate.last.effects == (
        do.MarkStore(),
        do.StartTimer(timer=Timer.TRIAL, ms=120_000),
        do.Inhibit(names=frozenset({"motion"})),
        do.ModeChanged(mode="normal"),
        do.ShowService(shown=True),
    )
    assert gate.state.session is None


@pytest.mark.parametrize(
    "boot",
    [
        on.Booted(running=(IMAGE,), on_trial=ONE),
        on.Booted(
            running=(IMAGE,),
            on_trial=ONE,
            blank=True,
            record=SessionRecord(policy=b"", mode="maintenance", proof=None, expected=((0, OTHER),)),
        ),
    ],
    ids=["a store that was written", "a record that does not fit"],
)
def test_any_other_stray_trial_reverts(boot: on.Booted) -> None:
    gate = Gate(pump(), boot)
    assert gate.last.effects[-1] == do.ResetNow()
    assert gate.state.down
    assert not gate.state.first_trial


def test_without_a_deadline_there_is_no_first_trial() -> None:
    gate = Gate(small(), FIRST)
    assert gate.last.effects == (do.MarkStore(), do.ResetNow())


def test_a_blank_store_is_marked_where_nothing_is_on_trial() -> None:
    gate = Gate(pump(), on.Booted(running=(IMAGE,), blank=True))
    assert gate.last.effects[0] == do.MarkStore()
    assert not gate.state.first_trial
    assert not Gate(pump(), on.Booted(running=(IMAGE,))).asked_for(do.MarkStore)


SERVED = resolve("mode.state") | resolve("image.state")


def test_asking_reading_the_slots_and_confirming_are_served_and_nothing_else() -> None:
    gate = first()
    for peer in (ble(), udp()):
        allowed = {key for key in ALL_KEYS if authorise(gate.policy, gate.state, peer, key) == ALLOWED}
        assert allowed == SERVED
    assert authorise(gate.policy, gate.state, ble(), next(iter(resolve("image.erase")))) == FIRST_TRIAL


def test_the_slots_are_served_as_maintenance_would_serve_them() -> None:
    (write,) = resolve("image.state:write")
    (ask,) = resolve("mode.state")
    safe = first(pump_with(('security = "none"', 'security = "encrypted"')))
    refused = authorise(safe.policy, safe.state, ble(), write)
    assert refused != ALLOWED
    assert refused.reason is Reason.SECURITY
    assert authorise(safe.policy, safe.state, ble(security=Security.ENCRYPTED), write) == ALLOWED
    assert authorise(safe.policy, safe.state, ble(), ask) == ALLOWED
    shut = first(small("[update]\ntrial_deadline_s = 9", ('["os", "image", "mode"]', '["os", "mode"]')))
    assert authorise(shut.policy, shut.state, udp(), write) == FIRST_TRIAL


HEARD = {on.Booted, on.Connected, on.Disconnected, on.InputChanged, on.Expired, on.ConfirmAsked, on.SelfConfirmed}
EVENTS: dict[type[on.Event], on.Event] = {
    on.EnterProved: on.EnterProved(peer=ble(), to="maintenance", proof=ProofKind.CHALLENGE),
    on.AttachProved: on.AttachProved(peer=ble()),
    on.LeaveAsked: on.LeaveAsked(peer=ble()),
    on.ExtendAsked: on.ExtendAsked(peer=ble()),
    on.ButtonHeld: on.ButtonHeld(hold_ms=9_000),
    on.UploadStarted: on.UploadStarted(peer=ble()),
    on.UploadEnded: on.UploadEnded(),
    on.ArmAsked: on.ArmAsked(peer=ble(), image=OTHER, permanent=False),
    on.ArmFailed: on.ArmFailed(),
    on.ResetAsked: on.ResetAsked(peer=ble()),
    on.FirmwareCommand: on.FirmwareCommand(peer=ble()),
    on.CommandServed: on.CommandServed(peer=ble()),
}


def test_the_machine_alone_refuses_everything_else() -> None:
    assert set(EVENTS) == set(TABLE) - HEARD
    for event in EVENTS.values():
        gate = first()
        before = gate.state
        gate.happens(event)
        assert (gate.last.refused, gate.state) == (FIRST_TRIAL, before), event


def test_nothing_that_happens_meanwhile_changes_the_mode() -> None:
    gate = first()
    gate.happens(on.InputChanged(name="motion", value=True), on.Connected(peer=1), on.Disconnected(peer=1))
    for timer in set(Timer) - {Timer.TRIAL}:
        gate.happens(on.Expired(timer=timer))
        assert gate.last.effects == ()
    assert (gate.state.mode, gate.state.first_trial) == ("normal", True)


def test_confirmed_it_is_a_device_like_any_other() -> None:
    gate = first()
    gate.happens(on.InputChanged(name="motion", value=True), on.ConfirmAsked(peer=udp()))
    assert gate.last.effects[:2] == (do.ConfirmImage(), do.StopTimer(timer=Timer.TRIAL))
    assert do.ShowService(shown=False) in gate.last.effects
    assert gate.asked_for(do.Inhibit)[-1] == do.Inhibit(names=frozenset())
    assert (gate.state.mode, gate.state.trial, gate.state.first_trial) == ("active", False, False)
    assert gate.happens(on.ArmAsked(peer=udp(), image=OTHER, permanent=False)).refused is not None


def test_only_whom_the_policy_lets_confirm_confirms() -> None:
    application = first(pump_with(('confirm = "operator"', 'confirm = "self"')))
    application.happens(on.ConfirmAsked(peer=udp()))
    assert application.last.refused is not None
    application.happens(on.SelfConfirmed())
    assert application.asked_for(do.ConfirmImage)
    operator = first()
    operator.happens(on.SelfConfirmed())
    assert operator.last.refused is not None


def test_at_its_deadline_it_reverts() -> None:
    gate = first()
    gate.happens(on.Expired(timer=Timer.TRIAL))
    assert gate.last.effects == (do.DropQueued(), do.DropReassembly(), do.ResetNow())
    assert gate.state.down
