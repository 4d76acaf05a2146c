"""KS-103: an upload to another image number is gated too."""

from collections.abc import Mapping
from typing import Final

from keyswitch.audit.catalogue import NEXT, Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image
from keyswitch.smp.header import Op

ID: Final = "KS-103"
UPLOAD: Final = CommandKey(image.ID, image.Id.UPLOAD, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """The first piece for each number that a usual device might know."""
    if not situation.chunk:
        return ()
    body = {"off": 0, "len": situation.size, "data": situation.chunk}
    return tuple(
        attempt(ID, UPLOAD, f"first piece for image {number}", {**body, "image": number}) for number in (1, 2, 3)
    )


def lacks(situation: Situation) -> Mapping[str, str]:
    """Without an image there is nothing to send."""
    return {} if situation.chunk else {"the first piece for another image": NEXT}


CHECK: Final = Check(
    id=ID,
    title="an upload to any image number is gated",
    requirement="Outside maintenance no image number opens an upload.",
    why="A second image (a network core, a bootloader) is firmware as well, and hooks are often written for image 0.",
    how="The first piece for images 1, 2 and 3 in each mode that does not list image.upload.",
    finding="The firmware of another core, or of another slot, can be replaced while the machine works.",
    remedy="Refuse by group and command; leave the payload out of the decision.",
    catches="an upload is gated for image 0 alone",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts, lacks=lacks),
    commands=frozenset({UPLOAD}),
)
