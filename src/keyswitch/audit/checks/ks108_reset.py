"""KS-108: nobody resets the device outside maintenance."""

from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import os
from keyswitch.smp.header import Op

ID: Final = "KS-108"
RESET: Final = CommandKey(os.ID, os.Id.RESET, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """A plain one, and one with force."""
    del situation
    return (attempt(ID, RESET, "reset"), attempt(ID, RESET, "reset with force", {"force": True}))


CHECK: Final = Check(
    id=ID,
    title="nobody resets the device outside maintenance",
    requirement="Outside maintenance no reset is granted, with or without force.",
    why="A reset stops what the machine does, and lets the bootloader act on what waits in the slots.",
    how="A reset, and a reset with force, in each mode that does not list os.reset; a boot id that stays is the proof.",
    finding="Anybody in reach stops the machine, again and again.",
    remedy="Refuse os.reset in the command hook, or in MGMT_EVT_OP_OS_MGMT_RESET by the mode.",
    catches="the reset is not gated",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts),
    resets=True,
    commands=frozenset({RESET}),
)
