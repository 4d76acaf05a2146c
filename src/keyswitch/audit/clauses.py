"""What each check is evidence toward: `clauses.toml`, read once. Whether a product meets a clause, nobody says here."""

import functools
import importlib.resources
import tomllib
from dataclasses import dataclass
from typing import Final

_FILE: Final = "clauses.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One clause of a law or standard.

    Attributes:
        name: document and number.
        says: in short.
        edition: of the document.
        source: where its text was read, or that it was not.
    """

    name: str
    says: str
    edition: str
    source: str


@functools.cache
def _read() -> tuple[dict[str, Clause], dict[str, tuple[Clause, ...]]]:
    document = tomllib.loads((importlib.resources.files("keyswitch.audit") / _FILE).read_text("utf-8"))
    clauses = {key: Clause(**values) for key, values in document["clauses"].items()}
    checks = {check: tuple(clauses[key] for key in keys) for check, keys in document["checks"].items()}
    return clauses, checks


def clauses_of(check: str) -> tuple[Clause, ...]:
    """The clauses that a check is evidence toward."""
    return _read()[1].get(check, ())


def all_clauses() -> tuple[Clause, ...]:
    """Every clause of the file."""
    return tuple(_read()[0].values())
