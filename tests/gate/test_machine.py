"""The mode machine: what each event does, one promise of the design for each test."""

import pytest
from tests.gate.drive import IMAGE, ONE, OTHER, Gate, ble, step, udp
from tests.policy.samples import pump, pump_with, small

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import record
from keyswitch.gate.events import Timer
from keyswitch.gate.machine import TABLE, initial
from keyswitch.gate.state import Arming, Upload
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import Policy
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.terms import Security

ENTER = on.EnterProved(peer=ble(), to="maintenance", proof=ProofKind.CHALLENGE)


def inside(policy: Policy | None = None) -> Gate:
    """In maintenance, entered by BLE peer 1, which has reconnected as peer 2; the SMP service is shown."""
    gate = Gate(policy or pump())
    gate.happens(on.Connected(peer=1), ENTER, on.Disconnected(peer=1), on.Connected(peer=2))
    assert gate.state.mode == "maintenance"
    return gate


def on_trial(policy: Policy | None = None, boot: on.Booted | None = None) -> Gate:
    """In maintenance after the update's own reset, the new image on trial."""
    gate = inside(policy)
    gate.happens(on.ArmAsked(peer=ble(2), image=IMAGE, permanent=False), on.ResetAsked(peer=ble(2)))
    gate.happens(on.Expired(timer=Timer.RESET))
    kept = record.make(
        gate.policy, gate.state, expected=((0, IMAGE),), token=b"tokn", lease_ms=500_000, lease_max_ms=3_000_000
    )
    return Gate(gate.policy, boot or on.Booted(record=kept, running=(IMAGE,), on_trial=ONE))


def refusal(gate: Gate) -> tuple[Reason, str]:
    assert gate.last.refused is not None
    assert gate.last.effects == ()
    return gate.last.refused.reason, gate.last.refused.detail


def test_every_event_has_a_row() -> None:
    assert set(TABLE) == set(on.Event.__args__)


def test_nothing_but_coming_up_is_heard_before_the_boot() -> None:
    policy = pump()
    refused = step(policy, initial(policy), ENTER).refused
    assert refused is not None
    assert refused.reason is Reason.BUSY


# --- coming up ------------------------------------------------------------------------------------------------------


def test_the_device_comes_up_in_its_initial_mode_and_says_so() -> None:
    gate = Gate(pump())
    assert gate.state.mode == "normal"
    assert gate.asked_for(do.Inhibit) == [do.Inhibit(names=frozenset())]
    assert gate.asked_for(do.ModeChanged) == [do.ModeChanged(mode="normal")]
    assert not gate.state.service_shown


def test_inputs_read_at_boot_count_at_once() -> None:
    gate = Gate(pump(), on.Booted(inputs=(("motion", True),)))
    assert gate.state.mode == "active"


def test_an_input_that_was_never_reported_shuts_every_guard_over_it() -> None:
    gate = Gate(pump_with((", initial = false", "")))
    gate.happens(ENTER)
    assert refusal(gate) == (Reason.GUARD, "motion == false, is unknown")


def test_a_trial_that_no_session_expects_is_reverted_at_boot() -> None:
    gate = Gate(pump(), on.Booted(on_trial=ONE, running=(IMAGE,)))
    assert gate.last.effects == (do.ResetNow(),)
    assert gate.state.down


# --- entering -------------------------------------------------------------------------------------------------------


def test_entering_by_command_starts_the_limits_and_ends_the_connection_after_the_answer() -> None:
    gate = Gate(pump())
    gate.happens(on.Connected(peer=1), ENTER)
    assert gate.state.mode == "maintenance"
    assert gate.timers() == {"lease": 900_000, "lease_max": 3_600_000, "idle": 120_000}
    assert gate.asked_for(do.Inhibit) == [do.Inhibit(names=frozenset({"motion"}))]
    assert gate.asked_for(do.EndConnections) == [do.EndConnections(peers=frozenset({1}), after_answer=True)]
    assert not gate.state.service_shown


def test_the_table_changes_only_when_nobody_is_connected() -> None:
    gate = Gate(pump())
    gate.happens(on.Connected(peer=1), ENTER)
    assert not gate.asked_for(do.ShowService)
    gate.happens(on.Disconnected(peer=1))
    assert gate.asked_for(do.ShowService) == [do.ShowService(shown=True)]


def test_a_central_that_comes_before_the_table_has_changed_is_sent_away() -> None:
    gate = Gate(pump())
    gate.happens(on.Connected(peer=1), ENTER, on.Connected(peer=2))
    assert gate.asked_for(do.EndConnections) == [do.EndConnections(peers=frozenset({2}), after_answer=False)]


def test_live_changes_the_table_at_once_and_ends_no_connection() -> None:
    gate = Gate(pump_with(('service = "reconnect"', 'service = "live"')))
    gate.happens(on.Connected(peer=1), ENTER)
    assert gate.asked_for(do.ShowService) == [do.ShowService(shown=True)]
    assert not gate.asked_for(do.EndConnections)


def test_always_shows_the_service_from_boot_and_never_touches_it() -> None:
    gate = Gate(pump_with(('service = "reconnect"', 'service = "always"')))
    assert gate.asked_for(do.ShowService) == [do.ShowService(shown=True)]
    gate.happens(on.Connected(peer=1), ENTER)
    assert not gate.asked_for(do.ShowService)
    gate.happens(on.LeaveAsked(peer=ble()))
    assert not gate.asked_for(do.ShowService)


@pytest.mark.parametrize(
    ("motion", "battery", "guard"),
    [(True, 100, "motion == false, is true"), (False, 29, "battery_percent >= 30, is 29")],
)
def test_entering_names_the_guard_that_shuts(motion: bool, battery: int, guard: str) -> None:
    gate = Gate(pump())
    gate.happens(
        on.InputChanged(name="motion", value=motion), on.InputChanged(name="battery_percent", value=battery), ENTER
    )
    assert refusal(gate) == (Reason.GUARD, guard)


def test_entering_by_a_proof_the_way_does_not_take() -> None:
    gate = Gate(pump())
    gate.happens(on.EnterProved(peer=ble(), to="maintenance", proof=ProofKind.SEQUENCE))
    assert refusal(gate) == (Reason.PROOF, "")


def test_entering_a_mode_that_no_way_leads_to() -> None:
    gate = Gate(pump())
    gate.happens(on.EnterProved(peer=ble(), to="pairing"))
    assert refusal(gate) == (Reason.WRONG_MODE, "normal")


def test_entering_with_a_link_that_is_not_secure_enough() -> None:
    gate = Gate(pump_with(('others = "refuse"', 'security = "authenticated"')))
    gate.happens(on.EnterProved(peer=ble(1, Security.ENCRYPTED), to="maintenance", proof=ProofKind.CHALLENGE))
    assert refusal(gate) == (Reason.SECURITY, "authenticated")


def test_another_central_keeps_maintenance_shut_or_is_sent_away() -> None:
    refusing = Gate(pump())
    refusing.happens(on.Connected(peer=1), on.Connected(peer=2), ENTER)
    assert refusal(refusing) == (Reason.BUSY, "another central is connected")
    ending = Gate(pump_with(('others = "refuse"', 'others = "disconnect"')))
    ending.happens(on.Connected(peer=1), on.Connected(peer=2), ENTER)
    assert ending.asked_for(do.EndConnections) == [do.EndConnections(peers=frozenset({1, 2}), after_answer=True)]


def test_with_live_only_the_others_are_sent_away() -> None:
    gate = Gate(pump_with(('others = "refuse"', 'others = "disconnect"'), ('"reconnect"', '"live"')))
    gate.happens(on.Connected(peer=1), on.Connected(peer=2), ENTER)
    assert gate.asked_for(do.EndConnections) == [do.EndConnections(peers=frozenset({2}), after_answer=False)]


def test_others_are_sent_away_also_where_the_table_need_not_change() -> None:
    gate = inside(pump_with(('others = "refuse"', 'others = "disconnect"')))
    gate.happens(on.Connected(peer=3), on.LeaveAsked(peer=ble(2)))
    assert gate.state.service_shown  # it goes when nobody is connected
    gate.happens(on.EnterProved(peer=ble(2), to="maintenance", proof=ProofKind.CHALLENGE))
    assert gate.asked_for(do.EndConnections) == [do.EndConnections(peers=frozenset({3}), after_answer=False)]


def test_entering_again_changes_nothing_but_the_owner_and_idleness() -> None:
    gate = inside()
    before = gate.state
    gate.happens(on.EnterProved(peer=ble(2), to="maintenance", proof=ProofKind.CHALLENGE))
    assert gate.last.effects == (do.StartTimer(timer=Timer.IDLE, ms=120_000),)
    assert gate.session.owner == 2
    assert (gate.state.mode, gate.state.connections) == (before.mode, before.connections)


def test_entering_again_with_another_limit_or_proof_is_refused() -> None:
    gate = inside()
    gate.happens(on.EnterProved(peer=ble(2), to="maintenance", proof=ProofKind.CHALLENGE, images=frozenset({IMAGE})))
    assert refusal(gate)[0] is Reason.BUSY
    gate.happens(on.EnterProved(peer=ble(2), to="maintenance", proof=ProofKind.PERMIT))
    assert refusal(gate)[0] is Reason.PROOF


@pytest.mark.parametrize("security", Security)
@pytest.mark.parametrize("least", Security)
@pytest.mark.parametrize("again", ["enter", "attach"])
def test_who_joins_a_session_needs_the_security_that_its_way_asks_for(
    again: str, least: Security, security: Security
) -> None:
    gate = Gate(pump_with(('others = "refuse"', f'security = "{least.word}"'), ('"anyone"', '"owner"')))
    first, second = ble(1, Security.AUTHENTICATED), ble(2, security)
    gate.happens(on.Connected(peer=1), on.EnterProved(peer=first, to="maintenance", proof=ProofKind.CHALLENGE))
    gate.happens(on.Disconnected(peer=1), on.Connected(peer=2))
    if again == "enter":
        gate.happens(on.EnterProved(peer=second, to="maintenance", proof=ProofKind.CHALLENGE))
    else:
        gate.happens(on.AttachProved(peer=second))
    if security < least:
        assert refusal(gate) == (Reason.SECURITY, least.word)
        assert gate.session.owner is None
    else:
        assert gate.last.refused is None
        assert gate.session.owner == 2


def test_entering_where_one_is_without_a_session_is_done_already() -> None:
    gate = Gate(pump())
    gate.happens(on.EnterProved(peer=ble(), to="normal"))
    assert (gate.last.refused, gate.last.effects) == (None, ())


@pytest.mark.parametrize(
    ("hold_ms", "mode"), [(1_999, "normal"), (2_000, "pairing"), (4_999, "pairing"), (5_000, "maintenance")]
)
def test_the_longest_hold_reached_counts(hold_ms: int, mode: str) -> None:
    gate = Gate(pump())
    gate.happens(on.ButtonHeld(hold_ms=hold_ms))
    assert gate.state.mode == mode


def test_a_long_hold_whose_guard_fails_does_not_become_a_short_one() -> None:
    gate = Gate(pump_with(('from = ["normal"]\nto = "maintenance"', 'from = ["active"]\nto = "maintenance"')))
    gate.happens(on.InputChanged(name="motion", value=True), on.ButtonHeld(hold_ms=9_000))
    assert refusal(gate) == (Reason.GUARD, "motion == false, is true")


# --- leaving --------------------------------------------------------------------------------------------------------

WAYS_OUT: dict[str, on.Event] = {
    "leave": on.LeaveAsked(peer=ble(2)),
    "lease": on.Expired(timer=Timer.LEASE),
    "lease_max": on.Expired(timer=Timer.LEASE_MAX),
    "idle": on.Expired(timer=Timer.IDLE),
    "guard": on.InputChanged(name="battery_percent", value=5),
    "safety": on.InputChanged(name="motion", value=True),
}


@pytest.mark.parametrize("way", WAYS_OUT)
def test_leaving_always_cleans_up(way: str) -> None:
    gate = inside()
    gate.happens(on.ResetAsked(peer=ble(2)), on.UploadStarted(peer=ble(2)), WAYS_OUT[way])
    assert gate.state.mode == ("active" if way == "safety" else "normal")
    assert (gate.state.session, gate.state.upload) == (None, None)
    assert not gate.state.reset_pending
    assert gate.last.effects[:4] == (
        do.DropQueued(),
        do.DropReassembly(),
        do.DropUpload(discard=True),
        do.StopTimer(timer=Timer.RESET),
    )
    assert gate.asked_for(do.ClearSessionRecord)
    assert do.Inhibit(names=frozenset()) in gate.last.effects
    for timer in (Timer.LEASE, Timer.LEASE_MAX, Timer.IDLE):
        assert do.StopTimer(timer=timer) in gate.last.effects


@pytest.mark.parametrize("way", WAYS_OUT)
def test_leaving_forgets_what_was_armed_and_the_reset_that_was_granted(way: str) -> None:
    gate = inside()
    gate.happens(on.ArmAsked(peer=ble(2), image=IMAGE, permanent=False), on.ResetAsked(peer=ble(2)))
    assert (bool(gate.state.armed), gate.state.reset_pending) == (True, True)
    gate.happens(WAYS_OUT[way])
    assert (gate.state.armed, gate.state.reset_pending) == ((), False)
    assert do.StopTimer(timer=Timer.RESET) in gate.last.effects


@pytest.mark.parametrize("way", WAYS_OUT)
def test_leaving_during_a_trial_reverts_first_and_the_gate_is_shut_meanwhile(way: str) -> None:
    gate = on_trial()
    gate.happens(WAYS_OUT[way])
    assert gate.state.mode == "maintenance"
    assert gate.state.down
    assert gate.last.effects[-2:] == (do.WriteSessionRecord(expected=()), do.ResetNow())
    kept = record.make(gate.policy, gate.state, expected=(), token=b"", lease_ms=None, lease_max_ms=None)
    after = Gate(gate.policy, on.Booted(record=kept, running=(OTHER,)))
    assert (after.state.mode, after.state.session) == ("normal", None)


def test_a_kept_upload_is_ended_but_not_discarded() -> None:
    gate = inside(pump_with(('upload = "discard"', 'upload = "keep"')))
    gate.happens(on.UploadStarted(peer=ble(2)), on.LeaveAsked(peer=ble(2)))
    assert gate.asked_for(do.DropUpload) == [do.DropUpload(discard=False)]


def test_an_armed_trailer_is_taken_back_on_leaving() -> None:
    gate = inside(pump_with(('arm = "late"', 'arm = "early"')))
    gate.happens(on.ArmAsked(peer=ble(2), image=IMAGE, permanent=True))
    assert gate.last.effects == (do.WriteTrailer(image=IMAGE, permanent=True),)
    gate.happens(on.LeaveAsked(peer=ble(2)))
    assert do.Disarm() in gate.last.effects


def test_leaving_twice_is_as_good_as_once() -> None:
    gate = inside()
    gate.happens(on.LeaveAsked(peer=ble(2)), on.LeaveAsked(peer=ble(2)))
    assert (gate.state.mode, gate.last.refused, gate.last.effects) == ("normal", None, ())


def test_the_gate_shuts_at_once_and_the_table_follows_when_the_link_is_gone() -> None:
    gate = inside()
    gate.happens(on.LeaveAsked(peer=ble(2)))
    assert gate.state.service_shown
    gate.happens(on.Disconnected(peer=2))
    assert gate.asked_for(do.ShowService) == [do.ShowService(shown=False)]


def test_a_leave_way_says_where_to() -> None:
    gate = Gate(
        small('[modes.safe]\nallow = ["mode"]\n[[transitions]]\nfrom = ["maintenance"]\nto = "safe"\non = "leave"\n')
    )
    gate.happens(ENTER, on.LeaveAsked(peer=ble()))
    assert gate.state.mode == "safe"


# --- guards during the session --------------------------------------------------------------------------------------

HOLD = ('others = "refuse"', 'when_false = "hold"')


def test_hold_waits_for_the_upload_and_then_leaves() -> None:
    gate = inside(pump_with(HOLD))
    gate.happens(on.UploadStarted(peer=ble(2)), on.InputChanged(name="battery_percent", value=5))
    assert gate.state.mode == "maintenance"
    gate.happens(on.ArmAsked(peer=ble(2), image=IMAGE, permanent=False))
    assert refusal(gate) == (Reason.GUARD, "battery_percent >= 30, is 5")
    gate.happens(on.UploadEnded())
    assert gate.state.mode == "normal"


def test_a_reset_waits_for_the_guards_when_it_is_asked_for_and_when_it_is_due() -> None:
    gate = inside(pump_with(HOLD))
    gate.happens(on.UploadStarted(peer=ble(2)), on.ResetAsked(peer=ble(2)))
    gate.happens(on.InputChanged(name="battery_percent", value=5), on.Expired(timer=Timer.RESET))
    assert (gate.last.effects, gate.state.down, gate.state.reset_pending) == ((), False, False)
    gate.happens(on.ResetAsked(peer=ble(2)))
    assert refusal(gate) == (Reason.GUARD, "battery_percent >= 30, is 5")


def test_hold_without_an_upload_leaves_at_once() -> None:
    gate = inside(pump_with(HOLD))
    gate.happens(on.InputChanged(name="battery_percent", value=5))
    assert gate.state.mode == "normal"


def test_hold_never_holds_back_a_safety_input() -> None:
    gate = inside(pump_with(HOLD))
    gate.happens(on.UploadStarted(peer=ble(2)), on.InputChanged(name="motion", value=True))
    assert gate.state.mode == "active"


def test_the_guards_of_the_button_are_those_of_its_own_way() -> None:
    gate = Gate(pump())
    gate.happens(on.InputChanged(name="battery_percent", value=5), on.ButtonHeld(hold_ms=5_000))
    assert gate.session.proof is ProofKind.BUTTON
    gate.happens(on.InputChanged(name="battery_percent", value=4))
    assert gate.state.mode == "maintenance"


# --- arming, reset, trial -------------------------------------------------------------------------------------------


def test_late_arming_writes_nothing_until_the_sessions_own_reset() -> None:
    gate = inside()
    gate.happens(on.ArmAsked(peer=ble(2), image=IMAGE, permanent=False))
    assert gate.last.effects == ()
    assert gate.state.armed == (Arming(image=IMAGE, permanent=False, written=False),)
    gate.happens(on.ResetAsked(peer=ble(2)))
    assert gate.last.effects == (do.StartTimer(timer=Timer.RESET, ms=250),)
    gate.happens(on.Expired(timer=Timer.RESET))
    assert gate.last.effects == (
        do.WriteSessionRecord(expected=((0, IMAGE),)),
        do.WriteTrailer(image=IMAGE, permanent=False),
        do.DropQueued(),
        do.DropReassembly(),
        do.ResetNow(),
    )
    assert gate.state.down


def test_an_image_that_is_no_longer_what_was_armed_stops_the_reset() -> None:
    gate = inside()
    gate.happens(on.ArmAsked(peer=ble(2), image=IMAGE, permanent=False), on.ResetAsked(peer=ble(2)))
    gate.happens(on.Expired(timer=Timer.RESET), on.ArmFailed())
    assert gate.last.effects == (do.ClearSessionRecord(),)
    assert not gate.state.down
    assert not gate.state.armed


def test_arming_twice_is_once_and_another_image_has_to_wait() -> None:
    gate = inside()
    asked = on.ArmAsked(peer=ble(2), image=IMAGE, permanent=False)
    gate.happens(asked, asked)
    assert gate.last.refused is None
    gate.happens(on.ArmAsked(peer=ble(2), image=OTHER, permanent=False))
    assert refusal(gate)[0] is Reason.BUSY


def test_an_upload_forgets_what_was_armed() -> None:
    late, early = inside(), inside(pump_with(('arm = "late"', 'arm = "early"')))
    for gate in (late, early):
        gate.happens(on.ArmAsked(peer=ble(2), image=IMAGE, permanent=False), on.UploadStarted(peer=ble(2)))
        assert not gate.state.armed
    assert late.last.effects == ()
    assert early.last.effects == (do.Disarm(),)


def test_a_permits_image_limit_holds_at_arming() -> None:
    policy = pump_with(
        ('proofs = ["challenge"]', 'proofs = ["permit"]'),
        ("[entry.challenge]", '[entry.permit]\nissuers = ["issuer.pem"]\n[entry.challenge]'),
    )
    gate = Gate(policy)
    gate.happens(on.EnterProved(peer=udp(), to="maintenance", proof=ProofKind.PERMIT, images=frozenset({IMAGE})))
    gate.happens(on.ArmAsked(peer=udp(), image=OTHER, permanent=False))
    assert refusal(gate) == (Reason.IMAGE, "not in the permit")
    gate.happens(on.ArmAsked(peer=udp(), image=IMAGE, permanent=False))
    assert gate.last.refused is None


def test_a_reset_with_nothing_armed_ends_the_session() -> None:
    gate = inside()
    gate.happens(on.ResetAsked(peer=ble(2)), on.ResetAsked(peer=ble(2)))
    assert gate.last.effects == ()
    gate.happens(on.Expired(timer=Timer.RESET))
    assert gate.last.effects == (do.DropQueued(), do.DropReassembly(), do.ResetNow())


def test_the_session_goes_on_after_the_updates_own_reset() -> None:
    gate = on_trial()
    assert gate.state.mode == "maintenance"
    assert gate.state.service_shown
    assert gate.timers() == {"lease": 500_000, "lease_max": 3_000_000, "idle": 120_000, "trial": 120_000}
    assert gate.session.owner is None


WRONG_RECORDS = {
    "another image runs": {"expected": ((0, OTHER),)},
    "another image runs, and another policy": {"expected": ((0, OTHER),), "policy": b"another"},
    "no image is expected, and another policy": {"expected": (), "policy": b"another"},
    "another mode": {"mode": "cellar"},
    "another mode, and another policy": {"mode": "cellar", "policy": b"another"},
    "no maintenance mode": {"mode": "normal"},
    "no maintenance mode, and another policy": {"mode": "normal", "policy": b"another"},
    "a revert that did not happen": {"expected": ()},
    "it was ending": {"ending": True},
}


@pytest.mark.parametrize("what", WRONG_RECORDS)
def test_a_record_that_does_not_fit_opens_nothing(what: str) -> None:
    gate = inside()
    good = record.make(gate.policy, gate.state, expected=((0, IMAGE),), token=b"", lease_ms=1, lease_max_ms=1)
    value = {each: getattr(good, each) for each in record.SessionRecord.__dataclass_fields__}
    wrong = record.SessionRecord(**{**value, **WRONG_RECORDS[what]})
    after = Gate(gate.policy, on.Booted(record=wrong, running=(IMAGE,), on_trial=ONE))
    assert after.last.effects == (do.ResetNow(),)
    assert after.state.session is None


def test_a_record_never_lengthens_a_lease() -> None:
    gate = inside()
    for left, expected in ((10**9, 900_000), (None, 0), (7, 7)):
        kept = record.make(gate.policy, gate.state, expected=((0, IMAGE),), token=b"", lease_ms=left, lease_max_ms=left)
        after = Gate(gate.policy, on.Booted(record=kept, running=(IMAGE,)))
        assert after.timers()["lease"] == expected


def test_a_session_whose_guards_no_longer_hold_after_the_reset_reverts_and_leaves() -> None:
    gate = inside()
    kept = record.make(gate.policy, gate.state, expected=((0, IMAGE),), token=b"", lease_ms=9, lease_max_ms=9)
    after = Gate(gate.policy, on.Booted(record=kept, running=(IMAGE,), on_trial=ONE, inputs=(("motion", True),)))
    assert after.last.effects[-2:] == (do.WriteSessionRecord(expected=()), do.ResetNow())


def test_a_trial_past_its_deadline_reverts_and_the_session_goes_on() -> None:
    gate = on_trial()
    gate.happens(on.Expired(timer=Timer.TRIAL))
    assert gate.last.effects[-2:] == (do.WriteSessionRecord(expected=()), do.ResetNow())
    kept = record.make(gate.policy, gate.state, expected=(), token=b"", lease_ms=9_000, lease_max_ms=9_000)
    after = Gate(gate.policy, on.Booted(record=kept, running=(OTHER,)))
    assert after.state.mode == "maintenance"


def test_a_reset_during_the_trial_reverts_within_the_session() -> None:
    gate = on_trial()
    gate.happens(on.ResetAsked(peer=ble(3)), on.Expired(timer=Timer.RESET))
    assert gate.last.effects == (
        do.WriteSessionRecord(expected=()),
        do.DropQueued(),
        do.DropReassembly(),
        do.ResetNow(),
    )


def test_confirmation_by_the_operator() -> None:
    gate = on_trial()
    gate.happens(on.SelfConfirmed())
    assert refusal(gate)[0] is Reason.IMAGE
    gate.happens(on.ConfirmAsked(peer=ble(3)))
    assert gate.last.effects == (do.ConfirmImage(), do.StopTimer(timer=Timer.TRIAL))
    gate.happens(on.ConfirmAsked(peer=ble(3)), on.LeaveAsked(peer=ble(3)))
    assert gate.state.mode == "normal"


def test_confirmation_by_the_application_itself() -> None:
    policy = pump_with(('confirm = "operator"', 'confirm = "self"'))
    gate = on_trial(policy)
    gate.happens(on.ConfirmAsked(peer=ble(3)))
    assert refusal(gate)[0] is Reason.IMAGE
    gate.happens(on.SelfConfirmed())
    assert not gate.state.trial
    other = inside(policy)
    other.happens(on.ArmAsked(peer=ble(2), image=IMAGE, permanent=True))
    assert refusal(other)[0] is Reason.IMAGE


def test_nothing_is_uploaded_armed_or_entered_during_a_trial() -> None:
    gate = on_trial()
    gate.happens(on.UploadStarted(peer=ble(3)))
    assert refusal(gate)[0] is Reason.BUSY
    gate.happens(on.ArmAsked(peer=ble(3), image=OTHER, permanent=False))
    assert refusal(gate)[0] is Reason.BUSY


# --- owners ---------------------------------------------------------------------------------------------------------


def test_an_upload_has_one_owner_until_it_has_gone() -> None:
    gate = inside()
    gate.happens(on.UploadStarted(peer=ble(2)), on.UploadStarted(peer=udp()))
    assert gate.last.refused is not None
    assert gate.last.refused.rc is Rc.EBUSY
    gate.happens(on.Disconnected(peer=2))
    assert gate.state.upload == Upload(owner=None)
    gate.happens(on.UploadStarted(peer=udp()))
    assert gate.state.upload == Upload(owner=50)


def test_an_owner_that_goes_owns_nothing() -> None:
    gate = inside(pump_with(('session = "anyone"', 'session = "owner"')))
    gate.happens(on.AttachProved(peer=ble(2)), on.Connected(peer=3), on.Disconnected(peer=3))
    assert gate.session.owner == 2
    gate.happens(on.Disconnected(peer=2))
    assert gate.session.owner is None


def test_an_armed_upload_waits_for_its_end() -> None:
    gate = inside()
    gate.happens(on.UploadStarted(peer=ble(2)), on.ArmAsked(peer=ble(2), image=IMAGE, permanent=False))
    assert refusal(gate) == (Reason.BUSY, "an upload is running")


def test_a_session_is_attached_to_again() -> None:
    gate = inside(pump_with(('session = "anyone"', 'session = "owner"')))
    assert gate.session.owner is None
    gate.happens(on.AttachProved(peer=ble(2)))
    assert gate.session.owner == 2
    gate.happens(on.Connected(peer=3), on.AttachProved(peer=ble(3)))
    assert refusal(gate) == (Reason.OWNER, "")
    gate.happens(on.EnterProved(peer=ble(3), to="maintenance", proof=ProofKind.CHALLENGE))
    assert refusal(gate) == (Reason.OWNER, "")
    gate.happens(on.Disconnected(peer=2), on.AttachProved(peer=ble(3)))
    assert gate.session.owner == 3


@pytest.mark.parametrize("event", [on.AttachProved(peer=ble()), on.ExtendAsked(peer=ble())])
def test_what_belongs_to_a_session_is_refused_without_one(event: on.Event) -> None:
    gate = Gate(pump())
    gate.happens(event)
    assert refusal(gate) == (Reason.WRONG_MODE, "normal")


@pytest.mark.parametrize(
    "event",
    [
        on.UploadStarted(peer=ble()),
        on.ArmAsked(peer=ble(), image=IMAGE, permanent=False),
        on.ResetAsked(peer=ble()),
        on.ConfirmAsked(peer=ble()),
    ],
)
def test_outside_a_session_no_firmware_changes(event: on.Event) -> None:
    outside = Gate(pump())
    outside.happens(event)
    assert refusal(outside) == (Reason.WRONG_MODE, "normal")
    gate = Gate(pump_with(('initial_mode = "normal"', 'initial_mode = "maintenance"')))
    gate.happens(event)
    assert refusal(gate) == (Reason.WRONG_MODE, "nobody has entered")


UNSOUND = pump_with(('allow = ["os.echo", "os.params", "image.state:read", "mode"]', 'allow = ["os", "image", "mode"]'))


def test_what_an_unsound_policy_serves_outside_is_done_and_no_session_carries_it() -> None:
    gate = Gate(UNSOUND)
    gate.happens(on.ArmAsked(peer=ble(), image=IMAGE, permanent=False), on.ResetAsked(peer=ble()))
    gate.happens(on.Expired(timer=Timer.RESET))
    assert gate.last.effects == (
        do.WriteTrailer(image=IMAGE, permanent=False),
        do.DropQueued(),
        do.DropReassembly(),
        do.ResetNow(),
    )
    assert Gate(UNSOUND, on.Booted(running=(IMAGE,), on_trial=ONE)).last.effects == (do.ResetNow(),)


def test_a_reset_granted_where_it_was_served_does_not_happen_where_it_is_not() -> None:
    gate = Gate(UNSOUND)
    gate.happens(on.ResetAsked(peer=ble()), on.InputChanged(name="motion", value=True))
    assert gate.state.mode == "active"
    gate.happens(on.Expired(timer=Timer.RESET))
    assert (gate.last.effects, gate.state.reset_pending) == ((), False)


def test_what_began_outside_does_not_continue_inside() -> None:
    gate = Gate(UNSOUND)
    gate.happens(on.UploadStarted(peer=ble()), on.ResetAsked(peer=ble()), ENTER)
    assert (gate.state.upload, gate.state.reset_pending) == (None, False)
    assert do.DropUpload(discard=True) in gate.last.effects


# --- time limits ----------------------------------------------------------------------------------------------------


def test_extending_starts_the_lease_again_but_not_the_limit_of_extensions() -> None:
    gate = inside()
    gate.happens(on.ExtendAsked(peer=ble(2)))
    assert gate.timers() == {"lease": 900_000}
    fixed = inside(pump_with(("lease_max_s = 3600  ", "")))
    fixed.happens(on.ExtendAsked(peer=ble(2)))
    assert refusal(fixed)[0] is Reason.EXPIRED


def test_a_served_command_is_not_idleness() -> None:
    gate = inside()
    gate.happens(on.CommandServed(peer=ble(2)))
    assert gate.timers() == {"idle": 120_000}
    quiet = Gate(small())
    quiet.happens(on.CommandServed(peer=ble(2)))
    assert quiet.last.effects == ()


@pytest.mark.parametrize(
    ("value", "taken"), [(-(2**31) - 1, False), (-(2**31), True), (2**31 - 1, True), (2**31, False)]
)
def test_a_number_is_what_an_int_holds(value: int, taken: bool) -> None:
    gate = Gate(pump())
    gate.happens(on.InputChanged(name="battery_percent", value=value))
    assert (gate.last.refused is None) is taken


def test_in_an_owned_session_only_its_owner_is_at_work() -> None:
    gate = inside(pump_with(('session = "anyone"', 'session = "owner"')))
    gate.happens(on.CommandServed(peer=ble(2)))
    assert gate.timers() == {}, "the owner is gone, and nobody has proved to be it"
    gate.happens(on.AttachProved(peer=ble(2)), on.CommandServed(peer=udp()))
    assert gate.timers() == {}
    gate.happens(on.CommandServed(peer=ble(2)))
    assert gate.timers() == {"idle": 120_000}


@pytest.mark.parametrize("timer", Timer)
def test_a_limit_that_was_stopped_too_late_means_nothing(timer: Timer) -> None:
    gate = Gate(pump())
    before = gate.state
    gate.happens(on.Expired(timer=timer))
    assert (gate.state, gate.last.effects) == (before, ())


def test_a_timeout_takes_its_way_and_tries_again_while_a_guard_shuts_it() -> None:
    gate = Gate(pump())
    gate.happens(on.ButtonHeld(hold_ms=2_000))
    assert gate.timers() == {"timeout": 60_000}
    gate.happens(on.Expired(timer=Timer.TIMEOUT))
    assert gate.state.mode == "normal"
    guarded = Gate(pump_with(('on = "timeout"', 'on = "timeout"\nwhen = ["motion == false"]')))
    guarded.happens(
        on.ButtonHeld(hold_ms=2_000), on.InputChanged(name="motion", value=True), on.Expired(timer=Timer.TIMEOUT)
    )
    assert guarded.state.mode == "pairing"
    assert guarded.timers() == {"timeout": 60_000}


# --- inputs, connections, resets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", [("cellar", 1), ("motion", 1), ("battery_percent", True)])
def test_an_input_that_does_not_exist_or_fit_is_refused(event: tuple[str, int]) -> None:
    gate = Gate(pump())
    gate.happens(on.InputChanged(name=event[0], value=event[1]))
    assert refusal(gate)[0] is Reason.GUARD


def test_ways_by_connection_take_the_first_and_the_last() -> None:
    gate = Gate(
        small("""
        [modes.linked]
        allow = ["mode"]
        [[transitions]]
        from = ["normal"]
        to = "linked"
        on = "connect"
        [[transitions]]
        from = ["linked"]
        to = "normal"
        on = "disconnect"
        """)
    )
    gate.happens(on.Connected(peer=1))
    assert gate.state.mode == "linked"
    gate.happens(on.Connected(peer=2), on.Disconnected(peer=1))
    assert gate.state.mode == "linked"
    gate.happens(on.Disconnected(peer=9), on.Disconnected(peer=2))
    assert gate.state.mode == "normal"


def test_a_mode_that_outlives_a_reset_is_remembered() -> None:
    policy = small("""
        [modes.shipping]
        allow = ["mode"]
        [[transitions]]
        from = ["normal"]
        to = "shipping"
        on = "button"
        hold_s = 3
        [[transitions]]
        from = ["shipping"]
        to = "normal"
        on = "button"
        hold_s = 3
        [modes.parked]
        allow = ["mode"]
        [[transitions]]
        from = ["shipping"]
        to = "parked"
        on = "reset"
        """)
    gate = Gate(policy)
    gate.happens(on.ButtonHeld(hold_ms=3_000))
    assert do.PersistMode(mode="shipping") in gate.last.effects
    assert Gate(policy, on.Booted(mode_before="shipping")).state.mode == "parked"
    gate.happens(on.ButtonHeld(hold_ms=3_000))
    assert do.PersistMode(mode=None) in gate.last.effects


def test_ways_that_chase_each_other_stop_within_the_step() -> None:
    gate = Gate(
        small("""
        [modes.a]
        allow = ["mode"]
        [[transitions]]
        from = ["normal"]
        to = "a"
        on = "input"
        when = ["motion == true"]
        [[transitions]]
        from = ["a"]
        to = "normal"
        on = "input"
        when = ["motion == true"]
        """)
    )
    gate.happens(on.InputChanged(name="motion", value=True))
    assert gate.state.mode == "a"


def test_what_a_reset_leads_to_may_even_be_maintenance() -> None:
    """The prover refutes such a policy; the machine does as it says, and nobody is asked for a proof."""
    gate = Gate(
        small("""
        [[transitions]]
        from = ["normal"]
        to = "maintenance"
        on = "reset"
        """),
        on.Booted(mode_before="normal"),
    )
    assert gate.session.proof is None
    assert gate.last.ways == (1,)


def test_an_arming_that_failed_without_one_means_nothing() -> None:
    gate = inside()
    gate.happens(on.ArmFailed())
    assert gate.last.effects == ()


def test_another_mode_is_not_entered_during_a_trial() -> None:
    policy = pump_with(
        ("[entry.challenge]", '[modes.calibration]\nallow = ["mode"]\n[entry.challenge]'),
        ('from = ["pairing"]\nto = "normal"', 'from = ["pairing", "calibration"]\nto = "normal"'),
        ('allow = ["mode"]\n[entry', 'allow = ["mode"]\ntimeout_s = 5\n[entry'),
        ("[gate]", '[[transitions]]\nfrom = ["maintenance"]\nto = "calibration"\non = "enter"\n[gate]'),
    )
    gate = on_trial(policy)
    gate.happens(on.EnterProved(peer=ble(3), to="calibration"))
    assert refusal(gate) == (Reason.BUSY, "a trial is running")
    gate.happens(on.ConfirmAsked(peer=ble(3)), on.EnterProved(peer=ble(3), to="calibration"))
    assert gate.state.mode == "calibration"


def test_entering_again_without_an_idle_limit_starts_none() -> None:
    gate = Gate(small())
    gate.happens(ENTER, ENTER)
    assert gate.last.effects == ()


def test_a_timer_of_a_session_that_has_ended_means_nothing() -> None:
    gate = Gate(small())
    gate.happens(ENTER, on.Expired(timer=Timer.IDLE))
    assert gate.state.mode == "maintenance"
