"""KS-112: there is no shell outside maintenance."""

from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import shell
from keyswitch.smp.header import Op

ID: Final = "KS-112"
EXEC: Final = CommandKey(shell.ID, shell.Id.EXEC, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """A command that only tells something."""
    del situation
    return (attempt(ID, EXEC, "shell command `kernel version`", {"argv": ["kernel", "version"]}),)


CHECK: Final = Check(
    id=ID,
    title="there is no shell outside maintenance",
    requirement="Outside maintenance no shell command is taken.",
    why="A shell does anything: it writes flash, resets, reads memory.",
    how="`kernel version`, which changes nothing, in each mode that does not list shell.exec.",
    finding="Everything that this audit looks for is open to whoever types it.",
    remedy="Build without group 9 in products (CONFIG_MCUMGR_GRP_SHELL=n).",
    catches="the shell is not gated",
    impact=Impact.IRREVERSIBLE,
    act=Matrix(attempts=attempts),
    commands=frozenset({EXEC}),
)
