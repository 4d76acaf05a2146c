"""The session record: what carries a maintenance session across the update's own reset. Single use, versioned.

The *new* firmware reads what the old one wrote, so a record of another version or of another policy is worth nothing:
the device then comes up outside maintenance.
"""

from dataclasses import dataclass
from typing import Final

from keyswitch.policy.words import ProofKind

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One session on its way across a reset.

    Attributes:
        policy: SHA-256 of the policy file under which the session was opened.
        mode: the maintenance mode.
        way: index of the transition that opened it.
        proof: how entry was proved.
        images: the permit's limit.
        image: the hash that must run afterwards; None: whatever runs, but not on trial (after a revert).
        ending: only the revert was left to do; the session is over.
        token: the session's 4-byte correlation token.
        lease_ms: what was left of the lease when the record was written; None: no lease.
        lease_max_ms: what was left of the limit of all extensions.
    """

    policy: bytes
    mode: str
    way: int
    proof: ProofKind
    images: frozenset[bytes] | None = None
    image: bytes | None = None
    ending: bool = False
    token: bytes = b""
    lease_ms: int | None = None
    lease_max_ms: int | None = None
