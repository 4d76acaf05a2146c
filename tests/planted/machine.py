"""Faults of the machine, behind a door that is in order: its rows' rules, its effects, and what it may not overlook."""

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

from tests.planted.fault import Fault
from tests.prove import faults

from keyswitch.device.server.components import Components
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import machine, time_limits
from keyswitch.gate import session as rules
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event, Timer
from keyswitch.gate.machine import TABLE, Rule, Step
from keyswitch.gate.state import GateState
from keyswitch.policy.enums import InputType
from keyswitch.policy.model import Policy
from keyswitch.prove.successors import GateUnderProof
from keyswitch.terms import Security

Machine = Callable[[Policy, GateState, Event], Step]

# --- a rule out of a row ---


def row(kind: type[Event], without: Rule) -> Components:
    """The table with one rule out of one row."""
    left = tuple(rule for rule in TABLE[kind].rules if rule is not without)
    return Components(step=partial(machine.step, table={**TABLE, kind: replace(TABLE[kind], rules=left)}))


RULES: dict[tuple[type[Event], Rule], str] = {
    (on.AttachProved, rules.no_session): "test_what_belongs_to_a_session_is_refused_without_one",
    (on.AttachProved, rules.link_too_insecure): "test_who_joins_a_session_needs_the_security_that_its_way_asks_for",
    (on.AttachProved, rules.owner_is_here): "test_a_session_is_attached_to_again",
    (on.ExtendAsked, rules.no_session): "test_what_belongs_to_a_session_is_refused_without_one",
    (on.ExtendAsked, time_limits.not_extended): "test_extending_starts_the_lease_again_but_not_the_limit_of_extensions",
    (on.UploadStarted, rules.stray_upload): "test_outside_a_session_no_firmware_changes",
    (on.UploadStarted, rules.trial_runs): "test_nothing_is_uploaded_armed_or_entered_during_a_trial",
    (on.UploadStarted, rules.anothers_upload): "test_an_upload_has_one_owner_until_it_has_gone",
    (on.ArmAsked, rules.stray_state_write): "test_outside_a_session_no_firmware_changes",
    (on.ArmAsked, rules.guard_shut): "test_hold_waits_for_the_upload_and_then_leaves",
    (on.ArmAsked, rules.trial_runs): "test_nothing_is_uploaded_armed_or_entered_during_a_trial",
    (on.ArmAsked, rules.upload_runs): "test_an_armed_upload_waits_for_its_end",
    (on.ArmAsked, rules.not_in_permit): "test_a_permits_image_limit_holds_at_arming",
    (on.ArmAsked, rules.permanent_by_operator): "test_confirmation_by_the_application_itself",
    (on.ArmAsked, rules.another_is_armed): "test_arming_twice_is_once_and_another_image_has_to_wait",
    (on.ResetAsked, rules.stray_reset): "test_outside_a_session_no_firmware_changes",
    (on.ResetAsked, rules.guard_shut): "test_a_reset_waits_for_the_guards_when_it_is_asked_for_and_when_it_is_due",
    (on.ConfirmAsked, rules.stray_confirm): "test_outside_a_session_no_firmware_changes",
    (on.ConfirmAsked, rules.confirmed_by_operator): "test_confirmation_by_the_application_itself",
    (on.SelfConfirmed, rules.confirmed_by_application): "test_confirmation_by_the_operator",
}

ROWS = [
    Fault(
        name=f"{kind.__name__} without {rule.__name__}",
        rule=(kind, rule),
        parts=row(kind, rule),
        caught_by="gate/test_machine.py::" + test,
    )
    for (kind, rule), test in RULES.items()
]

# --- an effect that is not asked for ---


def never(kind: type[Effect]) -> Components:
    """A machine that forgets to ask for this effect."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        return replace(done, effects=tuple(each for each in done.effects if not isinstance(each, kind)))

    return Components(step=step)


FORGOTTEN: dict[type[Effect], str] = {
    do.StartTimer: "test_entering_by_command_starts_the_limits_and_ends_the_connection_after_the_answer",
    do.StopTimer: "test_leaving_always_cleans_up",
    do.DropQueued: "test_leaving_always_cleans_up",
    do.DropReassembly: "test_leaving_always_cleans_up",
    do.DropUpload: "test_leaving_always_cleans_up",
    do.WriteTrailer: "test_late_arming_writes_nothing_until_the_sessions_own_reset",
    do.Disarm: "test_an_armed_trailer_is_taken_back_on_leaving",
    do.ConfirmImage: "test_confirmation_by_the_operator",
    do.WriteSessionRecord: "test_late_arming_writes_nothing_until_the_sessions_own_reset",
    do.ClearSessionRecord: "test_leaving_always_cleans_up",
    do.PersistMode: "test_a_mode_that_outlives_a_reset_is_remembered",
    do.ResetNow: "test_late_arming_writes_nothing_until_the_sessions_own_reset",
    do.EndConnections: "test_entering_by_command_starts_the_limits_and_ends_the_connection_after_the_answer",
    do.ShowService: "test_the_table_changes_only_when_nobody_is_connected",
    do.Inhibit: "test_the_device_comes_up_in_its_initial_mode_and_says_so",
    do.ModeChanged: "test_the_device_comes_up_in_its_initial_mode_and_says_so",
}

EFFECTS = [
    Fault(
        name=f"the machine never asks for {kind.__name__}",
        rule=kind,
        parts=never(kind),
        caught_by="gate/test_machine.py::" + test,
    )
    for kind, test in FORGOTTEN.items()
] + [
    Fault(
        name="the machine never asks for MarkStore",
        rule=do.MarkStore,
        parts=never(do.MarkStore),
        caught_by="gate/test_first_trial.py::test_a_blank_store_is_marked_where_nothing_is_on_trial",
    )
]

# --- what it may not overlook, and what it may not keep ---


def blind(kind: type[Event], look: Callable[[Policy, GateState, Any], tuple[GateState, Event]]) -> Components:
    """A machine that, at one kind of event, takes the state or the event for another; what it did not see stays."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        if not isinstance(event, kind) or state.down:
            return machine.step(policy, state, event)
        seen, told = look(policy, state, event)
        done = machine.step(policy, seen, told)
        if done.refused is not None:
            return replace(done, state=state)
        names = [each.name for each in fields(GateState) if getattr(seen, each.name) != getattr(state, each.name)]
        unchanged = {n: getattr(state, n) for n in names if getattr(done.state, n) == getattr(seen, n)}
        return replace(done, state=replace(done.state, **unchanged))

    return Components(step=step)


def keeps(kind: type[Event], *names: str) -> Components:
    """A machine that leaves these fields of its state as they were at one kind of event."""

    def step(policy: Policy, state: GateState, event: Event) -> Step:
        done = machine.step(policy, state, event)
        if not isinstance(event, kind):
            return done
        return replace(done, state=replace(done.state, **{name: getattr(state, name) for name in names}))

    return Components(step=step)


def at_rest(policy: Policy, state: GateState) -> GateState:
    """As if every input were where no guard of the pump minds it."""
    return replace(state, inputs=tuple(False if each.type is InputType.BOOL else 100 for each in policy.inputs))


def with_the_images_of_the_session(_policy: Policy, state: GateState, event: on.EnterProved) -> tuple[GateState, Event]:
    return state, event if state.session is None else replace(event, images=state.session.images)


def without_an_owner(_policy: Policy, state: GateState, event: Event) -> tuple[GateState, Event]:
    return state if state.session is None else replace(state, session=replace(state.session, owner=None)), event


def by_a_proof_that_is_taken(policy: Policy, state: GateState, event: on.EnterProved) -> tuple[GateState, Event]:
    taken = [
        way.trigger.proofs for way in policy.transitions if way.target == event.to and hasattr(way.trigger, "proofs")
    ]
    return state, replace(event, proof=min(taken[0])) if taken and taken[0] else event


def resets_unasked(policy: Policy, state: GateState, event: Event) -> Step:
    """A granted reset takes place, whatever has come between."""
    if event == on.Expired(timer=Timer.RESET) and state.reset_pending and not state.down:
        return Step(state=replace(state, reset_pending=False, down=True), effects=(do.ResetNow(),))
    return machine.step(policy, state, event)


def hears_everything(policy: Policy, state: GateState, event: Event) -> Step:
    """Listens while it is down."""
    done = machine.step(policy, replace(state, down=False), event)
    return done if done.refused is None else replace(done, state=state)


def reverts_nothing(policy: Policy, state: GateState, event: Event) -> Step:
    """Leaves with an image on trial, and lets it run."""
    ends = isinstance(event, on.LeaveAsked | on.InputChanged | on.Expired)
    return machine.step(policy, replace(state, on_trial=frozenset()) if ends else state, event)


def holds_safety(policy: Policy, state: GateState, event: Event) -> Step:
    """Takes every input for one that an upload may hold back."""
    inputs = tuple(replace(each, safety=False) for each in policy.inputs)
    return machine.step(replace(policy, inputs=inputs), state, event)


def lets_a_stray_trial_run(policy: Policy, state: GateState, event: Event) -> Step:
    """Comes up with an image on trial that no session expects."""
    stray = isinstance(event, on.Booted) and event.trial and event.record is None
    return machine.step(policy, state, replace(event, on_trial=frozenset()) if stray else event)


def goes_on_although_it_ended(policy: Policy, state: GateState, event: Event) -> Step:
    """Takes up a session that was only left to be reverted."""
    if isinstance(event, on.Booted) and event.record is not None:
        event = replace(event, record=replace(event.record, ending=False))
    return machine.step(policy, state, event)


def takes_any_image_for_the_expected_one(policy: Policy, state: GateState, event: Event) -> Step:
    """Takes up a session whatever runs."""
    if isinstance(event, on.Booted) and event.record is not None and event.record.expected:
        event = replace(event, running=tuple(image for _, image in event.record.expected))
    return machine.step(policy, state, event)


def begins_every_lease_anew(policy: Policy, state: GateState, event: Event) -> Step:
    """Gives a session its whole lease again after the reset."""
    done = machine.step(policy, state, event)
    if not isinstance(event, on.Booted) or done.state.session is None:
        return done
    lease_ms = policy.modes[done.state.mode].lease_ms or 0
    anew = do.StartTimer(timer=Timer.LEASE, ms=lease_ms)
    whole = tuple(
        anew if isinstance(each, do.StartTimer) and each.timer is Timer.LEASE else each for each in done.effects
    )
    return replace(done, effects=whole)


def writes_the_trailer_first(policy: Policy, state: GateState, event: Event) -> Step:
    """Arms before the record that carries the session is in flash."""
    done = machine.step(policy, state, event)
    return replace(done, effects=tuple(sorted(done.effects, key=lambda each: not isinstance(each, do.WriteTrailer))))


OTHERS: tuple[tuple[str, Components, str], ...] = (
    (
        "entry does not ask the guards",
        blind(on.EnterProved, lambda policy, state, event: (at_rest(policy, state), event)),
        "test_entering_names_the_guard_that_shuts",
    ),
    (
        "entry takes any proof",
        blind(on.EnterProved, by_a_proof_that_is_taken),
        "test_entering_by_a_proof_the_way_does_not_take",
    ),
    (
        "entry does not ask how the link is protected",
        blind(
            on.EnterProved,
            lambda _, state, event: (state, replace(event, peer=replace(event.peer, security=Security.AUTHENTICATED))),
        ),
        "test_entering_with_a_link_that_is_not_secure_enough",
    ),
    (
        "entry does not mind other centrals",
        blind(
            on.EnterProved,
            lambda _, state, event: (replace(state, connections=state.connections & {event.peer.id}), event),
        ),
        "test_another_central_keeps_maintenance_shut_or_is_sent_away",
    ),
    (
        "entry into another mode does not mind a trial",
        blind(on.EnterProved, lambda _, state, event: (replace(state, on_trial=frozenset()), event)),
        "test_another_mode_is_not_entered_during_a_trial",
    ),
    (
        "entering again brings a permit with another limit",
        blind(on.EnterProved, with_the_images_of_the_session),
        "test_entering_again_with_another_limit_or_proof_is_refused",
    ),
    (
        "entering again takes the session from its owner",
        blind(on.EnterProved, without_an_owner),
        "test_a_session_is_attached_to_again",
    ),
    (
        "the button does not ask the guards",
        blind(on.ButtonHeld, lambda policy, state, event: (at_rest(policy, state), event)),
        "test_a_long_hold_whose_guard_fails_does_not_become_a_short_one",
    ),
    (
        "a session belongs to a peer that has gone",
        keeps(on.Disconnected, "session"),
        "test_an_owner_that_goes_owns_nothing",
    ),
    (
        "an upload belongs to a peer that has gone",
        keeps(on.Disconnected, "upload"),
        "test_an_upload_has_one_owner_until_it_has_gone",
    ),
    (
        "a central that has gone counts as connected",
        keeps(on.Disconnected, "connections"),
        "test_ways_by_connection_take_the_first_and_the_last",
    ),
    (
        "an upload leaves the arming as it is",
        keeps(on.UploadStarted, "armed"),
        "test_an_upload_forgets_what_was_armed",
    ),
    (
        "an arming that failed stays",
        keeps(on.ArmFailed, "armed"),
        "test_an_image_that_is_no_longer_what_was_armed_stops_the_reset",
    ),
    ("a confirmed image stays on trial", keeps(on.ConfirmAsked, "on_trial"), "test_confirmation_by_the_operator"),
    ("leaving keeps the upload", keeps(on.LeaveAsked, "upload"), "test_leaving_always_cleans_up"),
    (
        "leaving keeps the arming",
        keeps(on.LeaveAsked, "armed"),
        "test_leaving_forgets_what_was_armed_and_the_reset_that_was_granted",
    ),
    ("leaving keeps the granted reset", keeps(on.LeaveAsked, "reset_pending"), "test_leaving_always_cleans_up"),
    ("the end of the lease keeps the session", keeps(on.Expired, "session"), "test_leaving_always_cleans_up"),
    (
        "a guard that turns false ends no session",
        blind(
            on.InputChanged,
            lambda policy, state, event: (
                state,
                replace(
                    event, value=at_rest(policy, state).inputs[[each.name for each in policy.inputs].index(event.name)]
                ),
            ),
        ),
        "test_hold_without_an_upload_leaves_at_once",
    ),
    (
        "a safety input is held back by an upload",
        Components(step=holds_safety),
        "test_hold_never_holds_back_a_safety_input",
    ),
    (
        "a granted reset does not ask again when it is due",
        Components(step=resets_unasked),
        "test_a_reset_waits_for_the_guards_when_it_is_asked_for_and_when_it_is_due",
    ),
    (
        "it listens while it is down",
        Components(step=hears_everything),
        "test_nothing_but_coming_up_is_heard_before_the_boot",
    ),
    (
        "leaving reverts no trial",
        Components(step=reverts_nothing),
        "test_leaving_during_a_trial_reverts_first_and_the_gate_is_shut_meanwhile",
    ),
    (
        "a stray trial runs on",
        Components(step=lets_a_stray_trial_run),
        "test_a_trial_that_no_session_expects_is_reverted_at_boot",
    ),
    (
        "a session that has ended goes on after its revert",
        Components(step=goes_on_although_it_ended),
        "test_leaving_during_a_trial_reverts_first_and_the_gate_is_shut_meanwhile",
    ),
    (
        "a session goes on whatever image runs",
        Components(step=takes_any_image_for_the_expected_one),
        "test_a_record_that_does_not_fit_opens_nothing",
    ),
    ("a reset lengthens the lease", Components(step=begins_every_lease_anew), "test_a_record_never_lengthens_a_lease"),
    (
        "the trailer is written before the record",
        Components(step=writes_the_trailer_first),
        "test_late_arming_writes_nothing_until_the_sessions_own_reset",
    ),
)

OVERSIGHTS = [Fault(name=name, parts=parts, caught_by="gate/test_machine.py::" + test) for name, parts, test in OTHERS]

OF_PAIRS: tuple[tuple[str, GateUnderProof, str], ...] = (
    (
        "one confirmation ends the trial of every image",
        faults.where(on.ConfirmAsked, faults.ends_every_trial),
        "test_the_trial_lasts_until_each_is_confirmed",
    ),
    (
        "images are armed together whatever the policy says",
        faults.where(on.ArmAsked, faults.arms_all),
        "test_one_after_the_other_where_the_policy_says_so",
    ),
    (
        "the record names one of two images",
        faults.records_the_first_alone(),
        "test_all_that_is_armed_starts_at_one_reset_the_record_first",
    ),
    (
        "one trailer of two is taken back",
        faults.disarms_the_first_alone(),
        "test_where_one_slot_is_not_what_was_armed_nothing_is_started",
    ),
    (
        "what else is on trial is not seen at boot",
        faults.where(on.Booted, faults.sees_the_first_alone),
        "test_a_session_goes_on_where_every_image_that_it_names_runs_and_nothing_else_is_on_trial",
    ),
)

PAIRS = [
    Fault(name=name, parts=Components(step=gate.step), caught_by="gate/test_image_pairs.py::" + test)
    for name, gate, test in OF_PAIRS
]

FAULTS = [*ROWS, *EFFECTS, *OVERSIGHTS, *PAIRS]
