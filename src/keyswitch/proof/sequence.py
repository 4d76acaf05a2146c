"""Entry without a key: numbered steps in order, within a time window. It guards against accident, not against anybody.

so far      step received    within the window    then
nothing     1                                     step 1 is done, the window begins
n steps     n + 1            yes                  step n + 1 is done; the last one opens
n steps     n                yes                  nothing: the answer was lost and the step repeated
otherwise                                         wrong, and nothing is done any more
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceProgress:
    """Steps done by one peer. Attributes: done: how many; until_ms: end of the window."""

    done: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class Opens:
    """The last step was right: entry is proved, and the next entry begins with step 1 again."""


@dataclass(frozen=True, slots=True)
class WrongStep:
    """Out of order or too late."""


def advance(
    progress: SequenceProgress | None, step: int, *, steps: int, window_ms: int, now_ms: int
) -> SequenceProgress | Opens | WrongStep:
    """What step number `step` does.

    Args:
        progress: of this peer so far, None before its first step.
        step: as received, 1 for the first.
        steps: how many there are, at least 2.
        window_ms: from the first step to the last.
        now_ms: the device's time.
    """
    if step == 1:
        return SequenceProgress(done=1, until_ms=now_ms + window_ms)
    if progress is None or now_ms >= progress.until_ms:
        return WrongStep()
    if step == progress.done:
        return progress
    if step != progress.done + 1:
        return WrongStep()
    return Opens() if step == steps else SequenceProgress(done=step, until_ms=progress.until_ms)
