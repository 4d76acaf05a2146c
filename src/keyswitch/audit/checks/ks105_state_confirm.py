"""KS-105: no image is confirmed outside maintenance."""

from collections.abc import Mapping
from typing import Final

from keyswitch.audit.catalogue import OTHER, Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import image
from keyswitch.smp.header import Op

ID: Final = "KS-105"
STATE: Final = CommandKey(image.ID, image.Id.STATE, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Confirming what runs, and marking the other image for good."""
    found = [attempt(ID, STATE, "confirm what runs", {"confirm": True})]
    if situation.other_hash:
        body = {"hash": situation.other_hash, "confirm": True}
        found.append(attempt(ID, STATE, "mark the other image for good", body))
    return tuple(found)


def lacks(situation: Situation) -> Mapping[str, str]:
    """Without an image there is nothing to mark."""
    return {} if situation.other_hash else {"mark the other image for good": OTHER}


CHECK: Final = Check(
    id=ID,
    title="no image is confirmed outside maintenance",
    requirement="Outside maintenance nothing makes an image stay.",
    why="A confirmed image has no way back: a trial that went wrong can no longer revert.",
    how=(
        "A confirm without a hash, and one with the hash of the other image, in each mode that does not list "
        "image.state:write."
    ),
    finding="Firmware is made permanent by anybody in reach, without a trial.",
    remedy="Refuse image.state writes; CONFIG_MCUMGR_GRP_IMG_ALLOW_CONFIRM_NON_ACTIVE_SLOT=n closes a part of it.",
    catches="confirming is not gated",
    impact=Impact.IRREVERSIBLE,
    act=Matrix(attempts=attempts, lacks=lacks),
    commands=frozenset({STATE}),
)
