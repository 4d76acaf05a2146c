"""The session record: what carries a maintenance session across the update's own reset. Single use, versioned.

The *new* firmware reads what the old one wrote, so a record of another version or of another policy is worth nothing:
the device then comes up outside maintenance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keyswitch.errors import LocalError
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy
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
    proof: ProofKind | None
    images: frozenset[bytes] | None = None
    image: bytes | None = None
    ending: bool = False
    token: bytes = b""
    lease_ms: int | None = None
    lease_max_ms: int | None = None


def make(
    policy: Policy,
    state: GateState,
    *,
    image: bytes | None,
    token: bytes,
    lease_ms: int | None,
    lease_max_ms: int | None,
) -> SessionRecord:
    """The record of the session in `state`, for a `WriteSessionRecord(image)` effect.

    Args:
        policy: the rules the session was opened under.
        state: the state *after* the step that asked for the record.
        image: as in the effect.
        token: the session's correlation token.
        lease_ms: what is left of the lease timer, None if it does not run.
        lease_max_ms: what is left of the limit of all extensions, None if it does not run.

    Raises:
        LocalError: `state` has no session.
    """
    session = state.session
    if session is None:
        raise LocalError("a session record without a session")
    return SessionRecord(
        policy=policy.digest,
        mode=state.mode,
        way=session.way,
        proof=session.proof,
        images=session.images,
        image=image,
        ending=session.ending,
        token=token,
        lease_ms=lease_ms,
        lease_max_ms=lease_max_ms,
    )


def to_json(record: SessionRecord) -> dict[str, Any]:
    """The record as plain JSON values."""
    return {
        "version": VERSION,
        "policy": record.policy.hex(),
        "mode": record.mode,
        "way": record.way,
        "proof": record.proof,
        "images": None if record.images is None else sorted(image.hex() for image in record.images),
        "image": None if record.image is None else record.image.hex(),
        "ending": record.ending,
        "token": record.token.hex(),
        "lease_ms": record.lease_ms,
        "lease_max_ms": record.lease_max_ms,
    }


def from_json(value: Mapping[str, Any]) -> SessionRecord | None:
    """The record that `to_json` made; None for anything else, another version first of all."""
    try:
        if value["version"] != VERSION:
            return None
        return SessionRecord(
            policy=bytes.fromhex(value["policy"]),
            mode=_text(value["mode"]),
            way=_number(value["way"]),
            proof=None if value["proof"] is None else ProofKind(value["proof"]),
            images=None if value["images"] is None else frozenset(bytes.fromhex(each) for each in value["images"]),
            image=None if value["image"] is None else bytes.fromhex(value["image"]),
            ending=value["ending"] is not False,
            token=bytes.fromhex(value["token"]),
            lease_ms=None if value["lease_ms"] is None else _number(value["lease_ms"]),
            lease_max_ms=None if value["lease_max_ms"] is None else _number(value["lease_max_ms"]),
        )
    except (KeyError, ValueError, TypeError):
        return None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(value)


def _number(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise TypeError(value)
