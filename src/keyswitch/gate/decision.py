"""The gate's answer to one request: a value, because being refused is normal here."""

from dataclasses import dataclass
from typing import Final

from keyswitch.reasons import Reason, format_reason
from keyswitch.smp.codes import Rc


@dataclass(frozen=True, slots=True)
class Allowed:
    """The request may be executed now, and only now."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The request is not executed.

    Attributes:
        reason: why.
        detail: which guard, until when, whose; empty where saying more would help an attacker.
        rc: EACCESSDENIED, or EBUSY for contention inside maintenance only (client libraries repeat what got EBUSY).
    """

    reason: Reason
    detail: str = ""
    rc: Rc = Rc.EACCESSDENIED

    @property
    def text(self) -> str:
        """What `rsn` says."""
        return format_reason(self.reason, self.detail)


Decision = Allowed | Refused

ALLOWED: Final = Allowed()

RESETTING: Final = Refused(Reason.BUSY, "resetting")
"""The device is on its way down: nothing is executed before the next boot."""

FIRST_TRIAL: Final = Refused(Reason.BUSY, "the first image with this gate is on trial: confirm it, or it reverts")
"""Asking, reading the slots and confirming are all that is served then."""
