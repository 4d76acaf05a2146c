"""Entry by permit: each way of being wrong by its name, and none of thousands of made-up ones opens."""

import random
from collections.abc import Callable
from dataclasses import replace

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyswitch.errors import LocalError
from keyswitch.proof import permit as permits
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.proof.permit import Permit, PermitFault, issue, key_id, read, sign, verify

ISSUER, HOLDER, STRANGER = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32


def public(private: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


ISSUERS = (public(STRANGER), public(ISSUER))
ASKED = Challenge(nonce=bytes(range(16)), device="Pump 7", mode="maintenance")
PERMIT = Permit(
    id=b"permit number 01",
    issuer="Service, north",
    devices=("Pump 6", "Pump 7"),
    mode="maintenance",
    holder=public(HOLDER),
    not_before_s=1_000,
    expires_s=2_000,
    uses=1,
    images=frozenset({b"\x11" * 32}),
)
DATA = issue(PERMIT, ISSUER)
SIGNATURE = sign(HOLDER, ASKED, DATA)


def judged(data: bytes = DATA, signature: bytes = SIGNATURE, now_s: int | None = 1_500) -> Permit | PermitFault:
    return verify(data, signature, ASKED, ISSUERS, now_s)


def test_a_right_permit_with_its_holders_signature_opens() -> None:
    assert judged() == PERMIT
    assert judged(now_s=None) == PERMIT
    assert read(DATA) == PERMIT
    assert len(DATA) < 400


@pytest.mark.parametrize("left_out", ["not_before_s", "expires_s", "uses", "images"])
def test_limits_may_be_left_out(left_out: str) -> None:
    permit = replace(PERMIT, **{left_out: None})
    assert read(issue(permit, ISSUER)) == permit


@pytest.mark.parametrize(
    ("now_s", "expected"),
    [
        (999, PermitFault.EARLY),
        (1_000, PERMIT),
        (1_999, PERMIT),
        (2_000, PermitFault.EXPIRED),
    ],
)
def test_validity_has_sharp_ends(now_s: int, expected: Permit | PermitFault) -> None:
    assert judged(now_s=now_s) == expected


@pytest.mark.parametrize(("left_out", "now_s"), [("expires_s", 1_500), ("uses", None)])
def test_a_permit_without_the_limit_that_counts_opens_nothing(left_out: str, now_s: int | None) -> None:
    data = issue(replace(PERMIT, **{left_out: None}), ISSUER)
    assert judged(data, sign(HOLDER, ASKED, data), now_s) is PermitFault.UNLIMITED


def test_a_permit_read_off_the_air_is_worth_nothing() -> None:
    for signature in (b"", bytes(64), sign(STRANGER, ASKED, DATA), sign(ISSUER, ASKED, DATA)):
        assert judged(signature=signature) is PermitFault.HOLDER


@pytest.mark.parametrize(
    "other",
    [
        {"nonce": bytes(16)},
        {"device": "Pump 6"},
        {"mode": "normal"},
        {"purpose": Purpose.ATTACH},
        {"session": b"tokn"},
    ],
)
def test_a_signature_for_another_challenge_is_replayed_in_vain(other: dict[str, object]) -> None:
    assert judged(signature=sign(HOLDER, replace(ASKED, **other), DATA)) is PermitFault.HOLDER


def test_a_signature_for_another_permit_of_the_same_holder() -> None:
    wider = issue(replace(PERMIT, images=None), ISSUER)
    assert judged(wider) is PermitFault.HOLDER


def test_a_signature_by_another_issuer() -> None:
    data = issue(PERMIT, HOLDER)
    assert judged(data, sign(HOLDER, ASKED, data)) is PermitFault.ISSUER


def test_the_hint_at_the_key_rules_nothing_out_and_nothing_in() -> None:
    items = cbor2.loads(DATA[1:])
    for hint in ({4: key_id(public(HOLDER))}, {}, {4: b""}, {1: -7, 4: key_id(public(STRANGER))}):
        data = DATA[:1] + cbor2.dumps([items[0], hint, items[2], items[3]])
        assert judged(data, sign(HOLDER, ASKED, data)) == PERMIT


@pytest.mark.parametrize(
    ("change", "fault"), [({"devices": ("Pump 8",)}, PermitFault.DEVICE), ({"mode": "cal"}, PermitFault.MODE)]
)
def test_a_permit_for_something_else(change: dict[str, object], fault: PermitFault) -> None:
    data = issue(replace(PERMIT, **change), ISSUER)
    assert judged(data, sign(HOLDER, ASKED, data)) is fault


def resigned(payload: object, *, protected: bytes = permits._PROTECTED) -> bytes:
    """A COSE_Sign1 by the real issuer over whatever is given."""
    body = payload if isinstance(payload, bytes) else cbor2.dumps(payload)
    key = Ed25519PrivateKey.from_private_bytes(ISSUER)
    signature = key.sign(cbor2.dumps(["Signature1", protected, b"", body]))
    return b"\xd2" + cbor2.dumps([protected, {}, body, signature])


CLAIMS = cbor2.loads(cbor2.loads(DATA[1:])[2])
WRONG_CLAIMS = {
    "an unknown claim": {**CLAIMS, 99: 1},
    "no map": [1],
    "no id": {key: value for key, value in CLAIMS.items() if key != 7},
    "short id": {**CLAIMS, 7: b"short"},
    "no device": {**CLAIMS, 3: []},
    "device that is no text": {**CLAIMS, 3: [b"Pump 7"]},
    "devices that are no list": {**CLAIMS, 3: "Pump 7"},
    "too many devices": {**CLAIMS, 3: [f"Pump {n}" for n in range(33)]},
    "negative expiry": {**CLAIMS, 4: -1},
    "expiry that is a bool": {**CLAIMS, 4: True},
    "expiry that is a float": {**CLAIMS, 4: 2e3},
    "uses that are text": {**CLAIMS, -70003: "9"},
    "no holder": {**CLAIMS, 8: {}},
    "holder's key too short": {**CLAIMS, 8: {1: {1: 1, -1: 6, -2: b"x"}}},
    "holder's key on another curve": {**CLAIMS, 8: {1: {1: 1, -1: 4, -2: public(HOLDER)}}},
    "holder's key and more": {**CLAIMS, 8: {1: {1: 1, -1: 6, -2: public(HOLDER), 3: -8}}},
    "no images": {**CLAIMS, -70002: []},
    "image hash of another size": {**CLAIMS, -70002: [b"x" * 33]},
}


@pytest.mark.parametrize("what", WRONG_CLAIMS)
def test_claims_that_are_not_understood_open_nothing_even_signed(what: str) -> None:
    data = resigned(WRONG_CLAIMS[what])
    assert judged(data, sign(HOLDER, ASKED, data)) is PermitFault.MALFORMED


OTHER_FORMS = {
    "nothing": b"",
    "no tag": DATA[1:],
    "another tag": b"\xd1" + DATA[1:],
    "bytes behind it": DATA + b"\x00",
    "an indefinite list": b"\xd2\x9f" + DATA[2:] + b"\xff",
    "three parts": b"\xd2" + cbor2.dumps([b"", {}, b""]),
    "no list": b"\xd2" + cbor2.dumps({}),
    "a detached payload": b"\xd2" + cbor2.dumps([permits._PROTECTED, {}, None, bytes(64)]),
    "no algorithm": resigned(CLAIMS, protected=b""),
    "another algorithm": resigned(CLAIMS, protected=cbor2.dumps({1: -7})),
    "a critical header": resigned(CLAIMS, protected=cbor2.dumps({1: -8, 2: [99]})),
    "headers that are no map": b"\xd2" + cbor2.dumps([permits._PROTECTED, [], b"", bytes(64)]),
    "a key id that is no bytes": b"\xd2" + cbor2.dumps([permits._PROTECTED, {4: "me"}, b"", bytes(64)]),
    "too large": DATA + bytes(permits.MAX_SIZE),
    "nested without end": b"\xd2" + b"\x81" * 500,
}


@pytest.mark.parametrize("what", OTHER_FORMS)
def test_a_permit_has_one_form(what: str) -> None:
    data = OTHER_FORMS[what]
    assert judged(data, sign(HOLDER, ASKED, data)) is PermitFault.MALFORMED


def test_claims_in_another_encoding_are_refused() -> None:
    longer = cbor2.dumps(CLAIMS).replace(cbor2.dumps(1_000), b"\x1a\x00\x00\x03\xe8")
    data = resigned(longer)
    assert cbor2.loads(longer) == CLAIMS
    assert judged(data, sign(HOLDER, ASKED, data)) is PermitFault.MALFORMED


def test_claims_in_another_order_are_refused() -> None:
    data = resigned(dict(reversed(list(CLAIMS.items()))))
    assert judged(data, sign(HOLDER, ASKED, data)) is PermitFault.MALFORMED
    images = {**CLAIMS, -70002: [b"\x22" * 32, b"\x11" * 32]}
    assert judged(resigned(images), sign(HOLDER, ASKED, resigned(images))) is PermitFault.MALFORMED


@pytest.mark.parametrize("headers", [{9: 1.5}, {9: [1]}, {9: None}, {b"9": 1}, dict.fromkeys(range(10, 15), 1)])
def test_headers_that_are_not_signed_are_few_and_plain(headers: dict[object, object]) -> None:
    items = cbor2.loads(DATA[1:])
    data = DATA[:1] + cbor2.dumps([items[0], headers, items[2], items[3]])
    assert judged(data, sign(HOLDER, ASKED, data)) is PermitFault.MALFORMED


@pytest.mark.parametrize("claim", [4, 5, -70003])
def test_a_number_beyond_64_bits_is_none(claim: int) -> None:
    for value, right in ((2**64 - 1, True), (2**64, False), (None, False)):
        data = resigned(dict(sorted({**CLAIMS, claim: value}.items(), key=lambda item: list(CLAIMS).index(item[0]))))
        assert isinstance(read(data), Permit) is right


def test_a_challenge_that_is_none() -> None:
    short = replace(ASKED, nonce=b"")
    assert verify(DATA, sign(HOLDER, short, DATA), short, ISSUERS, 1_500) is PermitFault.MALFORMED


@pytest.mark.parametrize(
    "change", [{"id": b"x"}, {"devices": ()}, {"images": frozenset({b"x"})}, {"holder": b"x"}, {"uses": -1}]
)
def test_nobody_issues_what_no_device_would_take(change: dict[str, object]) -> None:
    with pytest.raises(LocalError, match="no device would accept"):
        issue(replace(PERMIT, **change), ISSUER)


def test_nobody_issues_a_permit_that_is_too_large() -> None:
    with pytest.raises(LocalError, match="at most 1024"):
        issue(replace(PERMIT, issuer="x" * 1_000), ISSUER)


def test_every_cut_and_every_flipped_byte_is_refused() -> None:
    for end in range(len(DATA)):
        assert isinstance(judged(DATA[:end]), PermitFault)
    for place in range(len(DATA)):
        data = DATA[:place] + bytes([DATA[place] ^ 0x40]) + DATA[place + 1 :]
        assert isinstance(judged(data), PermitFault)


def guesses(count: int) -> None:
    """Permits and signatures made of right pieces and random ones; never both right."""
    chance = random.Random(7)
    for _ in range(count):
        data, signature = bytearray(DATA), bytearray(SIGNATURE)
        for target in chance.sample((data, signature), chance.randint(1, 2)):
            for _ in range(chance.randint(1, 3)):
                target[chance.randrange(len(target))] ^= chance.randint(1, 255)
            if chance.random() < 0.2:
                del target[chance.randrange(len(target)) :]
        # Two flips of one byte can cancel out.
        if (bytes(data), bytes(signature)) != (DATA, SIGNATURE):
            assert isinstance(judged(bytes(data), bytes(signature)), PermitFault)


def test_guessed_permits_open_nothing() -> None:
    guesses(2_000)


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_many_guessed_permits_open_nothing(tell: Callable[[str], None]) -> None:
    guesses(50_000)
    tell("50,000 permits")
