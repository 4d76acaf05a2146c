"""Tables of a file: which keys may stand there. One that may not, or is missing, is an error that says where.

What a key's value may be is in `keyswitch.schema.value_types`. A key that is nearly right gets a suggestion.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from keyswitch.errors import InputError
from keyswitch.schema.value_types import LONGEST, ValueType, shown, suggestion, wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlKey:
    """One key of a table.

    Attributes:
        name: as written in the file.
        kind: of its value.
        doc: what it means, for the reference and editors.
        default: the value when the key is absent; `REQUIRED` where it must be there.
        default_text: how the reference says the default, where the value does not say it.
    """

    name: str
    kind: ValueType
    doc: str
    default: object = None
    default_text: str = ""


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlTable:
    """A table with fixed keys.

    Attributes:
        keys: those with plain values.
        tables: tables inside it, by name; read by whoever reads this one.
        doc: what it is for.
    """

    keys: tuple[TomlKey, ...] = ()
    tables: tuple[str, ...] = ()
    doc: str = ""

    @property
    def expected(self) -> str:
        """For messages."""
        return "a table with " + ", ".join(self.names)

    @property
    def names(self) -> tuple[str, ...]:
        """Every key that may stand here."""
        return (*(key.name for key in self.keys), *self.tables)

    def read(self, value: object, where: str) -> dict[str, Any]:
        """The values of the plain keys, absent ones with their defaults.

        Raises:
            InputError: not a table, an unknown key, a missing one, or a wrong value.
        """
        given = as_table(value, where, self.expected)
        for name in given:
            if name not in self.names:
                expected = ", ".join(self.names) + suggestion(name, self.names)
                raise InputError(below(where, name), "unknown key", expected)
        read: dict[str, Any] = {}
        for key in self.keys:
            place = below(where, key.name)
            if key.name in given:
                read[key.name] = key.kind.read(given[key.name], place)
            elif key.default is REQUIRED:
                raise InputError(place, "missing", key.kind.expected)
            else:
                read[key.name] = key.default
        return read


def as_table(value: object, where: str, expected: str) -> Mapping[str, object]:
    """`value` as a table.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, dict):
        raise wrong(where, value, expected)
    return cast("dict[str, object]", value)


def below(where: str, name: str) -> str:
    """The key path one level down: `policy.toml: modes` and `normal` give `policy.toml: modes.normal`."""
    bare = len(name) <= LONGEST and re.fullmatch(r"[A-Za-z0-9_-]+", name)
    step = name if bare else shown(name)
    return f"{where}{step}" if where.endswith(": ") else f"{where}.{step}"
