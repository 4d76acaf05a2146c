"""What a row of the table of handlers is."""

from dataclasses import dataclass
from enum import Enum

from keyswitch.device.server.reply import Handler


class Payload(Enum):
    """What a command makes of the bytes behind the header."""

    MAP = "map"
    """A map, else EINVAL."""
    LENIENT = "lenient"
    """A map if it is one; anything else counts as an empty one (Zephyr's reset)."""
    IGNORED = "ignored"
    """Never looked at."""


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command in one direction."""

    handler: Handler
    payload: Payload


Table = dict[tuple[int, int, int], CommandRow]
"""Rows by (group, command id, op)."""
