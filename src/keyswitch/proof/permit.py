"""Entry by a signed permission: COSE_Sign1 (RFC 9052 section 4.2) with Ed25519 (RFC 9053 section 2.2) over CWT claims.

    claim     key      value                                             source
    iss       1        text, who issued it; for people                   RFC 8392 3.1.1
    aud       3        list of text, the devices' identities             RFC 8392 3.1.3
    exp, nbf  4, 5     unsigned, seconds since 1970                      RFC 8392 3.1.4, 3.1.5
    cti       7        16 bytes, the permit's own number                 RFC 8392 3.1.7
    cnf       8        {1: COSE_Key}: the holder's Ed25519 public key    RFC 8747 3.2
    mode      -70001   text, the mode that may be entered                private use
    images    -70002   list of 32, 48 or 64 bytes: the only hashes       private use
    uses      -70003   unsigned, how often it works without a clock      private use

Rules kept here:

* A permit read off the air is worth nothing: entry also takes the holder's signature over the device's fresh nonce,
  the device, the mode and this very permit.
* Nothing in a permit is believed before its issuer's signature was verified; headers that are not signed only help to
  find the key.
* One permit has one form: claims in the order of the table, images in rising order, each once, everything as short as
  it can be. What does not encode back to the same bytes is refused, and so is every unknown claim, because a limit that
  is not understood is not kept. So a device can read it in place, from front to back.
* Headers that are not signed are at most `MAX_HEADERS` plain values (numbers, texts, byte strings).
* Keys are values of 32 bytes; files are read elsewhere.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar, cast

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from keyswitch.errors import LocalError
from keyswitch.files.reading import FileKind
from keyswitch.proof.challenge import NONCE_SIZE, Challenge, message

MAX_SIZE: Final = 1_024
"""Bytes of a permit; it has to fit into one SMP packet of a small device."""
PERMIT_FILE: Final = FileKind(expected="a permit", max_size=MAX_SIZE)
ID_SIZE: Final = 16
KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
HASH_SIZES: Final = (32, 48, 64)
"""SHA-256, SHA-384, SHA-512: what MCUboot images carry."""
MAX_DEVICES: Final = 32
MAX_IMAGES: Final = 8
MAX_HEADERS: Final = 4
MAX_UNSIGNED: Final = 2**64 - 1

_TAG_SIGN1: Final = b"\xd2"
"""CBOR tag 18 (RFC 9052 section 2)."""
_SIGN1_LENGTH: Final = 4
_ALG, _KID, _EDDSA = 1, 4, -8
_PROTECTED: Final = cbor2.dumps({_ALG: _EDDSA})
_ISS, _AUD, _EXP, _NBF, _CTI, _CNF = 1, 3, 4, 5, 7, 8
_MODE, _IMAGES, _USES = -70_001, -70_002, -70_003
_COSE_KEY: Final = 1
_KTY, _CRV, _X, _OKP, _ED25519 = 1, -1, -2, 1, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What a permit says.

    Attributes:
        id: its own number, `ID_SIZE` bytes.
        issuer: who issued it, for people.
        devices: identities of the devices that may be entered.
        mode: the mode that may be entered.
        holder: Ed25519 public key of whoever may use it.
        not_before_s: seconds since 1970 from which it is valid; None: no such limit.
        expires_s: seconds since 1970 from which it is not valid any more; None: no such limit.
        uses: how often it works where the clock is not trusted; None: not there at all.
        images: the only image hashes that may be installed; None: no limit.
    """

    id: bytes
    issuer: str
    devices: tuple[str, ...]
    mode: str
    holder: bytes
    not_before_s: int | None = None
    expires_s: int | None = None
    uses: int | None = None
    images: frozenset[bytes] | None = None


class PermitFault(StrEnum):
    """Why a permit opens nothing. For the log and for tests; a peer is told `proof`, or `expired` where that is all."""

    MALFORMED = "malformed"
    ISSUER = "issuer"
    HOLDER = "holder"
    DEVICE = "device"
    MODE = "mode"
    EARLY = "not valid yet"
    EXPIRED = "expired"
    UNLIMITED = "without the limit that this device judges by"


def issue(permit: Permit, issuer_key: bytes) -> bytes:
    """The permit, signed: tagged COSE_Sign1 bytes.

    Args:
        permit: what it says.
        issuer_key: the issuer's Ed25519 private key, 32 bytes.

    Raises:
        LocalError: the permit says something that no device would accept, or is larger than `MAX_SIZE`.
    """
    key = Ed25519PrivateKey.from_private_bytes(issuer_key)
    payload = cbor2.dumps(_claims(permit))
    if _permit(payload) != permit:
        raise LocalError("a permit that no device would accept")
    signature = key.sign(_to_be_signed(payload))
    kid = key_id(public_key(issuer_key))
    data = _TAG_SIGN1 + cbor2.dumps([_PROTECTED, {_KID: kid}, payload, signature])
    if len(data) > MAX_SIZE:
        raise LocalError(f"a permit of {len(data)} bytes; at most {MAX_SIZE}")
    return data


def read(data: bytes) -> Permit | PermitFault:
    """What a permit says, verified by nobody: for `keyswitch permit show`."""
    parts = _parts(data)
    return PermitFault.MALFORMED if parts is None else _permit(parts.payload) or PermitFault.MALFORMED


def is_issued_by(data: bytes, issuer: bytes) -> bool:
    """Whether a permit is signed by this issuer's public key; nothing else is judged."""
    parts = _parts(data)
    return parts is not None and _signed_by(issuer, parts.signature, _to_be_signed(parts.payload))


def sign(holder_key: bytes, challenge: Challenge, permit: bytes) -> bytes:
    """The holder's answer to the device's challenge: `SIGNATURE_SIZE` bytes.

    Args:
        holder_key: the holder's Ed25519 private key, 32 bytes.
        challenge: what the device asked.
        permit: the permit that goes with it.
    """
    return Ed25519PrivateKey.from_private_bytes(holder_key).sign(_holders_message(challenge, permit))


def verify(
    data: bytes, signature: bytes, challenge: Challenge, issuers: Iterable[bytes], now_s: int | None
) -> Permit | PermitFault:
    """Whether a permit and its holder's signature answer `challenge`.

    Args:
        data: the permit's bytes, from the peer.
        signature: the holder's, from the peer.
        challenge: what this device asked this peer.
        issuers: Ed25519 public keys that may issue permits.
        now_s: seconds since 1970 where the clock is trusted; None: `uses` counts instead, and the caller counts it.
    """
    parts = _parts(data)
    if parts is None or len(challenge.nonce) != NONCE_SIZE:
        return PermitFault.MALFORMED
    signed = _to_be_signed(parts.payload)
    # The key id is not signed: it orders the keys and rules none out.
    ordered = sorted(issuers, key=lambda key: key_id(key) != parts.key_id)
    if not any(_signed_by(key, parts.signature, signed) for key in ordered):
        return PermitFault.ISSUER
    permit = _permit(parts.payload)
    if permit is None:
        return PermitFault.MALFORMED
    if not _signed_by(permit.holder, signature, _holders_message(challenge, data)):
        return PermitFault.HOLDER
    if challenge.device not in permit.devices:
        return PermitFault.DEVICE
    if challenge.mode != permit.mode:
        return PermitFault.MODE
    return _judge_limits(permit, now_s) or permit


def _judge_limits(permit: Permit, now_s: int | None) -> PermitFault | None:
    if now_s is None:
        return PermitFault.UNLIMITED if permit.uses is None else None
    if permit.expires_s is None:
        return PermitFault.UNLIMITED
    if now_s < (permit.not_before_s or 0):
        return PermitFault.EARLY
    return PermitFault.EXPIRED if now_s >= permit.expires_s else None


def public_key(private_key: bytes) -> bytes:
    """The public part of an Ed25519 private key; 32 bytes each."""
    return Ed25519PrivateKey.from_private_bytes(private_key).public_key().public_bytes_raw()


def key_id(public_key: bytes) -> bytes:
    """The first eight bytes of the key's SHA-256: how a permit hints at its issuer, and people name keys."""
    return hashlib.sha256(public_key).digest()[:8]


def _signed_by(public_key: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _to_be_signed(payload: bytes) -> bytes:
    # RFC 9052 section 4.4: context, protected header, external data (none), payload.
    return cbor2.dumps(["Signature1", _PROTECTED, b"", payload])


def _holders_message(challenge: Challenge, permit: bytes) -> bytes:
    return message(challenge, "permit") + hashlib.sha256(permit).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    key_id: bytes
    payload: bytes
    signature: bytes


def _parts(data: bytes) -> _Parts | None:
    if len(data) > MAX_SIZE or not data.startswith(_TAG_SIGN1):
        return None
    found = _strict(data[1:])
    if not isinstance(found, list) or len(cast("list[object]", found)) != _SIGN1_LENGTH:
        return None
    protected, unprotected, payload, signature = cast("list[object]", found)
    # One algorithm, and nothing else in the signed header: what is not understood is not accepted.
    if protected != _PROTECTED or not _is_plain(unprotected):
        return None
    kid = cast("dict[object, object]", unprotected).get(_KID, b"")
    if not isinstance(kid, bytes) or not isinstance(payload, bytes) or not isinstance(signature, bytes):
        return None
    return _Parts(key_id=kid, payload=payload, signature=signature)


def _is_plain(unprotected: object) -> bool:
    """Whether these headers are what a small device can pass over."""
    if not isinstance(unprotected, dict):
        return False
    headers = cast("dict[object, object]", unprotected)
    plain = all(_is_number(key) or isinstance(key, str) for key in headers) and all(
        _is_number(value) or isinstance(value, bytes | str) for value in headers.values()
    )
    return plain and len(headers) <= MAX_HEADERS


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -MAX_UNSIGNED - 1 <= value <= MAX_UNSIGNED


def _strict(data: bytes) -> Any:
    """One CBOR item in its only form, None for anything else."""
    try:
        item = cbor2.loads(data, max_depth=6, allow_indefinite=False, allow_duplicate_keys=False)
        return item if cbor2.dumps(item) == data else None
    except (cbor2.CBORError, ValueError, TypeError, OverflowError):
        return None


def _claims(permit: Permit) -> dict[int, object]:
    claims: dict[int, object] = {_ISS: permit.issuer, _AUD: list(permit.devices)}
    limits = {_EXP: permit.expires_s, _NBF: permit.not_before_s}
    claims |= {key: value for key, value in limits.items() if value is not None}
    claims |= {
        _CTI: permit.id,
        _CNF: _confirmation(permit.holder),
        _MODE: permit.mode,
    }
    if permit.images is not None:
        claims[_IMAGES] = sorted(permit.images)
    if permit.uses is not None:
        claims[_USES] = permit.uses
    return claims


_KNOWN: Final = frozenset({_ISS, _AUD, _EXP, _NBF, _CTI, _CNF, _MODE, _IMAGES, _USES})


def _permit(payload: bytes) -> Permit | None:
    found = _strict(payload)
    if not isinstance(found, dict):
        return None
    claims = cast("dict[object, Any]", found)
    if not claims.keys() <= _KNOWN:
        return None
    try:
        images = _list_of(claims[_IMAGES], bytes, MAX_IMAGES) if _IMAGES in claims else None
        if images is not None and any(len(image) not in HASH_SIZES for image in images):
            return None
        permit = Permit(
            id=_sized(claims[_CTI], ID_SIZE),
            issuer=_one(claims[_ISS], str),
            devices=tuple(_list_of(claims[_AUD], str, MAX_DEVICES)),
            mode=_one(claims[_MODE], str),
            holder=_holder(claims[_CNF]),
            not_before_s=_unsigned(claims.get(_NBF)),
            expires_s=_unsigned(claims.get(_EXP)),
            uses=_unsigned(claims.get(_USES)),
            images=None if images is None else frozenset(images),
        )
    except (KeyError, TypeError):
        return None
    return permit if cbor2.dumps(_claims(permit)) == payload else None


_T = TypeVar("_T")


def _one(value: object, kind: type[_T]) -> _T:
    if isinstance(value, kind):
        return value
    raise TypeError(value)


def _list_of(value: object, kind: type[_T], most: int) -> list[_T]:
    items = cast("list[object]", _one(value, list))
    if not 1 <= len(items) <= most:
        raise TypeError(value)
    return [_one(item, kind) for item in items]


def _sized(value: object, size: int) -> bytes:
    if isinstance(value, bytes) and len(value) == size:
        return value
    raise TypeError(value)


def _unsigned(value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_UNSIGNED):
        return value
    raise TypeError(value)


def _holder(value: object) -> bytes:
    outer = cast("dict[object, object]", _one(value, dict))
    key = cast("dict[object, object]", _one(outer.get(_COSE_KEY), dict)).get(_X)
    if outer != _confirmation(key):
        raise TypeError(value)
    return _sized(key, KEY_SIZE)


def _confirmation(holder: object) -> dict[int, object]:
    return {_COSE_KEY: {_KTY: _OKP, _CRV: _ED25519, _X: holder}}
