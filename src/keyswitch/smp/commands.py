"""Every SMP command this program knows, by number and by name.

Names are dotted (`os.echo`, `image.state`). In a policy's allow list a name may also be a whole group (`image`) and
may end in a direction (`image.state:read`, `image:write`). What is not here is unknown, and not executed.
"""

from typing import Final, NamedTuple

from keyswitch.smp.group import Command, Group
from keyswitch.smp.groups import basic, enum, fs, image, mode, os, settings, shell, stat
from keyswitch.smp.header import Op


class CommandKey(NamedTuple):
    """What the gate decides about: one command in one direction. Equal to the plain tuple `(group, id, op)`."""

    group: int
    id: int
    op: int


GROUPS: Final[dict[int, Group]] = {
    module.GROUP.id: module.GROUP for module in (os, image, stat, settings, fs, shell, enum, basic, mode)
}
"""Known groups by id."""

COMMANDS: Final[dict[tuple[int, int], Command]] = {
    (command.group, command.id): command for group in GROUPS.values() for command in group.commands
}
"""Known commands by group and id."""

BY_NAME: Final[dict[str, Command]] = {command.name: command for command in COMMANDS.values()}
"""Known commands by dotted name."""

GROUP_BY_NAME: Final[dict[str, Group]] = {group.name: group for group in GROUPS.values()}
"""Known groups by name."""

DIRECTIONS: Final[dict[str, Op]] = {"read": Op.READ, "write": Op.WRITE}
"""The words behind the colon."""


def keys(command: Command) -> frozenset[CommandKey]:
    """The command in each direction that exists."""
    return frozenset(CommandKey(command.group, command.id, op) for op in command.ops)


ALL_KEYS: Final[frozenset[CommandKey]] = frozenset(key for command in COMMANDS.values() for key in keys(command))
"""Every known command in every direction it has."""


def resolve(pattern: str) -> frozenset[CommandKey]:
    """What an entry of an allow list stands for; empty if it names nothing that exists.

    Args:
        pattern: `group`, `group.command`, either with `:read` or `:write` behind it.
    """
    name, colon, direction = pattern.partition(":")
    if name in GROUP_BY_NAME:
        commands = GROUP_BY_NAME[name].commands
    elif name in BY_NAME:
        commands = (BY_NAME[name],)
    else:
        return frozenset()
    found = frozenset(key for command in commands for key in keys(command))
    if not colon:
        return found
    op = DIRECTIONS.get(direction)
    return frozenset(key for key in found if key.op == op)


def patterns() -> tuple[str, ...]:
    """Every entry that `resolve` knows, for suggestions and completion."""
    names = (*GROUP_BY_NAME, *BY_NAME)
    directed = (f"{name}:{word}" for name in names for word in DIRECTIONS)
    return tuple(pattern for pattern in (*names, *directed) if resolve(pattern))


def command_name(group: int, command: int) -> str:
    """The command's name, or its numbers where it has none."""
    known = COMMANDS.get((group, command))
    return known.name if known else f"{group}/{command}"
