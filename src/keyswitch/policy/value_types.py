"""Kinds of value that only policy files have; all others are in `keyswitch.schema.tables`."""

from dataclasses import dataclass
from typing import Any, Final

from keyswitch.errors import InputError
from keyswitch.schema.tables import Duration, shown, suggestion, wrong
from keyswitch.smp.commands import patterns, resolve
from keyswitch.terms import Security

MAX_DURATION_S: Final = 30 * 24 * 3600
"""Thirty days: beyond it a limit limits nothing."""

DURATION: Final = Duration(MAX_DURATION_S)


@dataclass(frozen=True, slots=True)
class Served:
    """A command or a group of commands, as allow lists name them (`smp.commands.resolve`)."""

    @property
    def expected(self) -> str:
        """What a person should write."""
        return "a group or command like os.echo or image.state:read"

    def read(self, value: object, where: str) -> str:
        """The value, checked."""
        if not isinstance(value, str):
            raise wrong(where, value, self.expected)
        if not resolve(value):
            raise InputError(where, f"{shown(value)} is not a command", self.expected + suggestion(value, patterns()))
        return value

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"enum": sorted(patterns())}


@dataclass(frozen=True, slots=True)
class SecurityLevel:
    """How well a link is protected, by its word."""

    @property
    def expected(self) -> str:
        """What a person should write."""
        return "one of " + ", ".join(f'"{each.word}"' for each in Security)

    def read(self, value: object, where: str) -> Security:
        """The value, checked."""
        for each in Security:
            if value == each.word:
                return each
        near = suggestion(value, (each.word for each in Security)) if isinstance(value, str) else ""
        raise wrong(where, value, self.expected + near)

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        return {"enum": [each.word for each in Security]}
