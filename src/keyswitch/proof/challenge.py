"""Entry by a shared secret: HMAC-SHA256 (RFC 2104, FIPS 198-1) over what is asked for, here, now.

Rules kept here:

* What is signed names its purpose, the kind of proof, the device, the mode and the session, each with its length in
  front: no two different requests have the same bytes, and a proof for one is worth nothing for another.
* Comparison takes constant time.
* A nonce is used once (`gate.nonces`); nothing here remembers one.
"""

import hashlib
import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keyswitch.errors import LocalError

NONCE_SIZE: Final = 16
"""Bytes; drawn at random for each challenge."""
MAC_SIZE: Final = 32
SECRET_SIZE: Final = 32
"""Bytes; as long as the hash (RFC 2104 section 3)."""

_DOMAIN: Final = b"keyswitch entry 1"
_MAX_PART: Final = 0xFFFF


class Purpose(StrEnum):
    """What a proof is for."""

    ENTER = "enter"
    ATTACH = "attach"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a proof answers.

    Attributes:
        nonce: drawn by the device for this peer.
        device: the device's identity, as its `challenge` answer says.
        mode: the mode asked for, or the session's when attaching.
        purpose: entering or attaching.
        session: the session's token when attaching, else empty.
    """

    nonce: bytes
    device: str
    mode: str
    purpose: Purpose = Purpose.ENTER
    session: bytes = b""


def message(challenge: Challenge, kind: str) -> bytes:
    """The bytes that a proof of this kind (`challenge`, `permit`) covers.

    Raises:
        LocalError: a part is longer than its 16-bit length can say.
    """
    parts = (
        _DOMAIN,
        kind.encode(),
        challenge.purpose.value.encode(),
        challenge.nonce,
        challenge.device.encode(),
        challenge.mode.encode(),
        challenge.session,
    )
    if any(len(part) > _MAX_PART for part in parts):
        raise LocalError(f"challenge: a part is longer than {_MAX_PART} bytes")
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)


def make(secret: bytes, challenge: Challenge) -> bytes:
    """The operator's answer: `MAC_SIZE` bytes."""
    return hmac.digest(secret, message(challenge, "challenge"), hashlib.sha256)


def verify(secret: bytes, challenge: Challenge, mac: bytes) -> bool:
    """Whether `mac` answers `challenge`; takes the same time for every wrong one of the right length."""
    return len(challenge.nonce) == NONCE_SIZE and hmac.compare_digest(make(secret, challenge), mac)
