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
_ODD_HEADERS: Final = (
    *(
        "a5",
        "a1",
        "a101",
        "a201010101",
        "a3010102010101",
        "a3020101010101",
        "a20401",
        "a2044004",
        "a20440",
        "a204400440",
    ),
    *("a1180101", "a1011801", "a101580100", "a161ff01", "a10161ff", "a1015f4100ff", "a1017f6161ff", "a103780161"),
    *("a104580100", "a1187801", "a1381801", "a1f501", "a101f5", "a101f6", "a101f93c00", "a10180", "a101a0", "a101c100"),
    *("a140", "a14001", "a1044161", "a1046161", "a10401", "a161c3a901", "a16201", "a1197fff01", "a119001801"),
)
"""Whole, spoilt, and in forms that are longer than needed."""

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


def issued_by_first(permit: Permit) -> bytes:
    """As an issuer signs it that every device of the tests knows."""
    return issue(permit, ISSUER_KEYS[0])


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


def ask(
    wire: Wire, data: bytes, signature: bytes, asked: Challenge, now_s: int | None, payload: bytes = b""
) -> tuple[bytes, bytes]:
    """The question about this permit, and what the core has to say. payload: its claims, if Python cannot find them."""
    with noted() as right:
        found = verify(data, signature, asked, ISSUERS, now_s)
        _verify_all(data, signature, asked)
        for key in ISSUERS:
            permits._signed_by(key, data[-64:], permits._to_be_signed(payload))
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
    yield from edges(wire)
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


def edges(wire: Wire) -> Iterator[tuple[bytes, bytes]]:
    """At the limits of everything that is counted, and with parts that are missing, twice, or longer than needed."""
    device = wire.policy.device.id
    permit = Permit(
        id=bytes(16), issuer="I", devices=(device,), mode=next(iter(wire.modes)), holder=public_key(HOLDERS[0]), uses=24
    )
    asked = Challenge(nonce=bytes(16), device=device, mode=permit.mode, purpose=Purpose.ENTER, session=b"")
    timed = replace(permit, expires_s=NOW_S + 1, uses=None)
    payload, timed_payload = cbor2.dumps(permits._claims(permit)), cbor2.dumps(permits._claims(timed))
    whole = (*_payloads(payload, cbor2.loads(payload), device), *_numbers(payload, timed_payload))
    for data in (*map(signed, whole), *_headers(payload), *_sizes(permit)):
        for now_s in (None, NOW_S):
            yield ask(wire, data, sign(HOLDERS[0], asked, data), asked, now_s, payload)


def _payloads(payload: bytes, claims: dict[int, Any], device: str) -> Iterator[bytes]:
    for count in (0, 1, 31, 32, 33):
        yield cbor2.dumps({**claims, 3: [device, *(f"d{each}" for each in range(count - 1))][:count]})
    named = cbor2.dumps([device])
    yield payload.replace(named, b"\x80")
    yield payload.replace(named, b"\x99\x01\x2c" + named[1:])
    yield payload.replace(named, b"\x82" + named[1:])
    uses = cbor2.dumps(-70_003) + cbor2.dumps(24)
    hashes = [bytes([each]) * 32 for each in range(1, 10)]
    for images in ([], hashes[:1], hashes[:2], hashes[:8], hashes, [hashes[0], hashes[0]], [hashes[1], hashes[0]]):
        limited = b"\xa7" + payload[1 : -len(uses)] + cbor2.dumps(-70_002) + cbor2.dumps(images) + uses
        yield limited
        yield b"\xa6" + limited[1:]
    for key in (1, 3, 7, 8, -70_001, -70_003):
        written = cbor2.dumps(key)
        at = payload.index(written + cbor2.dumps(claims[key]))
        yield payload[:at] + payload[at + len(written) :]  # the value without its key
    for end in range(len(payload)):
        yield payload[:end]


def _numbers(payload: bytes, timed: bytes) -> Iterator[bytes]:
    """Each number in each length that can hold it."""
    for value in (0, 1, 23, 24, 255, 256, 65_535, 65_536, 2**32 - 2, 2**32 - 1, 2**32, 2**64 - 1, NOW_S, NOW_S + 1):
        for head, size in ((0x18, 1), (0x19, 2), (0x1A, 4), (0x1B, 8)):
            if value < 2 ** (8 * size):
                written = bytes([head]) + value.to_bytes(size, "big")
                yield payload[: -len(cbor2.dumps(24))] + written
                yield timed.replace(b"\x04" + cbor2.dumps(NOW_S + 1), b"\x04" + written)
        yield payload[: -len(cbor2.dumps(24))] + cbor2.dumps(value)
        yield timed.replace(b"\x04" + cbor2.dumps(NOW_S + 1), b"\x04" + cbor2.dumps(value))


def _headers(payload: bytes) -> Iterator[bytes]:
    """Headers that are not signed: as many as there may be, twice the same, in other forms than the shortest."""
    plain = signed(payload)
    head, rest = plain[:6], plain[7:]
    yield rest
    yield plain[1:]
    for headers in (
        *(cbor2.dumps(dict.fromkeys(range(5, 5 + count), 1)) for count in (1, 3, 4, 5)),
        *(cbor2.dumps(each) for each in ({2: 1, 1: 1}, {1: 1, 2: 1}, {2: 1, 3: 1, 1: 1}, {4: b""}, {4: b"", "é": "é"})),
        *map(bytes.fromhex, _ODD_HEADERS),
    ):
        yield head + headers + rest


def _sizes(permit: Permit) -> Iterator[bytes]:
    """Just as large as a permit may be, and one byte more."""
    short = len(issue(replace(permit, issuer="i" * 300), ISSUER_KEYS[0]))
    for more in (-1, 0, 1):
        claims = permits._claims(replace(permit, issuer="i" * (300 + permits.MAX_SIZE - short + more)))
        data = signed(cbor2.dumps(claims))
        kid = cbor2.dumps({4: bytes(8)})
        yield data[:6] + kid + data[7:]


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
