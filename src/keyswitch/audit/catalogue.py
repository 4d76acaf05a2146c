"""What a check is. The checks themselves are in `keyswitch.audit.checks`, one small file each."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from keyswitch.audit.wire import Attempt
from keyswitch.smp.commands import CommandKey

if TYPE_CHECKING:
    from keyswitch.audit.bench import Bench
    from keyswitch.audit.verdict import Part


class Impact(StrEnum):
    """What a check may do to a device whose gate is open. The value is the word in reports."""

    READ_ONLY = "read-only"
    REVERSIBLE = "reversible"
    """The auditor puts back what it may have changed."""
    IRREVERSIBLE = "irreversible"
    """What is lost stays lost: keys, bonds, files, the firmware before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the attempts of one mode are made for.

    Attributes:
        other_hash: hash of the image in the slot that does not run; empty where none is known.
        chunk: the first piece of an image that this device would take; empty without an image.
        size: bytes of that whole image.
        shows: commands whose effect would be seen on this device.
    """

    other_hash: bytes = b""
    chunk: bytes = b""
    size: int = 0
    shows: frozenset[CommandKey] = frozenset()

    def seen(self, attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
        """Those attempts whose effect would be seen here; all of them where none would."""
        made = tuple(attempts)
        return tuple(each for each in made if each.key in self.shows) or made


NEXT: Final = "an image that the device takes: give it with --next"
"""What a check needs that sends one."""

OTHER: Final = "an image in the slot that does not run: give it with --next"
"""What a check needs that marks one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """A check by attempts: each is made in each mode that does not serve its command, over each way to the device.

    Attributes:
        attempts: what to try in a situation. Those whose command the mode serves are left out by the caller.
        control_only: the attempts are for the mode service alone.
        lacks: what of it cannot be tried in a situation, in words, each with what would be needed for it.
    """

    attempts: Callable[[Situation], tuple[Attempt, ...]]
    control_only: bool = False
    lacks: "Callable[[Situation], Mapping[str, str]]" = field(default=lambda _: {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A check by a sequence of acts, with the device brought where it has to be.

    Attributes:
        play: the acts.
        needs_mode: whether the device has to tell its mode; a person's word is not enough to judge by.
        of_radio: whether it is about the GATT table, so that its controls need a device with a radio.
    """

    play: "Callable[[Bench], Awaitable[tuple[Part, ...]]]"
    needs_mode: bool = True
    of_radio: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        id: `KS-NNN`; it never changes, and is never used again for another one.
        title: what must be so, in one line.
        requirement: what is required, in a sentence.
        why: why it matters in the field.
        how: how it is tried.
        finding: what a finding means.
        remedy: how it is closed in NCS or Zephyr.
        catches: the kind of hole that this check is the named catcher of.
        impact: what it may do to a device whose gate is open.
        resets: whether a device whose gate is open may reset outside maintenance.
        act: how it is carried out.
        commands: firmware commands whose cells of the table it covers.
    """

    id: str
    title: str
    requirement: str
    why: str
    how: str
    finding: str
    remedy: str
    catches: str
    impact: Impact
    act: Matrix | Story
    resets: bool = False
    commands: frozenset[CommandKey] = frozenset()

    @property
    def of_radio(self) -> bool:
        """Whether it is about the GATT table."""
        return isinstance(self.act, Story) and self.act.of_radio
