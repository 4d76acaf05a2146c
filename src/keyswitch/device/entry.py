"""Who may enter: proofs checked against nonces and lock-out. The machine then decides whether the mode may change.

Rules kept here:

* A nonce is gone once it was tried, whether the proof was right or wrong.
* A wrong proof is counted, and the count has reached the store, before anybody hears that it was wrong; a use of a
  permit has reached it before the session opens.
* A refusal says `proof` and no more: not which part of it was wrong. `expired` is said to the permit's own holder.
* While a kind is locked out, its proofs are not looked at; `locked out` says how long, which helps nobody to guess.
"""

from dataclasses import dataclass
from typing import Final

from keyswitch.device.core import Core
from keyswitch.device.reply import Call
from keyswitch.gate.decision import Refused
from keyswitch.gate.moves import entry_way
from keyswitch.gate.peer import Peer
from keyswitch.policy.model import OnEnter
from keyswitch.policy.words import Clock, ProofKind
from keyswitch.proof import fields, sequence
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.reasons import Reason

WRONG: Final = Refused(Reason.PROOF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A proof that holds.

    Attributes:
        kind: of proof.
        images: the only image hashes that it allows; None: no limit.
        counted: id of the permit whose use has to be counted; None if there is none.
    """

    kind: ProofKind
    images: frozenset[bytes] | None = None
    counted: bytes | None = None


@dataclass(frozen=True, slots=True)
class Halfway:
    """A right step of a sequence that has more. Attributes: left: steps still to come."""

    left: int


Checked = Proved | Halfway | Refused


def kinds_into(core: Core, to: str) -> tuple[ProofKind, ...]:
    """The kinds of proof that open `to` from where the device is, or that the session there takes from others."""
    here = core.state.session is not None and core.state.mode == to
    ways = core.policy.transitions if here else core.policy.ways(core.state.mode, OnEnter)
    triggers = (way.trigger for way in ways if way.target == to)
    kinds = (kind for trigger in triggers if isinstance(trigger, OnEnter) for kind in trigger.proofs)
    return tuple(dict.fromkeys(kinds))


def check(core: Core, call: Call, to: str, purpose: Purpose) -> Checked:
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
        return WRONG
    asked = kinds_into(core, to)
    for rule in core.parts.hearing:
        unheard = rule(kind, asked, core.lockout, call.now_ms)
        if unheard is not None:
            return unheard
    checked = _CHECKS[kind](core, call, to, purpose)
    before = core.lockout
    if isinstance(checked, Proved):
        core.lockout = before.right(kind)
    elif checked == WRONG:
        core.lockout = before.wrong(core.policy.entry.lockout, kind, call.now_ms)
    if core.lockout.failures != before.failures:
        core.setup.memory.save_lockout(core.lockout.stored())
    return checked


def spend(core: Core, proved: Proved) -> None:
    """Count the use of the permit, if the proof was one that is counted. Call it before the session opens."""
    if proved.counted is not None and core.uses is not None:
        core.uses = core.uses.used(proved.counted)
        core.setup.memory.save_permits(core.uses)


def _asked(core: Core, call: Call, to: str, purpose: Purpose) -> Challenge | None:
    """What this device asked this peer; the nonce is gone from now on."""
    nonce = core.nonces.take(call.peer.id, to, call.now_ms)
    if nonce is None:
        return None
    session = core.token if purpose is Purpose.ATTACH else b""
    return Challenge(nonce=nonce, device=core.policy.device.id, mode=to, purpose=purpose, session=session)


def _check_challenge(core: Core, call: Call, to: str, purpose: Purpose) -> Checked:
    asked = _asked(core, call, to, purpose)
    mac = call.body.get(fields.MAC)
    secret = core.setup.secret
    if asked is None or secret is None or not isinstance(mac, bytes):
        return WRONG
    return Proved(kind=ProofKind.CHALLENGE) if core.parts.mac(secret, asked, mac) else WRONG


def _check_permit(core: Core, call: Call, to: str, purpose: Purpose) -> Checked:
    from keyswitch.proof import permit  # noqa: PLC0415 - brings `cryptography`, which most devices never need

    asked = _asked(core, call, to, purpose)
    data, signature = call.body.get(fields.PERMIT), call.body.get(fields.SIGNATURE)
    settings, uses = core.policy.entry.permit, core.uses
    trusted = settings is not None and settings.clock is Clock.TRUSTED
    clock_s = core.setup.clock_s
    if asked is None or settings is None or (clock_s is None if trusted else uses is None):
        return WRONG
    if not isinstance(data, bytes) or not isinstance(signature, bytes):
        return WRONG
    now_s = clock_s() if trusted and clock_s is not None else None
    found = permit.verify(data, signature, asked, core.setup.issuers, now_s)
    if isinstance(found, permit.Fault):
        return Refused(Reason.EXPIRED) if found is permit.Fault.EXPIRED else WRONG
    counted = None if trusted or purpose is Purpose.ATTACH else found.id
    if counted is not None and uses is not None and not uses.left(counted, found.uses or 0):
        return Refused(Reason.EXPIRED, "used up")
    return Proved(kind=ProofKind.PERMIT, images=found.images, counted=counted)


def _check_sequence(core: Core, call: Call, to: str, purpose: Purpose) -> Checked:
    settings = core.policy.entry.sequence
    step = call.body.get(fields.STEP)
    if settings is None or type(step) is not int:
        return WRONG
    key = (call.peer.id, to, purpose)
    so_far = core.sequences.pop(key, None)
    found = core.parts.advance(so_far, step, steps=settings.steps, window_ms=settings.window_ms, now_ms=call.now_ms)
    if isinstance(found, sequence.Progress):
        core.sequences[key] = found
        return Halfway(settings.steps - found.done)
    return Proved(kind=ProofKind.SEQUENCE) if isinstance(found, sequence.Opens) else WRONG


_CHECKS: Final = {
    ProofKind.CHALLENGE: _check_challenge,
    ProofKind.PERMIT: _check_permit,
    ProofKind.SEQUENCE: _check_sequence,
}
"""The kinds that travel in requests. The button does not."""


def why_shut(core: Core, peer: Peer) -> Refused | None:
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
