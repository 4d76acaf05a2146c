"""Why not: one closed list of reasons, used by refusals, state, verdict, explain, panel and audit.

The value is the word that travels in answers (`rsn`, `reason`) and in JSON.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why a request was refused, or why a gate is shut."""

    WRONG_MODE = "wrong mode"
    GUARD = "guard"
    PROOF = "proof"
    EXPIRED = "expired"
    LOCKED_OUT = "locked out"
    OWNER = "owner"
    SECURITY = "security level"
    BUSY = "busy"
    IMAGE = "image"
    SIZE = "size"
    TRAILER = "trailer"
    DOWNGRADE = "downgrade"
    NOT_ON_THIS_SERVICE = "not on this service"

    # What is seen from outside, of devices that do not say why.
    NO_SERVICE = "no SMP service"
    NO_IMAGE_GROUP = "no image group"
    VETO = "upload vetoed"
    SILENCE = "no answer"


def spoken(reason: Reason, detail: str = "") -> str:
    """The reason as it is said to people and in `rsn`: the word, and behind it which guard, until when, and so on."""
    return f"{reason.value}: {detail}" if detail else reason.value
