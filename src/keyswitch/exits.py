"""The exit codes of every command, written once. 0 is full success and nothing less."""

from enum import IntEnum


class Exit(IntEnum):
    """What a command ends with."""

    YES = 0
    """Yes, all done."""
    NO = 1
    """The answer is no: shut, refused, violated, failed."""
    USAGE = 2
    """Bad usage, or an input file that cannot be used."""
    UNKNOWN = 3
    """Unknown or inconclusive."""
    UNREACHABLE = 4
    """The device could not be reached."""
    REVERTED = 5
    """The device went back to its old image."""
    STILL_IN_MAINTENANCE = 6
    """The device could not be brought out of maintenance."""
    FAULT = 70
    """An internal fault, or a device whose flash or state directory failed: neither yes nor no (EX_SOFTWARE)."""
    INTERRUPTED = 130
    """Interrupted by a signal (128 + SIGINT)."""
    NOBODY_READS = 141
    """Whoever read the output has gone before it was all written (128 + SIGPIPE)."""
