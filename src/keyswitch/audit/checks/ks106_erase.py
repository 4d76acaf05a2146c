"""KS-106: no slot is erased outside maintenance."""

from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image
from keyswitch.smp.header import Op

ID: Final = "KS-106"
ERASE: Final = CommandKey(image.ID, image.Id.ERASE, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Without a slot: the one that does not run."""
    del situation
    return (attempt(ID, ERASE, "erase the other slot"),)


CHECK: Final = Check(
    id=ID,
    title="no slot is erased outside maintenance",
    requirement="Outside maintenance an erase changes nothing.",
    why="What is erased is the way back; and erasing stops a small part for seconds, while the machine works.",
    how="An erase without a slot number in each mode that does not list image.erase.",
    finding="Anybody in reach takes the image away that the device would revert to.",
    remedy="Refuse image.erase in the command hook; a hook for chunks is not asked about it.",
    catches="the erase is not gated",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts),
    commands=frozenset({ERASE}),
)
