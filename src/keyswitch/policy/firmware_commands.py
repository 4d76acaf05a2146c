"""The fixed table of commands that can change firmware, or lead to it. No policy has a say in it.

A mode without `maintenance = true` that serves one of these is a violation (`keyswitch check`), on any transport and
whether or not the SMP service is visible. The SMP bridge of newer Zephyr (group 11) and whatever else is not known is
not here: it is executed in no mode at all.
"""

from typing import Final

from keyswitch.smp.commands import CommandKey, resolve

_REASONS: Final = {
    "image.upload": "writes an image into a slot",
    "image.state:write": "makes the bootloader swap, or makes an image stay",
    "image.erase": "erases a slot, the way back included",
    "os.reset": "lets the bootloader act; with boot_mode it leads to serial recovery, which knows no modes",
    "settings:write": "can change what the application does at its next start, boot flags included",
    "fs.file:write": "writes files, images and keys among them",
    "shell.exec": "runs anything",
    "basic:write": "erases the storage that keys, bonds and lock-out live in",
}
"""Pattern of an allow list, and how it can change firmware."""

HARMLESS_WRITES: Final[frozenset[CommandKey]] = frozenset(
    key
    for pattern in ("os.echo:write", "os.datetime:write", "fs.close:write", "mode:write")
    for key in resolve(pattern)
)
"""The other writes. Every write is in one of the two tables, so that a new command cannot slip through unjudged."""

REVEALING_READS: Final[dict[CommandKey, str]] = {
    key: reason
    for pattern, reason in {
        "fs.file:read": "reads files, keys among them",
        "settings.value:read": "reads settings, which is where Zephyr keeps its bonds",
    }.items()
    for key in resolve(pattern)
}
"""Reads that may give away a key: worth a warning outside maintenance, no violation."""

FIRMWARE_COMMANDS: Final[dict[CommandKey, str]] = {
    key: reason for pattern, reason in _REASONS.items() for key in resolve(pattern)
}
"""Each such command in each direction, with the reason."""
