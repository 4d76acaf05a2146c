"""Rows of the table about firmware: upload, arming, reset, confirmation; and about the session: attaching, its lease.

Outside a session they ask the policy once more whether the mode serves them, so that a broken door alone changes no
firmware. A sound policy serves them within sessions only. The device does what an unsound one says as well, so that
what `keyswitch check` finds can be seen; but no session carries it, and a stray trial is reverted at boot.
"""

from dataclasses import replace
from typing import Final

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.change import NOTHING_WAITS, Change
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import Timer
from keyswitch.gate.guards import refused_by, session_failing
from keyswitch.gate.peer import Peer
from keyswitch.gate.state import Arming, Session, Upload
from keyswitch.policy.words import Arm, Confirm, SessionRule
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import CommandKey, resolve

RESET_DELAY_MS: Final = 250
"""The answer to a reset leaves first (Zephyr `CONFIG_MCUMGR_GRP_OS_RESET_MS`)."""

_TRIAL: Final = Refused(Reason.BUSY, "a trial is running", Rc.EBUSY)


_UPLOADS: Final = resolve("image.upload") | resolve("image.erase")
_STATE_WRITE: Final = resolve("image.state:write")
_RESET: Final = resolve("os.reset")

_NO_SESSION: Final = Refused(Reason.WRONG_MODE, "nobody has entered")


def _session(change: Change) -> Session | Refused:
    session = change.state.session
    return Refused(Reason.WRONG_MODE, change.state.mode) if session is None else session


def _stray(change: Change, commands: frozenset[CommandKey]) -> Refused | None:
    """Refuses outside a session, unless the mode itself serves one of the commands."""
    if change.state.session is not None:
        return None
    if change.mode.maintenance:
        return _NO_SESSION
    return None if commands & change.mode.allow else Refused(Reason.WRONG_MODE, change.state.mode)


def _shut(change: Change, commands: frozenset[CommandKey]) -> Refused | None:
    """Refuses while a guard of the entry does not hold, and what is stray."""
    session = change.state.session
    guard = None if session is None else session_failing(change.policy, change.state, session)
    return _stray(change, commands) if guard is None else refused_by(change.state, guard)


def attach_proved(change: Change, event: on.AttachProved) -> Refused | None:
    """The session's owner is back on another connection."""
    session = _session(change)
    if isinstance(session, Refused):
        return session
    insecure = too_insecure(change, session, event.peer)
    if insecure is not None:
        return insecure
    if owned_by_other(change, session, event.peer):
        return Refused(Reason.OWNER)
    change.state = replace(change.state, session=replace(session, owner=event.peer.id))
    return None


def too_insecure(change: Change, session: Session, peer: Peer) -> Refused | None:
    """Refuses a peer whose link is worth less than the way by which the session was opened asks for."""
    needed = change.policy.transitions[session.way].security
    return Refused(Reason.SECURITY, needed.word) if peer.security < needed else None


def owned_by_other(change: Change, session: Session, peer: Peer) -> bool:
    """Whether an owner who is still connected keeps this peer out."""
    owner = session.owner
    exclusive = change.mode.session is SessionRule.OWNER
    return exclusive and owner is not None and owner != peer.id and owner in change.state.connections


def extend_asked(change: Change, event: on.ExtendAsked) -> Refused | None:
    """Start the lease again; the limit of all extensions runs on."""
    del event
    session = _session(change)
    if isinstance(session, Refused):
        return session
    lease_ms = change.mode.lease_ms
    if lease_ms is None or lease_ms == change.mode.lease_max_ms:
        return Refused(Reason.EXPIRED, "this lease is not extended")
    change.do(do.StartTimer(timer=Timer.LEASE, ms=lease_ms))
    return None


def upload_started(change: Change, event: on.UploadStarted) -> Refused | None:
    """One upload, one owner. What was armed is not any more: its slot is about to change."""
    stray = _stray(change, _UPLOADS)
    if stray is not None:
        return stray
    state = change.state
    if state.trial:
        return _TRIAL
    upload, arming = state.upload, state.arming
    if upload is not None and upload.owner not in {None, event.peer.id}:
        return Refused(Reason.BUSY, "another peer is uploading", Rc.EBUSY)
    if arming is not None and arming.written:
        change.do(do.Disarm())
    change.state = replace(state, upload=Upload(owner=event.peer.id), arming=None)
    return None


def upload_ended(change: Change, event: on.UploadEnded) -> Refused | None:
    """Complete or given up; a session that was held open for it ends in `settle`."""
    del event
    change.state = replace(change.state, upload=None)
    return None


def arm_asked(change: Change, event: on.ArmAsked) -> Refused | None:
    """Mark an image for the next boot: now in flash, or only remembered until the session's own reset."""
    refused = _shut(change, _STATE_WRITE) or _unfit(change, event.image)
    if refused is not None:
        return refused
    state, update = change.state, change.policy.update
    if event.permanent and update.confirm is Confirm.SELF:
        return Refused(Reason.IMAGE, "only the application confirms")
    early = update.arm is Arm.EARLY
    arming = Arming(image=event.image, permanent=event.permanent, written=early)
    if state.arming is not None:
        return None if state.arming == arming else Refused(Reason.BUSY, "another image is pending", Rc.EBUSY)
    if early:
        change.do(do.WriteTrailer(image=event.image, permanent=event.permanent))
    change.state = replace(state, arming=arming)
    return None


def _unfit(change: Change, image: bytes) -> Refused | None:
    """Why this image cannot be armed now."""
    state = change.state
    if state.trial:
        return _TRIAL
    if state.upload is not None:
        return Refused(Reason.BUSY, "an upload is running", Rc.EBUSY)
    limit = None if state.session is None else state.session.images
    return Refused(Reason.IMAGE, "not in the permit") if limit is not None and image not in limit else None


def arm_failed(change: Change, event: on.ArmFailed) -> Refused | None:
    """The slot is not what was armed: nothing is pending, and a reset that was to follow does not."""
    del event
    if change.state.arming is None:
        return None
    change.do(do.ClearSessionRecord())
    change.state = replace(change.state, arming=None, down=False)
    return None


def reset_asked(change: Change, event: on.ResetAsked) -> Refused | None:
    """Grant a reset; it takes place when its answer has had time to leave."""
    del event
    shut = _shut(change, _RESET)
    if shut is not None:
        return shut
    if not change.state.reset_pending:
        change.do(do.StartTimer(timer=Timer.RESET, ms=RESET_DELAY_MS))
        change.state = replace(change.state, reset_pending=True)
    return None


def reset_due(change: Change) -> None:
    """The granted reset. The record is in flash before the trailer is: no new image starts without its session."""
    state = change.state
    if not state.reset_pending:
        return
    if _shut(change, _RESET) is not None:
        change.state = replace(state, reset_pending=False)
        return
    carried = state.session is not None
    if state.arming is not None:
        if carried:
            change.do(do.WriteSessionRecord(image=state.arming.image))
        if not state.arming.written:
            change.do(do.WriteTrailer(image=state.arming.image, permanent=state.arming.permanent))
    elif state.trial and carried:
        # The bootloader reverts now; the session sees it through.
        change.do(do.WriteSessionRecord(image=None))
    change.do(*NOTHING_WAITS, do.ResetNow())
    change.state = replace(state, reset_pending=False, down=True)


def confirm_asked(change: Change, event: on.ConfirmAsked) -> Refused | None:
    """The operator says that the running image is good."""
    del event
    stray = _stray(change, _STATE_WRITE)
    if stray is not None:
        return stray
    if change.policy.update.confirm is Confirm.SELF:
        return Refused(Reason.IMAGE, "only the application confirms")
    _confirm(change)
    return None


def self_confirmed(change: Change, event: on.SelfConfirmed) -> Refused | None:
    """The application says so itself."""
    del event
    if change.policy.update.confirm is Confirm.OPERATOR:
        return Refused(Reason.IMAGE, "only the operator confirms")
    _confirm(change)
    return None


def _confirm(change: Change) -> None:
    if change.state.trial:
        change.do(do.ConfirmImage(), do.StopTimer(timer=Timer.TRIAL))
        change.state = replace(change.state, trial=False)


def command_served(change: Change, event: on.CommandServed) -> Refused | None:
    """Somebody is at work: in an owned session its owner, else anybody."""
    session, idle_ms = change.state.session, change.mode.idle_ms
    owned = session is not None and change.mode.session is SessionRule.OWNER
    if idle_ms is not None and (not owned or (session is not None and session.owner == event.peer.id)):
        change.do(do.StartTimer(timer=Timer.IDLE, ms=idle_ms))
    return None
