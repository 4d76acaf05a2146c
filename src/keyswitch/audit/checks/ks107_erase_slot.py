"""KS-107: an erase that names its slot is gated too."""

from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image
from keyswitch.smp.header import Op

ID: Final = "KS-107"
ERASE: Final = CommandKey(image.ID, image.Id.ERASE, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Each number that a usual device might know; 0 is what runs."""
    del situation
    return tuple(attempt(ID, ERASE, f"erase slot {number}", {"slot": number}) for number in (1, 2, 3))


CHECK: Final = Check(
    id=ID,
    title="an erase that names its slot is gated too",
    requirement="Outside maintenance no slot number makes an erase pass.",
    why="A gate that looks at the payload has to know every form of it.",
    how="An erase of slots 1, 2 and 3 by number in each mode that does not list image.erase.",
    finding="The erase passes in another form than the gate was written for.",
    remedy="Refuse by group and command; leave the payload out of the decision.",
    catches="erase is gated for the default slot alone",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts),
    commands=frozenset({ERASE}),
)
