"""Strangers' words: one line, nothing that a terminal obeys."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import InputError, KeyswitchError, LinkLostError, RemoteError
from keyswitch.text import MAX_SHORT, plain, short

CONTROL = [*range(0x20), 0x7F, *range(0x80, 0xA0), 0x2028, 0x2029]
BIDI = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]


def test_what_a_terminal_obeys_is_shown_as_its_escape() -> None:
    for code in (*CONTROL, *BIDI, 0xFEFF, 0xD800, 0xDFFF, 0xE000, 0x10FFFF):
        said = plain(f"a{chr(code)}b")
        assert said.isprintable(), hex(code)
        assert said.startswith("a\\"), hex(code)
        assert said.endswith("b"), hex(code)
        said.encode()


@given(st.text(max_size=20))
def test_the_rest_is_left_alone(text: str) -> None:
    assert plain(text).isprintable()
    if text.isprintable():
        assert plain(text) == text


def test_every_character_is_harmless_afterwards() -> None:
    assert plain("".join(map(chr, range(0, sys.maxunicode, 7)))).isprintable()


@pytest.mark.parametrize("length", [MAX_SHORT - 3, MAX_SHORT - 2, MAX_SHORT - 1, 100_000])
def test_a_wrong_value_is_shown_short(length: int) -> None:
    assert len(short("x" * length)) <= MAX_SHORT + 1
    assert short("x" * length).endswith("…") is (length + 2 > MAX_SHORT)


@pytest.mark.parametrize("kind", [KeyswitchError, RemoteError, LinkLostError])
def test_every_error_is_one_harmless_line(kind: type[KeyswitchError]) -> None:
    assert str(kind("a\x1b[2J\nb\u202e")) == "a\\x1b[2J\\nb\\u202e"
    assert str(InputError("p\n", "\x1b", "\x9b")) == "p\\n: \\x1b (expected \\x9b)"
