"""The session record: what carries a maintenance session across the update's own reset. Single use, versioned.

The *new* firmware reads what the old one wrote, and may bring another revision of the policy. So a record holds no
index: names, hashes and times mean the same under every revision. `gate.boot` decides what it is worth. A record of
another version is worth nothing: the device then comes up outside maintenance. `gate.codec` writes and reads it.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from keyswitch.errors import LocalError
from keyswitch.frozen import quickly_made
from keyswitch.gate.state import GateState, PairImages, idle_limit_ms
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import OnButton, OnEnter, Policy, Transition

VERSION: Final = 2
"""Version 1 named the transition by its place in the file, which another revision of the policy numbers differently."""

HASH_SIZES: Final = frozenset({32, 48, 64})
"""Bytes of an image's hash: SHA-256, SHA-384 or SHA-512 (MCUboot `IMAGE_HASH_SIZE`)."""

_ENTRY_SIZE: Final = 8


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One session on its way across a reset.

    Attributes:
        policy: digest of the policy under which the session was opened.
        mode: name of the maintenance mode.
        entry: which transition opened it (`entry_of`): means something under the same policy alone; empty: the session
            was opened under another one.
        proof: how entry was proved.
        images: the permit's limit.
        expected: the images that must run afterwards, hashes of 32, 48 or 64 bytes, by image pair; none: whatever runs,
            but not on trial (after a revert).
        ending: only the revert was left to do; the session is over.
        token: the session's 4-byte correlation token.
        lease_ms: what was left of the lease when the record was written; None: no lease.
        lease_max_ms: what was left of all extensions together; of the lease, where it is not extended.
        timeout_ms: what was left of the mode's own time limit; None: it has none.
        idle_ms: the idle limit, as a whole: it begins anew, because the device's own reset is nobody's idleness.
        trial_ms: the trial deadline of the policy that started the trial, as a whole: the trial begins with the boot.
    """

    policy: bytes
    mode: str
    proof: ProofKind | None
    entry: bytes = b""
    images: frozenset[bytes] | None = None
    expected: PairImages = ()
    ending: bool = False
    token: bytes = b""
    lease_ms: int | None = None
    lease_max_ms: int | None = None
    timeout_ms: int | None = None
    idle_ms: int | None = None
    trial_ms: int | None = None


def entry_of(way: Transition) -> bytes:
    """8 bytes that say which transition this is, wherever it stands in the file: of all that it says."""
    trigger = way.trigger
    said = [
        sorted(way.sources),
        way.target,
        type(trigger).__name__,
        sorted(trigger.proofs) if isinstance(trigger, OnEnter) else [],
        trigger.hold_ms if isinstance(trigger, OnButton) else 0,
        sorted({guard.text for guard in way.when}),
        way.when_false.value,
        way.security.word,
        way.others.value,
    ]
    return hashlib.sha256(json.dumps(said).encode()).digest()[:_ENTRY_SIZE]


def entry_at(policy: Policy, index: int) -> bytes:
    """`entry_of` the transition with this index."""
    return policy.once(_entry_at, index)


def _entry_at(policy: Policy, index: int) -> bytes:
    return entry_of(policy.transitions[index])


def make(
    policy: Policy,
    state: GateState,
    *,
    expected: PairImages,
    token: bytes,
    lease_ms: int | None,
    lease_max_ms: int | None,
    timeout_ms: int | None = None,
) -> SessionRecord:
    """The record of the session in `state`, for a `WriteSessionRecord(expected)` effect.

    Args:
        policy: the rules the session was opened under.
        state: the state *after* the step that asked for the record.
        expected: as in the effect.
        token: the session's correlation token.
        lease_ms: what is left of the lease timer, None if it does not run.
        lease_max_ms: what is left of the limit of all extensions, None if it does not run.
        timeout_ms: what is left of the mode's own time limit, None if it does not run.

    Raises:
        LocalError: `state` has no session.
    """
    session = state.session
    if session is None:
        raise LocalError("a session record without a session")
    return SessionRecord(
        policy=policy.digest,
        mode=state.mode,
        entry=b"" if session.way is None else entry_at(policy, session.way),
        proof=session.proof,
        images=session.images,
        expected=expected,
        ending=session.ending,
        token=token,
        lease_ms=lease_ms,
        lease_max_ms=lease_ms if lease_max_ms is None else lease_max_ms,
        timeout_ms=timeout_ms,
        idle_ms=idle_limit_ms(policy.modes[state.mode], session),
        trial_ms=policy.update.trial_deadline_ms,
    )
