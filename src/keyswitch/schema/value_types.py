"""Kinds of value in a file: each reads itself, says what it expects, and describes itself. Seconds become milliseconds.

Rules kept here: a wrong value is an `InputError` that names file and key path, what stands there and what was
expected; a word that is nearly right gets a suggestion. Nothing is converted silently: `true` is no number.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol, cast

from keyswitch.errors import InputError


class ValueType(Protocol):
    """One kind of value."""

    @property
    def expected(self) -> str:
        """What a person should write, in a few words."""
        ...

    def read(self, value: object, where: str) -> Any:
        """The value as the program uses it.

        Raises:
            InputError: `value` is not of this kind.
        """
        ...

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema (draft 2020-12)."""
        ...


def shown(value: object) -> str:
    """A wrong value as messages show it: short, on one line, and as TOML writes it."""
    match value:
        case bool():
            text = str(value).lower()
        case str():
            text = f'"{value}"'
        case int() if abs(value) >= _HUGE:
            text = "a huge number"
        case int() | Decimal():
            text = str(value)
        case list():
            text = "a list"
        case dict():
            text = "a table"
        case _:
            text = "a date or time"
    printable = "".join(each if each.isprintable() else "?" for each in text)
    return printable if len(printable) <= LONGEST else printable[: LONGEST - 1] + "…"


_HUGE: Final = 10**20
LONGEST: Final = 48
"""Characters of a wrong value or key that are shown."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` where a known word is near, else nothing."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


def wrong(where: str, value: object, expected: str) -> InputError:
    """The error for a value that is not what its place needs."""
    return InputError(where, f"{shown(value)} is not allowed", expected)


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text. Attributes: longest: bytes in UTF-8; pattern and meaning narrow it."""

    longest: int = 200
    pattern: str | None = None
    meaning: str = "text"

    @property
    def expected(self) -> str:
        """What a person should write."""
        return f"{self.meaning}, 1 to {self.longest} bytes"

    def read(self, value: object, where: str) -> str:
        """The value, checked."""
        if not isinstance(value, str) or not value.isprintable() or not 0 < len(value.encode()) <= self.longest:
            raise wrong(where, value, self.expected)
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise wrong(where, value, self.expected)
        return value

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        narrowed = {} if self.pattern is None else {"pattern": f"^{self.pattern}$"}
        return {"type": "string", "minLength": 1, "maxLength": self.longest, **narrowed}


NAME: Final = Text(32, r"[a-z][a-z0-9_-]*", "a name of lower-case letters, digits, - and _, first a letter")


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false."""

    @property
    def expected(self) -> str:
        """What a person should write."""
        return "true or false"

    def read(self, value: object, where: str) -> bool:
        """The value, checked."""
        if not isinstance(value, bool):
            raise wrong(where, value, self.expected)
        return value

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two bounds, both included."""

    least: int
    most: int
    unit: str = ""

    @property
    def expected(self) -> str:
        """What a person should write."""
        return f"a whole number from {self.least} to {self.most}" + (f" {self.unit}" if self.unit else "")

    def read(self, value: object, where: str) -> int:
        """The value, checked."""
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            raise wrong(where, value, self.expected)
        return value

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds in the file, possibly fractional; whole milliseconds in the program. Attributes: most_s: the longest."""

    most_s: int

    @property
    def expected(self) -> str:
        """What a person should write."""
        return f"seconds from 0.001 to {self.most_s}, in whole milliseconds"

    def read(self, value: object, where: str) -> int:
        """The value, checked."""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise wrong(where, value, self.expected)
        if isinstance(value, Decimal) and not value.is_finite():
            raise wrong(where, value, self.expected)
        if not 0 < value <= self.most_s or value * 1000 != int(value * 1000):
            raise wrong(where, value, self.expected)
        return int(value * 1000)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"type": "number", "exclusiveMinimum": 0, "maximum": self.most_s}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the words of an enum.

    Attributes:
        words: the enum.
        without: of it, what may not be chosen here.
        known: other words that somebody may well write, each with what is wrong with it.
    """

    words: type[StrEnum]
    without: tuple[StrEnum, ...] = ()
    known: tuple[tuple[str, str], ...] = ()

    @property
    def members(self) -> tuple[StrEnum, ...]:
        """What may be chosen."""
        return tuple(each for each in self.words if each not in self.without)

    @property
    def expected(self) -> str:
        """What a person should write."""
        return "one of " + ", ".join(f'"{each.value}"' for each in self.members)

    def read(self, value: object, where: str) -> StrEnum:
        """The value, checked."""
        for each in self.members:
            if value == each.value:
                return each
        for word, problem in self.known:
            if value == word:
                raise InputError(where, f'"{word}" {problem}', self.expected)
        near = suggestion(value, (each.value for each in self.members)) if isinstance(value, str) else ""
        raise wrong(where, value, self.expected + near)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"enum": [each.value for each in self.members]}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of one kind, each value once unless it `repeats`."""

    item: ValueType
    least: int = 0
    most: int = 64
    repeats: bool = False

    @property
    def expected(self) -> str:
        """What a person should write."""
        few = "at least one" if self.least else "any number"
        return f"a list of {few}, each {self.item.expected}"

    def read(self, value: object, where: str) -> tuple[Any, ...]:
        """The value, checked."""
        if not isinstance(value, list):
            raise wrong(where, value, self.expected)
        values = cast("list[object]", value)
        if not self.least <= len(values) <= self.most:
            raise InputError(where, f"{len(values)} entries", f"{self.least} to {self.most}")
        read: list[Any] = []
        for place, each in enumerate(values):
            one = self.item.read(each, f"{where}[{place}]")
            if one in read and not self.repeats:
                raise InputError(f"{where}[{place}]", f"{shown(each)} stands here twice", "each entry once")
            read.append(one)
        return tuple(read)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        least = {"minItems": self.least} if self.least else {}
        unique = {} if self.repeats else {"uniqueItems": True}
        return {"type": "array", "items": self.item.schema(), "maxItems": self.most, **unique, **least}


@dataclass(frozen=True, slots=True)
class Either:
    """One of several kinds; the first that fits."""

    kinds: tuple[ValueType, ...]

    @property
    def expected(self) -> str:
        """What a person should write."""
        return " or ".join(each.expected for each in self.kinds)

    def read(self, value: object, where: str) -> Any:
        """The value, checked."""
        for each in self.kinds:
            try:
                return each.read(value, where)
            except InputError:
                continue
        raise wrong(where, value, self.expected)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"anyOf": [each.schema() for each in self.kinds]}
