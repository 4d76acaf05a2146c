"""One root for everything that can go wrong; the class says whose fault it is.

* `InputError`: the person's: a file, an argument or an option that cannot be used. Says where and what was expected.
* `LocalError`: ours: a call that the program's own rules forbid. A bug, or a caller who did not read the contract.
* `RemoteError`: the peer's: bytes or an order of events that the protocol forbids.
* `LinkLostError`: the link's: the way to the peer is gone or never was.
* `SilenceError`: not known whose: the peer did not answer in time, and nothing says that the link is gone.

A *refusal* is none of these: it is a value with a reason (`keyswitch.reasons`), because being refused is normal here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from keyswitch.exits import Exit
from keyswitch.text import plain

Spell = Callable[[str], str]
"""How somebody writes the name of a field: `permit` is `--permit` on the command line, and `permit` in a program."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a request, by its name; how a person writes that name is known only where the person is asked.

    Attributes:
        name: as in the request (`keyswitch.app.update.UpdateRequest`).
        value: what was given, to be shown behind the name; empty where the problem says it.
    """

    name: str
    value: str = ""

    def spelled(self, spell: Spell) -> str:
        """The name as `spell` writes it, and the value."""
        return f"{spell(self.name)} {self.value}" if self.value else spell(self.name)


class Phrase(str):
    """A sentence of ours that names fields: `one of {policy} and {recipe}`. Never made of what somebody else wrote.

    It is the text as a program has it, and keeps what it takes to write it for somebody else.
    """

    __slots__ = ("template",)
    template: str

    def __new__(cls, template: str) -> Self:
        """The sentence, its fields between braces."""
        made = super().__new__(cls, template.format_map(_Names(as_in_programs)))
        made.template = template
        return made

    def spelled(self, spell: Spell) -> str:
        """The sentence with each name as `spell` writes it."""
        return self.template.format_map(_Names(spell))


class _Names(dict[str, str]):
    def __init__(self, spell: Spell) -> None:
        super().__init__()
        self._spell = spell

    def __missing__(self, name: str) -> str:
        return self._spell(name)


def as_in_programs(name: str) -> str:
    """The spelling of a field for who calls the library."""
    return name


class KeyswitchError(Exception):
    """The root. `exit_code` is what a command ends with when nobody handles the error.

    Its text is one harmless line, whatever was read, received or typed stands in it (`keyswitch.text.plain`).
    """

    exit_code: Exit = Exit.NO

    def __init__(self, line: str = "") -> None:
        super().__init__(plain(line))


class InputError(KeyswitchError):
    """A file, argument or option that cannot be used; nothing was changed.

    Args:
        where: what was read: a path, a path with a key (`policy.toml: modes.normal.allow[2]`), or a field of a request.
        problem: what is wrong there, in one line; a `Phrase` where it names fields.
        expected: what would be right, in one line, or a `Phrase`; empty where the problem says it.

    Attributes:
        field: the field of the request that is wrong, None if the fault is in a file or elsewhere.
    """

    exit_code = Exit.USAGE

    def __init__(self, where: str | Field, problem: str, expected: str = "") -> None:
        self._where = where
        self._expected = expected
        self._problem = problem
        self.field = where.name if isinstance(where, Field) else None
        super().__init__(self.spelled(as_in_programs))

    @property
    def where(self) -> str:
        """What was read, in words."""
        return _spelled(self._where, as_in_programs)

    @property
    def problem(self) -> str:
        """What is wrong there, in words."""
        return _spelled(self._problem, as_in_programs)

    @property
    def expected(self) -> str:
        """What would be right, in words."""
        return _spelled(self._expected, as_in_programs)

    def spelled(self, spell: Spell) -> str:
        """The whole line for somebody who writes fields as `spell` does. Not yet harmless (`keyswitch.text.plain`)."""
        where, problem, expected = (_spelled(each, spell) for each in (self._where, self._problem, self._expected))
        return f"{where}: {problem}" + (f" (expected {expected})" if expected else "")


def _spelled(words: str | Field, spell: Spell) -> str:
    return words.spelled(spell) if isinstance(words, Field | Phrase) else words


class LocalError(KeyswitchError):
    """A call that our own rules forbid: a bug on this side."""

    exit_code = Exit.FAULT


class RemoteError(KeyswitchError):
    """The peer sent what the protocol forbids. Says what, and where in the bytes if that is known."""

    exit_code = Exit.UNKNOWN


class LinkLostError(KeyswitchError):
    """The link to the peer is gone, or could not be made within its bound.

    Attributes:
        next_step: what a person can do, where whoever raised it knows (a `Phrase` names fields); empty otherwise.
    """

    exit_code = Exit.UNREACHABLE

    def __init__(self, line: str = "", *, next_step: str = "") -> None:
        super().__init__(line)
        self.next_step = next_step if isinstance(next_step, Phrase) else plain(next_step)


class SilenceError(KeyswitchError):
    """The peer did not answer in time, on a link that is up as far as is known. What was asked may have been done."""

    exit_code = Exit.UNREACHABLE
