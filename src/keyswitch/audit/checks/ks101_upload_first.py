"""KS-101: an upload begins in maintenance only."""

from collections.abc import Mapping
from typing import Final

from keyswitch.audit.catalogue import NEXT, Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image
from keyswitch.smp.header import Op

ID: Final = "KS-101"
UPLOAD: Final = CommandKey(image.ID, image.Id.UPLOAD, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """The first piece of an image that the device takes in maintenance."""
    if not situation.chunk:
        return ()
    body = {"off": 0, "len": situation.size, "data": situation.chunk}
    return (
        attempt(ID, UPLOAD, "first piece of an upload", body),
        attempt(ID, UPLOAD, "first piece of an upgrade", {**body, "upgrade": True}),
    )


def lacks(situation: Situation) -> Mapping[str, str]:
    """Without an image there is nothing to send."""
    return {} if situation.chunk else {"the first piece of an upload": NEXT}


CHECK: Final = Check(
    id=ID,
    title="an upload begins in maintenance only",
    requirement="Outside maintenance no first piece of an image is taken, over any transport.",
    why="The first piece erases or overwrites the slot that the device would go back to.",
    how=(
        "The first piece of the image given with --next, and of the same as an upgrade, in each mode that "
        "does not list image.upload."
    ),
    finding="Anybody in reach replaces the image that waits in the other slot, while the machine works.",
    remedy="Refuse image.upload in the command hook (MGMT_EVT_OP_CMD_RECV), not in the chunk hook alone.",
    catches="the upload is not gated",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts, lacks=lacks),
    commands=frozenset({UPLOAD}),
)
