"""KS-113: nobody erases the storage outside maintenance."""

from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import basic
from keyswitch.smp.header import Op

ID: Final = "KS-113"
ERASE: Final = CommandKey(basic.ID, basic.Id.ERASE_STORAGE, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """The one command of its group."""
    del situation
    return (attempt(ID, ERASE, "erase the storage"),)


CHECK: Final = Check(
    id=ID,
    title="nobody erases the storage outside maintenance",
    requirement="Outside maintenance the storage partition is not erased.",
    why="It holds bonds, keys, counters and the lock-out: erased, the device trusts anybody again.",
    how="The erase of Zephyr's group 63 in each mode that does not list basic.erase_storage.",
    finding="Anybody in reach makes the device forget whom it trusts, and what it has counted.",
    remedy="CONFIG_MCUMGR_GRP_ZBASIC_STORAGE_ERASE=n, or refuse group 63 in the command hook.",
    catches="the storage erase is not gated",
    impact=Impact.IRREVERSIBLE,
    act=Matrix(attempts=attempts),
    commands=frozenset({ERASE}),
)
