"""KS-104: no image is marked for the next boot outside maintenance."""

from collections.abc import Mapping
from typing import Final

from keyswitch.audit.catalogue import OTHER, Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image
from keyswitch.smp.header import Op

ID: Final = "KS-104"
STATE: Final = CommandKey(image.ID, image.Id.STATE, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """The mark for a trial of what lies in the other slot."""
    if not situation.other_hash:
        return ()
    return (attempt(ID, STATE, "mark the other image for a trial", {"hash": situation.other_hash, "confirm": False}),)


def lacks(situation: Situation) -> Mapping[str, str]:
    """Without an image there is nothing to mark."""
    return {} if situation.other_hash else {"mark the other image for a trial": OTHER}


CHECK: Final = Check(
    id=ID,
    title="no image is marked for the next boot outside maintenance",
    requirement="Outside maintenance a state write changes nothing of what the bootloader will do.",
    why="The mark survives: the machine starts other firmware at its next power-up, whenever that is.",
    how="A state write with the hash of the image in the other slot in each mode that does not list image.state:write.",
    finding="Anybody in reach decides what the machine runs after its next start.",
    remedy="Refuse image.state writes by the operation (cmd_arg.op, from Zephyr 3.6); reading may stay open.",
    catches="the state write is not gated",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts, lacks=lacks),
    commands=frozenset({STATE}),
)
