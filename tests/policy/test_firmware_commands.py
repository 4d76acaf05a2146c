"""The fixed table: no write goes unjudged, and no pattern in it is dead."""

from keyswitch.policy import firmware_commands as table
from keyswitch.smp.commands import ALL_KEYS, resolve
from keyswitch.smp.header import Op


def test_every_write_is_judged_once() -> None:
    writes = {key for key in ALL_KEYS if key.op == Op.WRITE}
    assert table.FIRMWARE_COMMANDS.keys() | table.HARMLESS_WRITES == writes
    assert not table.FIRMWARE_COMMANDS.keys() & table.HARMLESS_WRITES


def test_no_read_changes_firmware() -> None:
    assert all(key.op == Op.READ for key in table.REVEALING_READS)


def test_every_pattern_names_something() -> None:
    assert all(resolve(pattern) for pattern in table._REASONS)
