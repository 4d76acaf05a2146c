"""Entry by numbered steps: every step in every state."""

import pytest

from keyswitch.proof.sequence import Opens, SequenceProgress, WrongStep, advance

UNTIL = 10_000


def go(progress: SequenceProgress | None, step: int, now_ms: int = 0) -> SequenceProgress | Opens | WrongStep:
    return advance(progress, step, steps=3, window_ms=UNTIL, now_ms=now_ms)


def done(steps: int) -> SequenceProgress:
    return SequenceProgress(done=steps, until_ms=UNTIL)


@pytest.mark.parametrize(
    ("progress", "step", "expected"),
    [
        (None, 0, WrongStep()),
        (None, 1, done(1)),
        (None, 2, WrongStep()),
        (done(1), 1, done(1)),
        (done(1), 2, done(2)),
        (done(1), 3, WrongStep()),
        (done(2), 1, done(1)),
        (done(2), 2, done(2)),
        (done(2), 3, Opens()),
        (done(2), 4, WrongStep()),
        (done(2), -1, WrongStep()),
    ],
)
def test_each_step_after_each_other(progress: SequenceProgress | None, step: int, expected: object) -> None:
    assert go(progress, step) == expected


@pytest.mark.parametrize(("now_ms", "expected"), [(UNTIL - 1, Opens()), (UNTIL, WrongStep()), (UNTIL + 1, WrongStep())])
def test_the_window_ends(now_ms: int, expected: object) -> None:
    assert go(done(2), 3, now_ms) == expected
