"""JSON and TOML out of bytes: bounded in depth and in numbers, every mistake one `InputError` that says where.

Rules kept here:

* Nesting is bounded (`MAX_DEPTH`), so that whoever walks through a document afterwards need not be afraid of it.
* Whole numbers have at most 64 bits, which is what TOML asks of its readers and what JSON's are sure to keep. Others
  are errors here: Python would bear them, and fail when it is to print one.
* NaN and infinity are no JSON.
* A byte order mark before UTF-8 is passed over: editors on Windows write one. UTF-16 is named as what it is.
"""

import codecs
import json
import re
import tomllib
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, cast

from keyswitch.errors import InputError

MAX_DEPTH: Final = 32
"""Of tables and lists inside each other: the deepest document of ours has six."""

_MAX_INT: Final = 2**63
_LONG_KEY: Final = re.compile(
    rb"""(?<![A-Za-z0-9_-])(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){%d}""" % MAX_DEPTH
)
"""A dotted key that nests too deeply. Each part of it costs time again in every line below it."""


def parse_json(data: bytes, where: str, expected: str) -> Any:
    """The JSON value in `data`.

    Args:
        data: UTF-8.
        where: the file, for messages.
        expected: what it should be.

    Raises:
        InputError: no JSON, nested too deeply, or with a number that is out of bounds.
    """
    try:
        value = json.loads(_text(data, where, expected), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise InputError(where, f"not JSON: {error}", expected) from error
    except (RecursionError, ValueError) as error:
        raise InputError(where, f"not JSON {_BOUNDS}", expected) from error
    return _bounded(value, "JSON", where, expected)


def parse_toml(data: bytes, where: str, expected: str, *, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The TOML table in `data`.

    Args:
        data: UTF-8.
        where: the file, for messages.
        expected: what it should be.
        parse_float: what becomes of numbers with a fraction.

    Raises:
        InputError: no TOML, nested too deeply, or with a number that is out of bounds.
    """
    if _LONG_KEY.search(data):
        raise InputError(where, f"not TOML {_BOUNDS}", expected)
    try:
        value = tomllib.loads(_text(data, where, expected), parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        raise InputError(where, f"not TOML: {error}", expected) from error
    except (RecursionError, ValueError, ArithmeticError) as error:
        raise InputError(where, f"not TOML {_BOUNDS}", expected) from error
    return cast("dict[str, Any]", _bounded(value, "TOML", where, expected))


def _text(data: bytes, where: str, expected: str) -> str:
    """UTF-8 without its byte order mark."""
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(where, "the text is UTF-16, as some Windows programs save it", "the same saved as UTF-8")
    try:
        return data[start:].decode()
    except UnicodeDecodeError as error:
        raise InputError(where, f"byte {start + error.start} is not UTF-8", expected) from error


_BOUNDS: Final = f"that can be read: nested more than {MAX_DEPTH} deep, or with a number of more than 64 bits"


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)


def _bounded(value: Any, language: str, where: str, expected: str) -> Any:
    level: list[object] = [value]
    depth = 0
    while level:
        huge = any(isinstance(each, int) and not -_MAX_INT <= each < _MAX_INT for each in level)
        if huge or (depth == MAX_DEPTH and any(isinstance(each, dict | list) for each in level)):
            raise InputError(where, f"not {language} {_BOUNDS}", expected)
        level = [inner for each in level for inner in inside(each)]
        depth += 1
    return value


def inside(value: object) -> Iterable[object]:
    """The values of a table or list; nothing for any other value."""
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()
