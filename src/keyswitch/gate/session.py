"""Rows of the table about firmware: upload, arming, reset, confirmation; and about whose the session is: attaching.

Outside a session they ask the policy once more whether the mode serves them, so that a broken door alone changes no
firmware. A sound policy serves them within sessions only. The device does what an unsound one says as well, so that
what `keyswitch check` finds can be seen; but no session carries it, and a stray trial is reverted at boot.
"""

from typing import Final

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.change import NOTHING_WAITS, Change, arrive, keep_quiet, timers
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import Event, Timer
from keyswitch.gate.frozen import replace
from keyswitch.gate.guards import binding, refused_by, session_failing
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import Arming, Session, Upload
from keyswitch.policy.enums import Arm, Confirm, SessionRule
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import CommandKey, resolve

RESET_DELAY_MS: Final = 250
"""The answer to a reset leaves first (Zephyr `CONFIG_MCUMGR_GRP_OS_RESET_MS`)."""

_TRIAL: Final = Refused(Reason.BUSY, "a trial is running", Rc.EBUSY)
_APPLICATION: Final = Refused(Reason.IMAGE, "only the application confirms")


_UPLOADS: Final = resolve("image.upload") | resolve("image.erase")
_STATE_WRITE: Final = resolve("image.state:write")
_RESET: Final = resolve("os.reset")

_NO_SESSION: Final = Refused(Reason.WRONG_MODE, "nobody has entered")


# --- why something is refused: each a value in a row of the table (`gate.machine`), asked before anything changes ---


def no_session(change: Change, _event: Event) -> Refused | None:
    """What belongs to a session needs one."""
    return Refused(Reason.WRONG_MODE, change.state.mode) if change.state.session is None else None


def stray_upload(change: Change, _event: Event) -> Refused | None:
    """Outside a session, unless the mode itself serves uploads or erasing."""
    return _stray(change, _UPLOADS)


def stray_state_write(change: Change, _event: Event) -> Refused | None:
    """Outside a session, unless the mode itself serves state writes."""
    return _stray(change, _STATE_WRITE)


def stray_reset(change: Change, _event: Event) -> Refused | None:
    """Outside a session, unless the mode itself serves resets."""
    return _stray(change, _RESET)


def stray_confirm(change: Change, event: Event) -> Refused | None:
    """As `stray_state_write`, but that the first image with this gate is confirmed without a session."""
    return None if change.state.first_trial else stray_state_write(change, event)


def _stray(change: Change, commands: frozenset[CommandKey]) -> Refused | None:
    if change.state.session is not None:
        return None
    if change.mode.maintenance:
        return _NO_SESSION
    return None if commands & change.mode.allow else Refused(Reason.WRONG_MODE, change.state.mode)


def guard_shut(change: Change, _event: Event) -> Refused | None:
    """While a guard of the entry does not hold, a session goes on only for its upload's sake."""
    session = change.state.session
    guard = None if session is None else session_failing(change.policy, change.state, session)
    return None if guard is None else refused_by(change.state, guard)


def link_too_insecure(change: Change, event: on.AttachProved) -> Refused | None:
    """Who joins a session needs the level that its way asks for."""
    session = change.state.session
    return None if session is None else too_insecure(change, session, event.peer)


def owner_is_here(change: Change, event: on.AttachProved) -> Refused | None:
    """Nobody takes an owned session from an owner who is connected."""
    session = change.state.session
    held = session is not None and owned_by_other(change, session, event.peer)
    return Refused(Reason.OWNER) if held else None


def trial_runs(change: Change, _event: Event) -> Refused | None:
    """The other slot holds what the trial would go back to."""
    return _TRIAL if change.state.trial else None


def anothers_upload(change: Change, event: on.UploadStarted) -> Refused | None:
    """One upload, one owner."""
    upload = change.state.upload
    others = upload is not None and upload.owner not in {None, event.peer.id}
    return Refused(Reason.BUSY, "another peer is uploading", Rc.EBUSY) if others else None


def upload_runs(change: Change, _event: Event) -> Refused | None:
    """Nothing is armed whose slot is still being written."""
    return Refused(Reason.BUSY, "an upload is running", Rc.EBUSY) if change.state.upload is not None else None


def not_in_permit(change: Change, event: on.ArmAsked) -> Refused | None:
    """The session's permit may name the images."""
    session = change.state.session
    limit = None if session is None else session.images
    return Refused(Reason.IMAGE, "not in the permit") if limit is not None and event.image not in limit else None


def permanent_by_operator(change: Change, event: on.ArmAsked) -> Refused | None:
    """To arm without a trial is to confirm, and that is the application's here."""
    return _APPLICATION if event.permanent and change.policy.update.confirm is Confirm.SELF else None


def another_is_armed(change: Change, event: on.ArmAsked) -> Refused | None:
    """What is armed already may be armed again, in the same way; beside it another pair's, if the policy has it so."""
    armed = change.state.armed_of(event.pair)
    if armed is not None and (armed.image, armed.permanent) != (event.image, event.permanent):
        return Refused(Reason.BUSY, "another image is pending", Rc.EBUSY)
    beside = not change.policy.update.simultaneous and any(each.pair != event.pair for each in change.state.armed)
    return Refused(Reason.BUSY, "an image of another number is pending", Rc.EBUSY) if beside else None


def confirmed_by_operator(change: Change, _event: Event) -> Refused | None:
    """The policy leaves it to the application."""
    return _APPLICATION if change.policy.update.confirm is Confirm.SELF else None


def confirmed_by_application(change: Change, _event: Event) -> Refused | None:
    """The policy leaves it to the operator."""
    return (
        Refused(Reason.IMAGE, "only the operator confirms")
        if change.policy.update.confirm is Confirm.OPERATOR
        else None
    )


RESET_RULES: Final = (stray_reset, guard_shut)
"""Asked when a reset is granted, and again when it is due."""

# --- what happens ---


def attach_proved(change: Change, event: on.AttachProved) -> Refused | None:
    """The session's owner is back on another connection."""
    session = change.state.session
    if session is not None:
        change.state = replace(change.state, session=replace(session, owner=event.peer.id))
    return None


def too_insecure(change: Change, session: Session, peer: Peer) -> Refused | None:
    """Refuses a peer whose link is worth less than the way by which the session was opened asks for."""
    needed = binding(change.policy, change.state.mode, session).security
    return Refused(Reason.SECURITY, needed.word) if peer.security < needed else None


def owned_by_other(change: Change, session: Session, peer: Peer) -> bool:
    """Whether an owner who is still connected keeps this peer out."""
    owner = session.owner
    exclusive = change.mode.session is SessionRule.OWNER
    return exclusive and owner is not None and owner != peer.id and owner in change.state.connections


def upload_started(change: Change, event: on.UploadStarted) -> Refused | None:
    """One upload, one owner. What was armed of this pair is not any more: its slot is about to change."""
    keep_quiet(change, change.mode)
    state, armed = change.state, change.state.armed_of(event.pair)
    if armed is not None and armed.written:
        change.do(do.Disarm(pair=event.pair))
    others = tuple(each for each in state.armed if each.pair != event.pair)
    change.state = replace(state, upload=Upload(owner=event.peer.id), armed=others)
    return None


def upload_ended(change: Change, event: on.UploadEnded) -> Refused | None:
    """Complete or given up; a session that was held open for it ends in `settle`."""
    del event
    change.state = replace(change.state, upload=None)
    return None


def arm_asked(change: Change, event: on.ArmAsked) -> Refused | None:
    """Mark an image for the next boot: now in flash, or only remembered until the session's own reset."""
    keep_quiet(change, change.mode)
    early = change.policy.update.arm is Arm.EARLY
    arming = Arming(image=event.image, permanent=event.permanent, written=early, pair=event.pair)
    armed = change.state.armed
    if arming in armed:
        return None
    if early:
        change.do(do.WriteTrailer(image=event.image, permanent=event.permanent, pair=event.pair))
    change.state = replace(change.state, armed=tuple(sorted((*armed, arming), key=_pair_of)))
    return None


def _pair_of(arming: Arming) -> int:
    return arming.pair


def arm_failed(change: Change, event: on.ArmFailed) -> Refused | None:
    """A slot is not what was armed: nothing is pending, of no pair, and a reset that was to follow does not.

    What was armed beside it was to start with it, and its trailer may be in flash already. It is taken back first: no
    image is armed without the record that carries its session.
    """
    if not change.state.armed:
        return None
    change.do(*[do.Disarm(pair=each.pair) for each in change.state.armed if each.pair != event.pair])
    change.do(do.ClearSessionRecord())
    change.state = replace(change.state, armed=(), down=False)
    return None


def reset_asked(change: Change, event: on.ResetAsked) -> Refused | None:
    """Grant a reset; it takes place when its answer has had time to leave."""
    del event
    keep_quiet(change, change.mode)
    if not change.state.reset_pending:
        change.do(do.StartTimer(timer=Timer.RESET, ms=RESET_DELAY_MS))
        change.state = replace(change.state, reset_pending=True)
    return None


def reset_due(change: Change, event: on.Expired) -> None:
    """The granted reset. The record is in flash before any trailer is: no new image starts without its session."""
    state = change.state
    if not state.reset_pending:
        return
    if any(rule(change, event) is not None for rule in RESET_RULES):
        change.state = replace(state, reset_pending=False)
        return
    carried = state.session is not None
    if state.armed:
        if carried:
            change.do(do.WriteSessionRecord(expected=tuple((each.pair, each.image) for each in state.armed)))
        late = [each for each in state.armed if not each.written]
        change.do(*[do.WriteTrailer(image=each.image, permanent=each.permanent, pair=each.pair) for each in late])
    elif state.trial and carried:
        # The bootloader reverts now; the session sees it through.
        change.do(do.WriteSessionRecord(expected=()))
    change.do(*NOTHING_WAITS, do.ResetNow())
    change.state = replace(state, reset_pending=False, down=True)


def confirm_asked(change: Change, event: on.ConfirmAsked) -> Refused | None:
    """The operator says that the running image of one pair is good."""
    keep_quiet(change, change.mode)
    _confirm(change, frozenset({event.pair}))
    return None


def self_confirmed(change: Change, event: on.SelfConfirmed) -> Refused | None:
    """The application says so itself, of all that runs."""
    del event
    _confirm(change, change.state.on_trial)
    return None


def _confirm(change: Change, pairs: frozenset[int]) -> None:
    """These stay. The trial is over when nothing is on trial any more; until then its deadline runs on."""
    confirmed = pairs & change.state.on_trial
    if not confirmed:
        return
    left = change.state.on_trial - confirmed
    change.do(*[do.ConfirmImage(pair=pair) for pair in sorted(confirmed)])
    if left:
        change.state = replace(change.state, on_trial=left)
        return
    first = change.state.first_trial
    change.do(do.StopTimer(timer=Timer.TRIAL))
    change.state = replace(change.state, on_trial=left, first_trial=False)
    if first:
        arrive(change, None, timers(change.mode))  # from here on, a device like any other


def firmware_command(change: Change, event: on.FirmwareCommand) -> Refused | None:
    """Firmware is being worked on, with whatever success."""
    del event
    keep_quiet(change, change.mode)
    return None
