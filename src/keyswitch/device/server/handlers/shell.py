"""Group shell: a command line that knows no commands; a door for whoever tries it, gated like the others."""

from typing import Final, cast

from keyswitch.device.server.handlers.table import CommandRow, Payload, Table
from keyswitch.device.server.reply import Call, GroupError, Reply, SmpError
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import shell
from keyswitch.smp.header import Op

MAX_LINE: Final = 256
"""Zephyr `SHELL_CMD_BUFF_SIZE`."""
ENOEXEC: Final = -8
"""What Zephyr's shell returns for a command that it does not find."""


def execute(_device: object, call: Call) -> Reply:
    """Look for the command, in vain."""
    argv = call.body.get("argv")
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in cast("list[object]", argv)):
        return SmpError(Rc.EINVAL)
    words = cast("list[str]", argv)
    line = " ".join(words)
    if len(line) >= MAX_LINE:
        return GroupError(shell.Err.COMMAND_TOO_LONG)
    if not line.strip():
        return GroupError(shell.Err.EMPTY_COMMAND)
    return {"o": f"{words[0]}: command not found\n", "ret": ENOEXEC}


HANDLERS: Final[Table] = {(shell.ID, shell.Id.EXEC, Op.WRITE): CommandRow(execute, Payload.MAP)}
