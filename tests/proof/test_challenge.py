"""Entry by a shared secret: only the right answer to this challenge opens."""

import hashlib
import hmac
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import LocalError
from keyswitch.proof.challenge import MAC_SIZE, Challenge, Purpose, make, message, verify

SECRET = bytes(range(32))
CHALLENGE = Challenge(nonce=bytes(16), device="Pump 7", mode="maintenance")


def test_the_message_names_everything_with_its_length() -> None:
    assert message(CHALLENGE, "challenge") == (
        b"\x00\x11keyswitch entry 1"
        b"\x00\x09challenge"
        b"\x00\x05enter"
        b"\x00\x10" + bytes(16) + b"\x00\x06Pump 7\x00\x0bmaintenance\x00\x00"
    )


def test_the_answer_is_hmac_sha256() -> None:
    mac = make(SECRET, CHALLENGE)
    assert len(mac) == MAC_SIZE
    assert mac == hmac.new(SECRET, message(CHALLENGE, "challenge"), hashlib.sha256).digest()
    assert verify(SECRET, CHALLENGE, mac)


@pytest.mark.parametrize(
    "other",
    [
        {"nonce": b"\x01" + bytes(15)},
        {"device": "Pump 8"},
        {"mode": "normal"},
        {"purpose": Purpose.ATTACH},
        {"session": b"tokn"},
    ],
)
def test_an_answer_is_worth_nothing_for_another_challenge(other: dict[str, object]) -> None:
    assert not verify(SECRET, replace(CHALLENGE, **other), make(SECRET, CHALLENGE))


def test_a_nonce_of_another_size_is_no_challenge() -> None:
    short = replace(CHALLENGE, nonce=b"")
    assert not verify(SECRET, short, make(SECRET, short))


def test_a_part_that_cannot_say_its_length_is_a_bug() -> None:
    with pytest.raises(LocalError):
        message(replace(CHALLENGE, device="x" * 65_536), "challenge")


@given(st.binary(max_size=64))
def test_guesses_and_cut_answers_are_wrong(guess: bytes) -> None:
    assert not verify(SECRET, CHALLENGE, guess)


@given(st.integers(0, 255))
def test_each_flipped_bit_is_wrong(bit: int) -> None:
    mac = bytearray(make(SECRET, CHALLENGE))
    mac[bit // 8] ^= 1 << bit % 8
    assert not verify(SECRET, CHALLENGE, bytes(mac))


@given(st.tuples(*[st.text(max_size=5)] * 4))
def test_no_two_requests_have_the_same_bytes(parts: tuple[str, str, str, str]) -> None:
    one = Challenge(nonce=bytes(16), device=parts[0], mode=parts[1])
    two = Challenge(nonce=bytes(16), device=parts[2], mode=parts[3])
    assert (message(one, "permit") == message(two, "permit")) is (one == two)
