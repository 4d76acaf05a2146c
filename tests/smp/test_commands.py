"""The registry: names and numbers agree, patterns mean what they say, and nothing unknown is found."""

import pytest

from keyswitch.smp.commands import (
    ALL_KEYS,
    BY_NAME,
    COMMANDS,
    DIRECTIONS,
    GROUP_BY_NAME,
    GROUPS,
    Command,
    CommandKey,
    command_name,
    keys,
    patterns,
    resolve,
)
from keyswitch.smp.header import Op


def test_no_name_and_no_number_is_taken_twice():
    commands = [command for group in GROUPS.values() for command in group.commands]
    assert len(BY_NAME) == len(COMMANDS) == len(commands)
    assert len(GROUP_BY_NAME) == len(GROUPS) == 9


def test_every_command():
    for command in COMMANDS.values():
        named_and_resolved(command)


def named_and_resolved(command: Command) -> None:
    group = GROUPS[command.group]
    assert command.name.startswith(group.name + ".")
    assert command.ops
    assert keys(command) == {CommandKey(command.group, command.id, op) for op in command.ops}
    assert resolve(command.name) == keys(command)
    for word, op in DIRECTIONS.items():
        expected = {key for key in keys(command) if key.op == op}
        assert resolve(f"{command.name}:{word}") == expected
        assert (f"{command.name}:{word}" in patterns()) is bool(expected)
    assert command_name(command.group, command.id) == command.name


@pytest.mark.parametrize("group", GROUPS.values(), ids=lambda group: group.name)
def test_a_group_stands_for_all_of_its_commands(group):
    assert resolve(group.name) == {key for key in ALL_KEYS if key.group == group.id}
    assert resolve(f"{group.name}:read") | resolve(f"{group.name}:write") == resolve(group.name)


@pytest.mark.parametrize(
    "pattern", ["", "osx", "os.", "os.ech", "os.echo:", "os.echo:r", "OS.echo", "os:*", ":read", "*"]
)
def test_what_names_nothing_resolves_to_nothing(pattern: str):
    assert resolve(pattern) == frozenset()


def test_numbers_of_the_field():
    assert resolve("image.state:write") == {(1, 0, Op.WRITE)}
    assert resolve("os.params") == {(0, 6, Op.READ)}
    assert resolve("image.upload:read") == frozenset()
    assert command_name(77, 3) == "77/3"
