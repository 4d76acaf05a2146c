"""A set of words stands once: no two enums of the program say the same."""

import importlib
import pkgutil
from collections import defaultdict
from collections.abc import Iterable
from enum import Enum

import keyswitch
from keyswitch.gate.events import Timer
from keyswitch.policy.enums import Compare, ProofKind

Words = frozenset[str]


def enums() -> set[type[Enum]]:
    """Every enum that a module of ours defines."""
    found: set[type[Enum]] = set()
    for module in pkgutil.walk_packages(keyswitch.__path__, "keyswitch."):
        if module.name.endswith("__main__"):
            continue
        values = vars(importlib.import_module(module.name)).values()
        found |= {each for each in values if isinstance(each, type) and issubclass(each, Enum)}
    return {each for each in found if each.__module__.startswith("keyswitch.")}


def same_words(enums: Iterable[type[Enum]]) -> list[set[str]]:
    """Enums that have the same members, by what they are called or by the words that they stand for."""
    by_words: dict[Words, set[str]] = defaultdict(set)
    for each in enums:
        if len(each) > 1:
            named = frozenset(name.lower() for name in each.__members__)
            worded = frozenset(str(member.value) for member in each if isinstance(member.value, str))
            for words in {named, worded} - {frozenset()}:
                by_words[words].add(f"{each.__module__}.{each.__qualname__}")
    return [names for names in by_words.values() if len(names) > 1]


def test_no_two_enums_say_the_same() -> None:
    found = enums()
    assert len(found) > 50
    assert same_words(found) == []


def test_enums_that_say_the_same_are_found() -> None:
    security = Enum("security", [("NONE", 0), ("ENCRYPTED", 1)])
    word = Enum("word", [("NONE", "none"), ("ENCRYPTED", "encrypted")])
    downgrade = Enum("downgrade", [("BY_VERSION", "version"), ("ALLOWED", "allowed")])
    again = Enum("again", [("VERSION", "version"), ("ALLOWED", "allowed")])
    other = Enum("other", [("A", "a"), ("B", "b")])
    assert sorted(map(len, same_words([security, word, downgrade, again, other]))) == [2, 2]


def test_words_that_the_prover_looks_up_by_the_thousand_are_found_as_words() -> None:
    """An enum's own hash is of the member's name, not of the word that it equals, and is worked out in Python."""
    for member in (*Timer, *ProofKind, *Compare):
        assert {member.value: 1}[member] == 1
