"""Who may enter: proofs checked against nonces and lock-out. The machine then decides whether the mode may change.

Rules kept here:

* A nonce is gone once it was tried, whether the proof was right or wrong.
* A wrong proof is counted, and the count has reached the store, before anybody hears that it was wrong.
* A refusal says `proof` and no more: not which part of it was wrong.
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
from keyswitch.policy.words import ProofKind
from keyswitch.proof import challenge, fields
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.reasons import Reason

WRONG: Final = Refused(Reason.PROOF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """A proof that holds. Attributes: images: the only image hashes that it allows; None: no limit."""

    kind: ProofKind
    images: frozenset[bytes] | None = None


def kinds_into(core: Core, to: str) -> tuple[ProofKind, ...]:
    """The kinds of proof that open `to` from where the device is, or that attach to the session if it is there."""
    state = core.state
    if state.session is not None and state.mode == to:
        opened_by = state.session.proof
        return () if opened_by is None or opened_by is ProofKind.BUTTON else (opened_by,)
    ways = (way.trigger for way in core.policy.ways(state.mode, OnEnter) if way.target == to)
    kinds = (kind for trigger in ways if isinstance(trigger, OnEnter) for kind in trigger.proofs)
    return tuple(dict.fromkeys(kinds))


def check(core: Core, call: Call, to: str, purpose: Purpose) -> Proved | Refused:
    """Check the proof in the request.

    Args:
        core: the device.
        call: with the fields of `keyswitch.proof.fields` in its body.
        to: the mode asked for, or the session's when attaching.
        purpose: entering or attaching.
    """
    word = call.body.get(fields.PROOF)
    kind = next((kind for kind in ProofKind if kind is not ProofKind.BUTTON and kind.value == word), None)
    if kind is None:
        return WRONG
    locked_ms = core.lockout.remaining_ms(kind, call.now_ms)
    if locked_ms:
        return Refused(Reason.LOCKED_OUT, f"for {locked_ms} ms")
    proved = _CHECKS[kind](core, call, to, purpose) if kind in _CHECKS else WRONG
    before = core.lockout
    settings = core.policy.entry.lockout
    right = isinstance(proved, Proved)
    core.lockout = before.right(kind) if right else before.wrong(settings, kind, call.now_ms)
    if core.lockout.failures != before.failures:
        core.setup.memory.save_lockout(core.lockout.stored())
    return proved


def _check_challenge(core: Core, call: Call, to: str, purpose: Purpose) -> Proved | Refused:
    nonce = core.nonces.take(call.peer.id, to, call.now_ms)
    mac = call.body.get(fields.MAC)
    secret = core.setup.secret
    if nonce is None or secret is None or not isinstance(mac, bytes):
        return WRONG
    session = core.token if purpose is Purpose.ATTACH else b""
    asked = Challenge(nonce=nonce, device=core.policy.device.id, mode=to, purpose=purpose, session=session)
    return Proved(kind=ProofKind.CHALLENGE) if challenge.verify(secret, asked, mac) else WRONG


_CHECKS: Final = {ProofKind.CHALLENGE: _check_challenge}


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
