"""Permits to the tests' devices: right ones, and each kind of wrong one; and what the C core has to make of them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache, lru_cache
from random import Random
from struct import Struct
from typing import Any, Final

import cbor2
from tests.firmware.toolchain import ISSUER_KEYS, ISSUERS
from tests.firmware.wire import NONSENSE, Wire, images_bytes

from keyswitch.policy.model import Policy
from keyswitch.proof import permit as permits
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.proof.permit import Permit, PermitFault, issue, sign, verify

NOW_S: Final = 1_500
"""`TEST_CLOCK_S` in harness.h."""
HOLDERS: Final = (bytes([0x61]) * 32, bytes([0x62]) * 32)
STRANGER: Final = bytes([0x63]) * 32
IMAGES: Final = (b"\x11" * 32, b"\x22" * 32, b"\x33" * 64, b"\x44" * 48)
_U16, _U32 = Struct("<H"), Struct("<I")
_MOST: Final = 2**32 - 1

public_key = cache(permits.public_key)
_judge = lru_cache(1024)(permits._signed_by)
"""The same signature is judged as a part of its permit, and by itself: either takes longer than all around it."""


def draw(policy: Policy, device: str, chance: Random) -> Permit:
    """One that may well be right."""

    def maybe(*values: Any) -> Any:
        return chance.choice(values)

    return Permit(
        id=bytes([chance.randrange(4)]) * 16,
        issuer=maybe("Service", "", "Sérvice " * 10),
        devices=maybe((device,), (device,), ("other", device), (device, "other", "third"), ("other",)),
        mode=chance.choice((*policy.modes, *policy.modes, "no-such-mode")),
        holder=public_key(chance.choice(HOLDERS)),
        not_before_s=maybe(None, None, 0, 23, NOW_S - 1, NOW_S, NOW_S + 1, 2**32, 2**40),
        expires_s=maybe(None, NOW_S - 1, NOW_S, NOW_S + 1, 2**31, 2**31, 2**32 - 1, 2**40, 2**64 - 1),
        uses=maybe(None, 0, 1, 1, 2, 255, 2**32 - 1, 2**33),
        images=maybe(None, None, frozenset(IMAGES[:1]), frozenset(IMAGES), frozenset(IMAGES[1:3])),
    )


def holder_key(permit: Permit) -> bytes:
    """The private key of its holder."""
    return next(key for key in HOLDERS if public_key(key) == permit.holder)


def issued(permit: Permit, chance: Random) -> bytes:
    """As some issuer signs it, mostly one that the devices know."""
    return issue(permit, chance.choice((*ISSUER_KEYS, *ISSUER_KEYS, STRANGER)))


@contextmanager
def noted() -> Iterator[set[bytes]]:
    """What Python's verifier says yes to meanwhile: SHA-256 of key, message, signature. The C core knows no others."""
    right: set[bytes] = set()
    judge = permits._signed_by

    def note(key: bytes, signature: bytes, data: bytes) -> bool:
        found = _judge(key, signature, data)
        if found:
            right.add(hashlib.sha256(key + data + signature).digest())
        return found

    permits._signed_by = note
    try:
        yield right
    finally:
        permits._signed_by = judge


def signatures(right: set[bytes]) -> bytes:
    """As a question brings them along."""
    return _U16.pack(len(right)) + b"".join(sorted(right))


# --- one permit, judged by itself ---


def ask(wire: Wire, data: bytes, signature: bytes, asked: Challenge, now_s: int | None) -> tuple[bytes, bytes]:
    """The question about this permit, and what the core has to say."""
    with noted() as right:
        found = verify(data, signature, asked, ISSUERS, now_s)
        _verify_all(data, signature, asked)
    question = _question(wire, right, data, signature, asked, now_s)
    if isinstance(found, PermitFault):
        return question, bytes([found is PermitFault.EXPIRED])
    told = b"\2" + found.id + found.holder + _U32.pack(min(found.uses or 0, _MOST)) + images_bytes(found.images)
    return question, told


def ask_known(wire: Wire, known: dict[str, Any]) -> tuple[bytes, bytes]:
    """The same of a known answer: what was signed there is all that the core is told to be signed."""
    data, signature = bytes.fromhex(known["permit"]), bytes.fromhex(known["sig"])
    holder = public_key(bytes.fromhex(known["holder_key"]))
    message = bytes.fromhex(known["message"])
    _, _, payload, issuers = cbor2.loads(data[1:])
    issuer = public_key(bytes.fromhex(known["issuer_key"]))
    right = {
        hashlib.sha256(holder + message + signature).digest(),
        hashlib.sha256(issuer + permits._to_be_signed(payload) + issuers).digest(),
    }
    told = b"\2" + bytes.fromhex(known["id"]) + holder + _U32.pack(known["uses"] or 0)
    images = images_bytes(frozenset(map(bytes.fromhex, known["images"])))
    asked = Challenge(
        nonce=bytes.fromhex(known["nonce"]),
        device=known["device"],
        mode=known["mode"],
        purpose=Purpose(known["purpose"]),
        session=bytes.fromhex(known["session"]),
    )
    return _question(wire, right, data, signature, asked, known["clock_s"]), told + images


def _question(
    wire: Wire, right: set[bytes], data: bytes, signature: bytes, asked: Challenge, now_s: int | None
) -> bytes:
    return b"".join(
        (
            b"\7" + wire.number + signatures(right) + _U16.pack(len(data)) + data + signature,
            bytes([wire.modes[asked.mode], asked.purpose is Purpose.ATTACH]) + asked.nonce,
            asked.session.ljust(4, bytes([NONSENSE])),
            bytes([now_s is not None]) + _U32.pack(now_s or 0),
        )
    )


def _verify_all(data: bytes, signature: bytes, asked: Challenge) -> None:
    """Have each right signature noted: what Python refuses before it looks at one is refused for that alone."""
    for key in map(public_key, HOLDERS):
        permits._signed_by(key, signature, permits._holders_message(asked, data))
    with suppress(cbor2.CBORError, ValueError, TypeError):
        _, _, payload, issuers = cbor2.loads(data[1:])
        for key in ISSUERS:
            permits._signed_by(key, issuers, permits._to_be_signed(payload))


def questions(wire: Wire, chance: Random, count: int) -> Iterator[tuple[bytes, bytes]]:
    """So many permits: whole ones, and each spoilt in several ways, signed by the right issuer all the same."""
    device = wire.policy.device.id
    for _ in range(count):
        permit = draw(wire.policy, device, chance)
        data = issued(permit, chance)
        asked = Challenge(
            nonce=chance.randbytes(16),
            device=device,
            mode=permit.mode if permit.mode in wire.modes else next(iter(wire.modes)),
            purpose=chance.choice(list(Purpose)),
            session=b"",
        )
        if asked.purpose is Purpose.ATTACH:
            asked = replace(asked, session=b"\1\2\3\4")
        now_s = chance.choice((None, NOW_S))
        for each in (data, *spoilt(data, permit, chance)):
            key = holder_key(permit) if chance.random() < 0.9 else STRANGER
            yield ask(wire, each, sign(key, asked, each), asked, now_s)
        yield ask(wire, data, sign(holder_key(permit), replace(asked, nonce=bytes(16)), data), asked, now_s)


def spoilt(data: bytes, permit: Permit, chance: Random) -> Iterator[bytes]:
    """Other bytes: cut, changed, longer; other claims and other headers, properly signed."""
    place = chance.randrange(len(data))
    yield data[:place]
    yield data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :]
    yield data + b"\0"
    protected, _, payload, signature = cbor2.loads(data[1:])
    other = chance.choice(
        (
            {},
            {4: b""},
            {4: chance.randbytes(3), "text": -5},
            {1: -7, 4: b"12345678", 2**40: "é", -1: b"x"},
            {4: "no bytes"},
            {4: 1},
            {1: 1.5},
            {1: [1]},
            {1: None},
            {b"1": 1},
            {n: n for n in range(10, 15)},
        )
    )
    yield b"\xd2" + cbor2.dumps([protected, other, payload, signature])
    body = bytearray(payload)
    for _ in range(3):
        body[chance.randrange(len(body))] = chance.choice((0, 1, 0x18, 0x19, 0x1A, 0x1B, 0x20, 0x60, 0xA0, 0xF6, 0xFF))
        yield signed(bytes(body))
        body = bytearray(payload)
    claims = cbor2.loads(payload)
    yield signed(cbor2.dumps(dict(reversed(list(claims.items())))))
    for change in ({99: 1}, {4: 1.0}, {5: None}, {-70003: 2**64}, {3: []}, {7: b"x" * 15}, {1: 1}, {8: {1: {1: True}}}):
        if chance.random() < 0.3:
            yield signed(cbor2.dumps({**claims, **change}))
    if permit.images is not None and len(permit.images) > 1:
        yield signed(cbor2.dumps({**claims, -70_002: sorted(permit.images, reverse=True)}))
        yield signed(cbor2.dumps({**claims, -70_002: [*sorted(permit.images), b"\x77" * 33]}))
    longer = payload.replace(b"\x01", b"\x18\x01", 1)
    yield signed(longer)


def signed(payload: bytes) -> bytes:
    """These claims by the real issuer."""
    key = permits.Ed25519PrivateKey.from_private_bytes(ISSUER_KEYS[0])
    signature = key.sign(permits._to_be_signed(payload))
    return b"\xd2" + cbor2.dumps([permits._PROTECTED, {}, payload, signature])
