"""Whether a proof is looked at at all, before anything in it is: each rule is a value, the first refusal decides.

`is_asked_for`       a kind that no way takes: nobody guesses at what is not asked for, so it is not counted either
`is_not_locked_out`  a kind that waits after wrong proofs: not even a right one is looked at
"""

from collections.abc import Callable
from typing import Final

from keyswitch.gate.decision import Refused
from keyswitch.gate.lockout import Lockout
from keyswitch.policy.enums import ProofKind
from keyswitch.reasons import Reason

HearingRule = Callable[[ProofKind, tuple[ProofKind, ...], Lockout, int], Refused | None]
"""Why a proof of this kind is not heard, given the kinds asked for, the lock-out and the time; None: no reason."""


def is_asked_for(kind: ProofKind, asked: tuple[ProofKind, ...], _lockout: Lockout, _now_ms: int) -> Refused | None:
    """Some way, or the session that is there, takes this kind."""
    return None if kind in asked else Refused(Reason.PROOF)


def is_not_locked_out(kind: ProofKind, _asked: tuple[ProofKind, ...], lockout: Lockout, now_ms: int) -> Refused | None:
    """How long the kind still waits helps nobody to guess, so it is told."""
    locked_ms = lockout.remaining_ms(kind, now_ms)
    return Refused(Reason.LOCKED_OUT, f"for {locked_ms} ms") if locked_ms else None


RULES: Final[tuple[HearingRule, ...]] = (is_asked_for, is_not_locked_out)
"""All of them, in order."""
