"""KS-118: unknown commands and groups execute nothing, in any mode."""

from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image, os
from keyswitch.smp.header import Op

ID: Final = "KS-118"
BRIDGE: Final = 11
"""The SMP bridge of newer Zephyr: whatever is sent there is another server's."""
_KEYS: Final = (
    CommandKey(BRIDGE, 0, Op.WRITE),
    CommandKey(BRIDGE, 1, Op.WRITE),
    CommandKey(image.ID, 2, Op.WRITE),
    CommandKey(image.ID, 4, Op.WRITE),
    CommandKey(os.ID, 1, Op.WRITE),
    CommandKey(64, 0, Op.WRITE),
    CommandKey(65, 1, Op.WRITE),
    CommandKey(0xFFFF, 0xFF, Op.WRITE),
)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Numbers that no group of ours has."""
    del situation
    return tuple(attempt(ID, key, f"group {key.group}, command {key.id}") for key in _KEYS)


CHECK: Final = Check(
    id=ID,
    title="unknown commands and groups execute nothing",
    requirement="What the policy cannot name is executed in no mode.",
    why="A product's own group, or a bridge to another core, is a way to firmware that no list speaks of.",
    how="The SMP bridge, unused ids of the os and image groups, and numbers of products' own groups, in every mode.",
    finding="There is a command that the policy does not know, and it is open.",
    remedy="Refuse by default; list product groups in the policy before they are served.",
    catches="an unknown group is executed",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts),
)
