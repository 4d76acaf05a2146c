"""The only transition table. The device runs it and the prover explores it: one machine.

* `step` is total: every event in every state gives a `Step`. What is not foreseen is refused and changes nothing.
* It knows no clock and no bytes: time limits go out as `StartTimer` and come back as `Expired`.
* Guards are asked at entry, at arming, at the reset's request and at the reset itself, and whenever an input changes.
* Leaving maintenance always cleans up, whatever made it end (`gate.change`).
* It does not ask who may: `gate.authorise` was asked for the frame that led to the event.
"""

from dataclasses import dataclass
from typing import Final, assert_never

from keyswitch.gate import at_boot, in_session, moves
from keyswitch.gate import events as on
from keyswitch.gate.change import Change, settle, show
from keyswitch.gate.decision import RESETTING, Refused
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


_HEARD_WHILE_DOWN: Final = frozenset({on.Booted, on.ArmFailed, on.Disconnected, on.InputChanged})
"""Between `ResetNow` and `Booted` nothing else is listened to."""


def initial(policy: Policy) -> GateState:
    """The state before `Booted`: nothing is served in it."""
    return GateState(mode=policy.device.initial_mode, inputs=tuple(each.initial for each in policy.inputs), down=True)


def _row(change: Change, event: Event) -> Refused | None:  # noqa: C901, PLR0911, PLR0912 - a table
    """Every event, one row each: makes its part of the change, or refuses before it has changed anything.

    Within a row, what the event does in which mode is the policy's transitions and nothing else. An event without a row
    does not type-check.
    """
    match event:
        case on.Booted():
            return at_boot.booted(change, event)
        case on.Connected():
            return moves.connected(change, event)
        case on.Disconnected():
            return moves.disconnected(change, event)
        case on.InputChanged():
            return moves.input_changed(change, event)
        case on.ButtonHeld():
            return moves.button_held(change, event)
        case on.EnterProved():
            return moves.enter_proved(change, event)
        case on.AttachProved():
            return in_session.attach_proved(change, event)
        case on.LeaveAsked():
            return moves.leave_asked(change, event)
        case on.ExtendAsked():
            return in_session.extend_asked(change, event)
        case on.Expired():
            return moves.expired(change, event)
        case on.UploadStarted():
            return in_session.upload_started(change, event)
        case on.UploadEnded():
            return in_session.upload_ended(change, event)
        case on.ArmAsked():
            return in_session.arm_asked(change, event)
        case on.ArmFailed():
            return in_session.arm_failed(change, event)
        case on.ResetAsked():
            return in_session.reset_asked(change, event)
        case on.ConfirmAsked():
            return in_session.confirm_asked(change, event)
        case on.SelfConfirmed():
            return in_session.self_confirmed(change, event)
        case on.CommandServed():
            return in_session.command_served(change, event)
        case _:
            assert_never(event)


def step(policy: Policy, state: GateState, event: Event) -> Step:
    """What `event` does in `state`."""
    kind = type(event)
    if state.down and kind not in _HEARD_WHILE_DOWN:
        return Step(state=state, refused=RESETTING)
    change = Change(policy=policy, state=state)
    refused = _row(change, event)
    if refused is not None:
        return Step(state=state, refused=refused)
    if kind is not on.CommandServed:
        settle(change)
        show(change)
    return Step(state=change.state, effects=tuple(change.effects), ways=tuple(change.ways))
