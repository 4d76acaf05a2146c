"""Who may enter: proofs checked against nonces and lock-out. The machine then decides whether the mode may change.

Rules kept here:

* A nonce is gone once it was tried, whether the proof was right or wrong.
* A wrong proof is counted, and the count has reached the store, before anybody hears that it was wrong; a use of a
  permit has reached it before the session opens.
* A refusal says `proof` and no more: not which part of it was wrong. `expired` is said to the permit's own holder.
* A session that a permit opened belongs to the holder of that permit: nobody else's permit attaches to it. Where the
  policy says `session = "owner"`, an owner off BLE who was heard within `OWNER_SILENT_MS` keeps everybody else out, as
  one on BLE does who is connected.
* While a kind is locked out, its proofs are not looked at; `locked out` says how long, which helps nobody to guess.
"""

from dataclasses import dataclass
from typing import Final

from keyswitch.device import events
from keyswitch.device.server.handlers.views import ModeView
from keyswitch.device.server.reply import Call
from keyswitch.gate.decision import Refused
from keyswitch.gate.peer import Peer
from keyswitch.gate.transitions import entry_way
from keyswitch.policy.enums import Clock, ProofKind, SessionRule
from keyswitch.policy.model import OnEnter
from keyswitch.proof import fields, sequence
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.reasons import Reason
from keyswitch.terms import Transport

OWNER_SILENT_MS: Final = 10_000
"""UDP and a serial line know no connection: an owner counts as there for two waits of a client (5 s) after it was last
heard. Longer would keep an operator out who comes back from another port; shorter would not outlast one lost packet."""

WRONG: Final = Refused(Reason.PROOF)

MAX_SAID: Final = 64
"""Characters of what a peer has said that a record takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A proof that holds.

    Attributes:
        kind: of proof.
        images: the only image hashes that it allows; None: no limit.
        counted: id of the permit whose use has to be counted; None if there is none.
        credential: the permit and its holder; None where no permit was shown.
    """

    kind: ProofKind
    images: frozenset[bytes] | None = None
    counted: bytes | None = None
    credential: events.HolderCredential | None = None


@dataclass(frozen=True, slots=True)
class WrongProof:
    """A proof that does not hold. Attributes: why: for the log alone."""

    why: str


@dataclass(frozen=True, slots=True)
class Halfway:
    """A right step of a sequence that has more. Attributes: left: steps still to come."""

    left: int


Checked = Proved | Halfway | Refused
_Judged = Checked | WrongProof

_NO_NONCE: Final = WrongProof("no nonce was out for this peer and mode")
_MALFORMED: Final = WrongProof("malformed")


def kinds_into(core: ModeView, to: str) -> tuple[ProofKind, ...]:
    """The kinds of proof that open `to` from where the device is, or that the session there takes from others."""
    here = core.state.session is not None and core.state.mode == to
    ways = core.policy.transitions if here else core.policy.ways(core.state.mode, OnEnter)
    triggers = (way.trigger for way in ways if way.target == to)
    kinds = (kind for trigger in triggers if isinstance(trigger, OnEnter) for kind in trigger.proofs)
    return tuple(dict.fromkeys(kinds))


def check(core: ModeView, call: Call, to: str, purpose: Purpose) -> Checked:
    """Check the proof in the request, and count it if it is wrong.

    Args:
        core: the device.
        call: with the fields of `keyswitch.proof.fields` in its body.
        to: the mode asked for, or the session's when attaching.
        purpose: entering or attaching.
    """
    word = call.body.get(fields.PROOF)
    kind = next((kind for kind in _CHECKS if kind.value == word), None)
    if kind is None:
        note_wrong(core, call, kind, "not a proof that is taken here", to=to, purpose=purpose)
        return WRONG
    asked = kinds_into(core, to)
    for rule in core.parts.hearing:
        unheard = rule(kind, asked, core.lockout, call.now_ms)
        if unheard is not None:
            if unheard.reason is Reason.PROOF:
                note_wrong(core, call, kind, "not a proof that is taken here", to=to, purpose=purpose)
            return unheard
    judged = _CHECKS[kind](core, call, to, purpose)
    before = core.lockout
    if isinstance(judged, Proved):
        core.lockout = before.right(kind)
    elif isinstance(judged, WrongProof):
        core.lockout = before.wrong(core.policy.entry.lockout, kind, call.now_ms)
    if core.lockout.failures != before.failures:
        core.setup.memory.save_lockout(core.lockout.stored())
    if not isinstance(judged, WrongProof):
        return judged
    failures = core.lockout.failures[kind]
    note_wrong(core, call, kind, judged.why, to=to, purpose=purpose, failures=failures)
    locked_ms = core.lockout.remaining_ms(kind, call.now_ms)
    if locked_ms:
        core.note(events.LockedOut(kind=kind, failures=failures, for_ms=locked_ms))
    return WRONG


def note_wrong(
    core: ModeView, call: Call, kind: ProofKind | None, why: str, *, to: str, purpose: Purpose, failures: int = 0
) -> None:
    """Record that a proof did not hold."""
    core.note(
        events.ProofWrong(
            kind=kind, why=why, purpose=purpose, to=printable(to), failures=failures, by=events.by(call.peer)
        )
    )


def printable(text: str) -> str:
    """What a peer has said, for a record: short, and nothing that a terminal would act on."""
    return "".join(each if each.isprintable() else "?" for each in text[:MAX_SAID])


def check_attaching(core: ModeView, proved: Proved) -> str | None:
    """What is wrong with attaching to the session by this proof; None: it is the session's own."""
    session = core.state.session
    if session is None or proved.kind is not session.proof:
        return "the session was opened in another way"
    if proved.images != session.images:
        return "the session has another limit"
    if (None if proved.credential is None else proved.credential.key) != core.holder:
        return "the session was opened by another holder's permit"
    return None


def kept_by_owner(core: ModeView, call: Call) -> Refused | None:
    """Refuses while the owner of the session is there over a transport that knows no connections."""
    session = core.state.session
    owner = None if session is None else session.owner
    if owner is None or owner == call.peer.id or core.policy.modes[core.state.mode].session is not SessionRule.OWNER:
        return None
    known = core.peers.get(owner)
    if known is None or known.transport is Transport.BLE:  # the machine knows of connections itself
        return None
    return Refused(Reason.OWNER) if call.now_ms - core.owner_heard_ms < OWNER_SILENT_MS else None


def spend(core: ModeView, proved: Proved) -> None:
    """Count the use of the permit, if the proof was one that is counted. Call it before the session opens."""
    if proved.counted is not None and core.uses is not None:
        core.uses = core.uses.used(proved.counted)
        core.setup.memory.save_permits(core.uses)


def _asked(core: ModeView, call: Call, to: str, purpose: Purpose) -> Challenge | None:
    """What this device asked this peer; the nonce is gone from now on."""
    nonce = core.nonces.take(call.peer.id, to, call.now_ms)
    if nonce is None:
        return None
    session = core.token if purpose is Purpose.ATTACH else b""
    return Challenge(nonce=nonce, device=core.policy.device.id, mode=to, purpose=purpose, session=session)


def _check_challenge(core: ModeView, call: Call, to: str, purpose: Purpose) -> _Judged:
    asked = _asked(core, call, to, purpose)
    mac = call.body.get(fields.MAC)
    secret = core.setup.secret
    if asked is None:
        return _NO_NONCE
    if secret is None or not isinstance(mac, bytes):
        return _MALFORMED
    return Proved(kind=ProofKind.CHALLENGE) if core.parts.mac(secret, asked, mac) else WrongProof("another secret")


def _check_permit(core: ModeView, call: Call, to: str, purpose: Purpose) -> _Judged:
    from keyswitch.proof import permit  # noqa: PLC0415 - brings `cryptography`, which most devices never need

    asked = _asked(core, call, to, purpose)
    data, signature = call.body.get(fields.PERMIT), call.body.get(fields.SIGNATURE)
    settings, uses = core.policy.entry.permit, core.uses
    trusted = settings is not None and settings.clock is Clock.TRUSTED
    clock_s = core.setup.clock_s
    if asked is None:
        return _NO_NONCE
    if settings is None or (clock_s is None if trusted else uses is None):
        return WrongProof("the device has nothing to judge permits by: its clock, or its count of uses")
    if not isinstance(data, bytes) or not isinstance(signature, bytes):
        return _MALFORMED
    now_s = clock_s() if trusted and clock_s is not None else None
    found = permit.verify(data, signature, asked, core.setup.issuers, now_s)
    if isinstance(found, permit.PermitFault):
        return Refused(Reason.EXPIRED) if found is permit.PermitFault.EXPIRED else WrongProof(found.value)
    counted = None if trusted or purpose is Purpose.ATTACH else found.id
    if counted is not None and uses is not None and not uses.left(counted, found.uses or 0, settings.max_permits):
        return Refused(Reason.EXPIRED, "used up")
    shown = events.HolderCredential(permit=found.id, key=found.holder)
    return Proved(kind=ProofKind.PERMIT, images=found.images, counted=counted, credential=shown)


def _check_sequence(core: ModeView, call: Call, to: str, purpose: Purpose) -> _Judged:
    settings = core.policy.entry.sequence
    step = call.body.get(fields.STEP)
    if settings is None or type(step) is not int:
        return _MALFORMED
    key = (call.peer.id, to, purpose)
    so_far = core.sequences.pop(key, None)
    found = core.parts.advance(so_far, step, steps=settings.steps, window_ms=settings.window_ms, now_ms=call.now_ms)
    if isinstance(found, sequence.SequenceProgress):
        core.sequences[key] = found
        return Halfway(settings.steps - found.done)
    return (
        Proved(kind=ProofKind.SEQUENCE)
        if isinstance(found, sequence.Opens)
        else WrongProof("a step out of order or late")
    )


_CHECKS: Final = {
    ProofKind.CHALLENGE: _check_challenge,
    ProofKind.PERMIT: _check_permit,
    ProofKind.SEQUENCE: _check_sequence,
}
"""The kinds that travel in requests. The button does not."""


def why_shut(core: ModeView, peer: Peer) -> Refused | None:
    """What keeps this peer from entering maintenance now, before any proof; None if nothing does.

    Nothing is tried and nothing changes. With several ways, the first one that is shut speaks.
    """
    shut: Refused | None = None
    for way in core.policy.ways(core.state.mode, OnEnter):
        if not core.policy.modes[way.target].maintenance or not isinstance(way.trigger, OnEnter):
            continue
        for proof in way.trigger.proofs or (None,):
            found = entry_way(core.policy, core.state, peer, way.target, proof)
            if not isinstance(found, Refused):
                return None
            shut = shut or found
    return shut
