"""What tells whether a value has a shape does tell it: wrong keys, wrong values, at any depth."""

from enum import StrEnum
from typing import Any, TypedDict

import pytest
from tests.shapes import faults, words


class Word(StrEnum):
    ONE = "one"


class Inner(TypedDict):
    at: int | None


class Outer(TypedDict):
    name: str
    ok: bool
    word: Word
    rows: list[Inner]
    rest: dict[str, Any]


GOOD: dict[str, Any] = {"name": "x", "ok": True, "word": "one", "rows": [{"at": 1}, {"at": None}], "rest": {}}


def test_a_value_of_the_shape_has_no_faults():
    assert faults(GOOD, Outer) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"more": 1}, ".more: not of this shape"),
        ({"name": 1}, ".name: 1 is not text"),
        ({"ok": 1}, ".ok: 1 is not true or false"),
        ({"word": 1}, ".word: 1 is not text"),
        ({"rows": [{"at": True}]}, ".rows[0].at: True is not number"),
        ({"rows": [{}]}, ".rows[0].at: missing"),
        ({"rows": {}}, ".rows: no list"),
        ({"rest": []}, ".rest: [] is not object"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], fault: str):
    assert faults({**GOOD, **change}, Outer) == [fault]


def test_a_key_that_is_missing_is_named():
    assert faults({key: value for key, value in GOOD.items() if key != "ok"}, Outer) == [".ok: missing"]


def test_the_words_of_a_kind():
    assert [words(kind) for kind in (Inner, list[Inner], int | None, Word)] == [
        "Inner",
        "list of Inner",
        "number or null",
        "text",
    ]
