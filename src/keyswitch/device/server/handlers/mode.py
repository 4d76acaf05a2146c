"""Group mode: asking about maintenance, entering it, leaving it (`keyswitch.smp.groups.mode` has the contract)."""

from dataclasses import replace
from typing import Final

from keyswitch.device.server import entry_proofs
from keyswitch.device.server.handlers import fields
from keyswitch.device.server.handlers.table import CommandRow, Payload, Table
from keyswitch.device.server.handlers.views import ModeView
from keyswitch.device.server.reply import Body, Call, Reply, SmpError
from keyswitch.gate.decision import Refused
from keyswitch.gate.events import AttachProved, EnterProved, ExtendAsked, LeaveAsked
from keyswitch.gate.peer import Service
from keyswitch.policy.model import OnEnter
from keyswitch.proof.challenge import Purpose
from keyswitch.reasons import FalseGuard, Reason, format_reason
from keyswitch.smp import cbor
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image, mode
from keyswitch.smp.header import HEADER_SIZE, Op

UPLOAD: Final = CommandKey(image.ID, image.Id.UPLOAD, Op.WRITE)
"""The gate is open for a peer if it lets this through."""
_MALFORMED: Final = SmpError(Rc.EINVAL)


def state(core: ModeView, call: Call) -> Reply:
    """Where the device is, and whether its gate is open for this peer; if not, why."""
    told: Body = {"mode": core.state.mode}
    asked = core.decide(replace(call.peer, door=Service.SMP), UPLOAD)
    told["gate"] = not isinstance(asked, Refused)
    _add_lease(core, call, told)
    told["boot_id"] = core.boot_id
    told["policy"] = core.policy.digest[: mode.POLICY_SIZE]
    if isinstance(asked, Refused):
        waits = core.state.session is None and not core.state.first_trial
        shut = entry_proofs.why_shut(core, call.peer) if waits else None
        told["reason"] = (shut or asked).text
        if not _fits(core, told):
            told["reason"] = _shorter(shut or asked)
    named = {**told, "device": core.policy.device.id}
    return named if _fits(core, named) else told


def _fits(core: ModeView, told: Body) -> bool:
    """Whether this answer fits the device's buffers; what is only good to know is left out where it does not."""
    return HEADER_SIZE + len(cbor.dumps_indefinite(told)) <= core.policy.smp.buf_size


def _shorter(refused: Refused) -> str:
    """The reason without the value that an input has now."""
    guard = FalseGuard.parse(refused.detail)
    return refused.text if guard is None else format_reason(refused.reason, replace(guard, now=None).detail)


def challenge(core: ModeView, call: Call) -> Reply:
    """A nonce for entering `to`, or for attaching to the session if the device is there."""
    to = fields.text(call.body, "to")
    if to is None:
        return _MALFORMED
    if not _leads(core, to):
        return Refused(Reason.WRONG_MODE, core.state.mode)
    nonce = core.nonces.give(call.peer.id, to, core.setup.random(mode.NONCE_SIZE), call.now_ms)
    kinds = [kind.value for kind in entry_proofs.kinds_into(core, to)]
    return {"nonce": nonce, "device": core.policy.device.id, "proofs": kinds}


def enter(core: ModeView, call: Call) -> Reply:
    """Enter `to`. A peer that has entered and asks again, because its answer was lost, is told the same again."""
    to = fields.text(call.body, "to")
    if to is None:
        return _MALFORMED
    session = core.state.session
    if session is not None and session.owner == call.peer.id and core.state.mode == to:
        return _entered(core, call)
    if not _leads(core, to):
        return Refused(Reason.WRONG_MODE, core.state.mode)
    if not _needs_proof(core, to):
        refused = core.feed(EnterProved(peer=call.peer, to=to), call.now_ms)
        return _entered(core, call) if refused is None else refused
    checked = entry_proofs.check(core, call, to, Purpose.ENTER)
    if not isinstance(checked, entry_proofs.Proved):
        return _not_yet(checked)
    event = EnterProved(peer=call.peer, to=to, proof=checked.kind, images=checked.images)
    refused = entry_proofs.kept_by_owner(core, call) or core.refusal(event)
    if refused is None:
        entry_proofs.spend(core, checked)
        refused = core.feed(event, call.now_ms, checked.credential)
    return _entered(core, call) if refused is None else refused


def _not_yet(checked: entry_proofs.Halfway | Refused) -> Reply:
    return {"left": checked.left} if isinstance(checked, entry_proofs.Halfway) else checked


def _leads(core: ModeView, to: str) -> bool:
    """Whether a request can lead to `to` at all, or the session there is the one asked about."""
    here = core.state.mode == to and core.state.session is not None
    return here or any(way.target == to for way in core.policy.ways(core.state.mode, OnEnter))


def _needs_proof(core: ModeView, to: str) -> bool:
    """Whether every way into `to` from here takes a proof; entering a session that is there always does."""
    ways = [way.trigger for way in core.policy.ways(core.state.mode, OnEnter) if way.target == to]
    return not any(isinstance(trigger, OnEnter) and not trigger.proofs for trigger in ways)


def _entered(core: ModeView, call: Call) -> Body:
    told: Body = {"session": core.token, "reconnect": call.peer.id in core.ending}
    if told["reconnect"] and core.setup.maintenance_address:
        told["address"] = core.setup.maintenance_address
    _add_lease(core, call, told)
    return told


def attach(core: ModeView, call: Call) -> Reply:
    """The session's owner proves itself on a new connection."""
    if core.state.session is None:
        return Refused(Reason.WRONG_MODE, core.state.mode)
    checked = entry_proofs.check(core, call, core.state.mode, Purpose.ATTACH)
    if not isinstance(checked, entry_proofs.Proved):
        return _not_yet(checked)
    wrong = entry_proofs.check_attaching(core, checked)
    if wrong is not None:
        entry_proofs.note_wrong(core, call, checked.kind, wrong, to=core.state.mode, purpose=Purpose.ATTACH)
        return entry_proofs.WRONG
    refused = entry_proofs.kept_by_owner(core, call) or core.feed(
        AttachProved(peer=call.peer), call.now_ms, checked.credential
    )
    return _lease(core, call) if refused is None else refused


def extend(core: ModeView, call: Call) -> Reply:
    """Start the lease again."""
    refused = core.feed(ExtendAsked(peer=call.peer), call.now_ms)
    return _lease(core, call) if refused is None else refused


def leave(core: ModeView, call: Call) -> Reply:
    """Leave; having left already is as good."""
    refused = core.feed(LeaveAsked(peer=call.peer), call.now_ms)
    return {"mode": core.state.mode} if refused is None else refused


def _lease(core: ModeView, call: Call) -> Body:
    told: Body = {}
    _add_lease(core, call, told)
    return told


def _add_lease(core: ModeView, call: Call, told: Body) -> None:
    lease_ms = core.lease_ms(call.now_ms)
    if lease_ms is not None:
        told["lease_ms"] = lease_ms


HANDLERS: Final[Table] = {
    (mode.ID, mode.Id.STATE, Op.READ): CommandRow(state, Payload.IGNORED),
    (mode.ID, mode.Id.CHALLENGE, Op.READ): CommandRow(challenge, Payload.MAP),
    (mode.ID, mode.Id.ENTER, Op.WRITE): CommandRow(enter, Payload.MAP),
    (mode.ID, mode.Id.ATTACH, Op.WRITE): CommandRow(attach, Payload.MAP),
    (mode.ID, mode.Id.EXTEND, Op.WRITE): CommandRow(extend, Payload.IGNORED),
    (mode.ID, mode.Id.LEAVE, Op.WRITE): CommandRow(leave, Payload.IGNORED),
}
