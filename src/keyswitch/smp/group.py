"""What a group and a command are; the groups themselves are in `keyswitch.smp.groups`, all of them in `commands`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from keyswitch.smp.codes import Rc
from keyswitch.smp.header import Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command of one group.

    Attributes:
        group: SMP group id.
        id: command id within the group.
        name: dotted, `group.command`: the word in policies, reports and JSON.
        reads: whether a read request exists.
        writes: whether a write request exists.
    """

    group: int
    id: int
    name: str
    reads: bool = False
    writes: bool = False

    @property
    def ops(self) -> tuple[Op, ...]:
        """The request operations that exist."""
        return ((Op.READ,) if self.reads else ()) + ((Op.WRITE,) if self.writes else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One SMP group.

    Attributes:
        id: SMP group id.
        name: the word before the dot in its commands' names.
        label: the name Zephyr's enumeration group tells.
        commands: all of them, by id.
        errors: its error codes in version 2 answers.
        v1: the SMP-level code that stands for a group error in version 1 answers; `EUNKNOWN` where it says nothing.
    """

    id: int
    name: str
    label: str
    commands: tuple[Command, ...]
    errors: type[IntEnum]
    v1: Mapping[int, Rc] = field(default_factory=dict[int, Rc])

    def v1_code(self, error: int) -> Rc:
        """What a version 1 client is told instead of the group's `error`."""
        return self.v1.get(error, Rc.EUNKNOWN)
