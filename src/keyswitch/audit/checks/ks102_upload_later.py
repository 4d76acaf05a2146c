"""KS-102: later pieces of an upload are asked about as the first one is."""

from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.host.connect.probe import PROBE_OFFSET
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image
from keyswitch.smp.header import Op

ID: Final = "KS-102"
UPLOAD: Final = CommandKey(image.ID, image.Id.UPLOAD, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Pieces that do not begin an upload."""
    del situation
    return (
        attempt(ID, UPLOAD, "piece at offset 256 of an upload", {"off": 256, "data": bytes(256)}),
        attempt(ID, UPLOAD, "piece at an offset that cannot be", {"off": PROBE_OFFSET, "data": b""}),
    )


CHECK: Final = Check(
    id=ID,
    title="later pieces of an upload are gated as the first one is",
    requirement="Outside maintenance no piece of an image is answered with an offset, whatever its own offset is.",
    why="A gate at the first piece alone lets an upload that has begun run on after maintenance has ended.",
    how="Pieces at other offsets, without a session, in each mode that does not list image.upload.",
    finding="Whoever got the first piece in may send the rest at any time.",
    remedy="Decide by the mode for each frame when it is executed, not when the upload begins.",
    catches="only the first chunk of an upload is gated",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts),
    commands=frozenset({UPLOAD}),
)
