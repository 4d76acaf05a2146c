"""The only transition table. The device runs it and the prover explores it: one machine.

* `step` is total: every event in every state gives a `Step`. What is not foreseen is refused and changes nothing.
* It knows no clock and no bytes: time limits go out as `StartTimer` and come back as `Expired`.
* Guards are asked at entry, at arming, at the reset's request and at the reset itself, and whenever an input changes.
* Leaving maintenance always cleans up, whatever made it end (`gate.change`).
* It does not ask who may: `gate.authorise` was asked for the frame that led to the event.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from keyswitch.gate import at_boot, in_session, moves
from keyswitch.gate import events as on
from keyswitch.gate.change import Change, settle, show
from keyswitch.gate.decision import FIRST_TRIAL, RESETTING, Refused
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy


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


Row = Callable[[Change, Any], Refused | None]
"""One row of the table: makes its part of the change, or refuses before it has changed anything."""

TABLE: Final[dict[type[Event], Row]] = {
    on.Booted: at_boot.booted,
    on.Connected: moves.connected,
    on.Disconnected: moves.disconnected,
    on.InputChanged: moves.input_changed,
    on.ButtonHeld: moves.button_held,
    on.EnterProved: moves.enter_proved,
    on.AttachProved: in_session.attach_proved,
    on.LeaveAsked: moves.leave_asked,
    on.ExtendAsked: in_session.extend_asked,
    on.Expired: moves.expired,
    on.UploadStarted: in_session.upload_started,
    on.UploadEnded: in_session.upload_ended,
    on.ArmAsked: in_session.arm_asked,
    on.ArmFailed: in_session.arm_failed,
    on.ResetAsked: in_session.reset_asked,
    on.ConfirmAsked: in_session.confirm_asked,
    on.SelfConfirmed: in_session.self_confirmed,
    on.CommandServed: in_session.command_served,
}
"""Every event. Within a row, what the event does in which mode is the policy's transitions and nothing else."""

_HEARD_WHILE_DOWN: Final = frozenset({on.Booted, on.ArmFailed, on.Disconnected, on.InputChanged})
"""Between `ResetNow` and `Booted` nothing else is listened to."""

_HEARD_ON_FIRST_TRIAL: Final = frozenset(
    {on.Booted, on.Connected, on.Disconnected, on.InputChanged, on.Expired, on.ConfirmAsked, on.SelfConfirmed}
)
"""Until the first gated image is confirmed or reverted; nothing of these changes the mode."""


def initial(policy: Policy) -> GateState:
    """The state before `Booted`: nothing is served in it."""
    return GateState(mode=policy.device.initial_mode, inputs=tuple(each.initial for each in policy.inputs), down=True)


def step(policy: Policy, state: GateState, event: Event) -> Step:
    """What `event` does in `state`."""
    kind = type(event)
    if state.down and kind not in _HEARD_WHILE_DOWN:
        return Step(state=state, refused=RESETTING)
    if state.first_trial and kind not in _HEARD_ON_FIRST_TRIAL:
        return Step(state=state, refused=FIRST_TRIAL)
    change = Change(policy=policy, state=state)
    refused = TABLE[kind](change, event)
    if refused is not None:
        return Step(state=state, refused=refused)
    if kind is not on.CommandServed:
        settle(change)
        show(change)
    return Step(state=change.state, effects=tuple(change.effects), ways=tuple(change.ways))
