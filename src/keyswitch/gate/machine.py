"""The only transition table. The device runs it and the prover explores it: one machine.

* `step` is total: every event in every state gives a `Step`. What is not foreseen is refused and changes nothing.
* It knows no clock and no bytes: time limits go out as `StartTimer` and come back as `Expired`.
* Guards are asked at entry, at arming, at the reset's request and at the reset itself, and whenever an input changes.
* Leaving maintenance always cleans up, whatever made it end (`gate.change`).
* It does not ask who may: `gate.authorise` was asked for the frame that led to the event.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

from keyswitch.frozen import quickly_made
from keyswitch.gate import boot, session, time_limits, transitions
from keyswitch.gate import events as on
from keyswitch.gate.change import Change, apply_input_transitions, sync_gatt_table
from keyswitch.gate.decision import FIRST_TRIAL, RESETTING, Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one event did.

    Attributes:
        state: the state afterwards.
        effects: what is to be done, in order.
        refused: why the event was refused; then `state` is unchanged and there are no effects.
        ways: indexes of the policy's transitions that were taken, in order.
    """

    state: GateState
    effects: tuple[Effect, ...] = ()
    ways: tuple[int, ...] = ()
    refused: Refused | None = None


Rule = Callable[[Change, Any], Refused | None]
"""Why an event is refused in a state; None: this rule has nothing against it. It changes nothing."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """What one kind of event does.

    Attributes:
        act: makes its part of the change, or refuses before it has changed anything.
        rules: asked first, in this order; the first refusal decides.
    """

    act: Callable[[Change, Any], Refused | None]
    rules: tuple[Rule, ...] = ()


Table = Mapping[type[Event], EventRow]

TABLE: Final[Table] = {
    on.Booted: EventRow(boot.booted),
    on.Connected: EventRow(transitions.connected),
    on.Disconnected: EventRow(transitions.disconnected),
    on.InputChanged: EventRow(transitions.input_changed),
    on.ButtonHeld: EventRow(transitions.button_held),
    on.EnterProved: EventRow(transitions.enter_proved),
    on.AttachProved: EventRow(
        session.attach_proved, (session.no_session, session.link_too_insecure, session.owner_is_here)
    ),
    on.LeaveAsked: EventRow(transitions.leave_asked),
    on.ExtendAsked: EventRow(time_limits.extend_asked, (session.no_session, time_limits.not_extended)),
    on.Expired: EventRow(time_limits.expired),
    on.UploadStarted: EventRow(
        session.upload_started, (session.stray_upload, session.trial_runs, session.anothers_upload)
    ),
    on.UploadEnded: EventRow(session.upload_ended),
    on.ArmAsked: EventRow(
        session.arm_asked,
        (
            session.stray_state_write,
            session.guard_shut,
            session.trial_runs,
            session.upload_runs,
            session.not_in_permit,
            session.permanent_by_operator,
            session.another_is_armed,
        ),
    ),
    on.ArmFailed: EventRow(session.arm_failed),
    on.ResetAsked: EventRow(session.reset_asked, session.RESET_RULES),
    on.ConfirmAsked: EventRow(session.confirm_asked, (session.stray_confirm, session.confirmed_by_operator)),
    on.SelfConfirmed: EventRow(session.self_confirmed, (session.confirmed_by_application,)),
    on.FirmwareCommand: EventRow(session.firmware_command),
    on.CommandServed: EventRow(time_limits.command_served),
}
"""Every event. Within a row, what the event does in which mode is the policy's transitions and nothing else."""

_HEARD_WHILE_DOWN: Final = frozenset({on.Booted, on.ArmFailed, on.Disconnected, on.InputChanged})
"""Between `ResetNow` and `Booted` nothing else is listened to."""

_HEARD_ON_FIRST_TRIAL: Final = frozenset(
    {on.Booted, on.Connected, on.Disconnected, on.InputChanged, on.Expired, on.ConfirmAsked, on.SelfConfirmed}
)
"""Until the first gated image is confirmed or reverted; nothing of these changes the mode."""

_OF_TIME_ALONE: Final = frozenset({on.FirmwareCommand, on.CommandServed})
"""They start time limits again, and no transition follows from them."""


def initial(policy: Policy) -> GateState:
    """The state before `Booted`: nothing is served in it."""
    return GateState(mode=policy.device.initial_mode, inputs=tuple(each.initial for each in policy.inputs), down=True)


def _row(table: Table, event: Event) -> EventRow:  # noqa: C901, PLR0911, PLR0912 - one case for each row
    """The event's row. An event that is not here does not type-check: whoever adds one gives it a row in the table."""
    match event:
        case on.Booted():
            return table[on.Booted]
        case on.Connected():
            return table[on.Connected]
        case on.Disconnected():
            return table[on.Disconnected]
        case on.InputChanged():
            return table[on.InputChanged]
        case on.ButtonHeld():
            return table[on.ButtonHeld]
        case on.EnterProved():
            return table[on.EnterProved]
        case on.AttachProved():
            return table[on.AttachProved]
        case on.LeaveAsked():
            return table[on.LeaveAsked]
        case on.ExtendAsked():
            return table[on.ExtendAsked]
        case on.Expired():
            return table[on.Expired]
        case on.UploadStarted():
            return table[on.UploadStarted]
        case on.UploadEnded():
            return table[on.UploadEnded]
        case on.ArmAsked():
            return table[on.ArmAsked]
        case on.ArmFailed():
            return table[on.ArmFailed]
        case on.ResetAsked():
            return table[on.ResetAsked]
        case on.ConfirmAsked():
            return table[on.ConfirmAsked]
        case on.SelfConfirmed():
            return table[on.SelfConfirmed]
        case on.FirmwareCommand():
            return table[on.FirmwareCommand]
        case on.CommandServed():
            return table[on.CommandServed]
        case _:
            assert_never(event)


def step(policy: Policy, state: GateState, event: Event, *, table: Table = TABLE) -> Step:
    """What `event` does in `state`.

    Args:
        policy: what the modes are.
        state: where the device is.
        event: what happened.
        table: the machine; tests take one rule out of it.
    """
    kind = type(event)
    if state.down and kind not in _HEARD_WHILE_DOWN:
        return Step(state=state, refused=RESETTING)
    if state.first_trial and kind not in _HEARD_ON_FIRST_TRIAL:
        return Step(state=state, refused=FIRST_TRIAL)
    change = Change(policy, state, [], [])
    row = _row(table, event)
    for rule in row.rules:
        refused = rule(change, event)
        if refused is not None:
            return Step(state=state, refused=refused)
    refused = row.act(change, event)
    if refused is not None:
        return Step(state=state, refused=refused)
    if kind not in _OF_TIME_ALONE:
        apply_input_transitions(change)
        sync_gatt_table(change)
    return Step(state=change.state, effects=tuple(change.effects), ways=tuple(change.ways))
