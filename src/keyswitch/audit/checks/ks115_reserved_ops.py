"""KS-115: reserved operations execute nothing."""

from dataclasses import replace
from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.checks import ks101_upload_first, ks106_erase, ks108_reset, ks113_storage
from keyswitch.audit.wire import Attempt
from keyswitch.smp.header import Op

ID: Final = "KS-115"
OPS: Final = (Op.READ, Op.READ_RESPONSE, Op.WRITE_RESPONSE, 4, 5, 6, 7)
"""Every operation that these commands do not have."""


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Each operation with the commands that would show an effect."""
    return situation.seen(
        replace(each, check=ID, op=int(op), words=f"{each.words}, with operation {int(op)}")
        for check in (ks101_upload_first, ks106_erase, ks113_storage, ks108_reset)
        for each in check.attempts(situation)[:1]
        for op in OPS
    )


CHECK: Final = Check(
    id=ID,
    title="reserved operations execute nothing",
    requirement="A frame with an operation that the command does not have is not executed.",
    why="A gate that knows two operations may let the other six pass to a handler that looks at one bit.",
    how="Upload, erase, storage erase and reset with the operations 0, 1, 3 and 4 to 7.",
    finding="The gate is open to whoever sends a number that nobody thought of.",
    remedy="Refuse what is not listed; do not list what is refused.",
    catches="a reserved operation passes by the gate",
    impact=Impact.IRREVERSIBLE,
    act=Matrix(attempts=attempts),
    resets=True,
)
