"""JSON and TOML from strangers: only `InputError` comes out, in bounded time; what is within the bounds is read."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import InputError
from keyswitch.files.documents import MAX_DEPTH, parse_json, parse_toml

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=10,
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@given(VALUES)
def test_json_within_the_bounds_is_read_as_it_is(value: Any) -> None:
    assert parse_json(json.dumps(value).encode(), "f", "x") == value


@pytest.mark.parametrize(
    ("beyond", "end"), [(-1, "read"), (0, "read"), (1, "refused"), (1_000, "refused"), (100_000, "refused")]
)
def test_nesting_is_bounded(beyond: int, end: str) -> None:
    for parse, data in (
        (parse_json, nested(MAX_DEPTH + beyond)),
        (parse_toml, b"a = " + nested(MAX_DEPTH - 1 + beyond)),
    ):
        if end == "read":
            parse(data, "f", "x")
        else:
            with pytest.raises(InputError, match=r"^f: not .* nested more than 32 deep"):
                parse(data, "f", "x")


@pytest.mark.parametrize(
    ("number", "end"),
    [
        (2**63 - 1, "read"),
        (2**63, "refused"),
        (-(2**63), "read"),
        (-(2**63) - 1, "refused"),
        ("9" * 5_000, "refused"),
    ],
)
def test_numbers_are_bounded(number: int | str, end: str) -> None:
    for parse, text in ((parse_toml, f"a = {number}"), (parse_json, f'{{"a": [{number}]}}')):
        if end == "read":
            parse(text.encode(), "f", "x")
        else:
            with pytest.raises(InputError, match="more than 64 bits"):
                parse(text.encode(), "f", "x")


def test_a_hexadecimal_number_without_end() -> None:
    with pytest.raises(InputError, match="more than 64 bits"):
        parse_toml(b"a = 0x" + b"f" * 100_000, "f", "x")


@pytest.mark.parametrize("data", [b"NaN", b"[Infinity]", b"\xff", b"", b"{", b'"\xed\xa0\x80"', b"{'a': 1}"])
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^f: "):
        parse_json(data, "f", "x")


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b"a." * 250_000 + b"a]\n" + b"\n".join(b"k%d = 1" % n for n in range(40_000)),
        b"a = {" + b"a." * 250_000 + b"a = 1}",
        b'"a".' * 33 + b"a = 1",
        b"a . " * 33 + b"a = 1",
    ],
)
def test_dotted_keys_are_bounded_in_depth_and_so_in_time(data: bytes) -> None:
    """Each line below a deep table costs its depth again: this one took hours."""
    begun = time.process_time()
    with pytest.raises(InputError, match="nested more than"):
        parse_toml(data, "f", "x")
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("data", [b"a" * 1_000_000, b'"' * 1_000_000, b"a " * 500_000, b"." * 1_000_000, b"a." * 31])
def test_looking_for_dotted_keys_is_cheap(data: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(InputError):
        parse_toml(data, "f", "x")
    assert time.process_time() - begun < 2


@given(
    st.binary(max_size=200)
    | st.text(alphabet="[]{}\"\\=.,\n#truefalsnixo0123456789eE+-_: \t'", max_size=80).map(str.encode)
)
def test_only_input_errors_come_out(data: bytes) -> None:
    for parse in (parse_json, parse_toml):
        with suppress(InputError):
            parse(data, "f", "x")


@pytest.mark.parametrize(("parse", "text"), [(parse_json, '{"a": 1}'), (parse_toml, "a = 1\n")])
def test_byte_order_marks(parse: Callable[..., Any], text: str):
    assert parse(b"\xef\xbb\xbf" + text.encode(), "f", "x") == {"a": 1}
    with pytest.raises(InputError, match=r"f: the text is UTF-16, as some Windows programs save it .expected the same"):
        parse(text.encode("utf-16"), "f", "x")
    with pytest.raises(InputError, match="f: byte 4 is not UTF-8"):
        parse(b"\xef\xbb\xbf{\xff}", "f", "x")
