"""A line that an emulated board loses is asked again once, and counted; a difference stays a difference."""

import asyncio

import pytest
from tests.peers.ours import Ours
from tests.peers.talk import WRITE, Talk, difference, play, step
from tests.rigs import lost
from tests.rigs.smp import Asker, NoAnswerError

ECHO = Talk(number=0, name="echo", steps=(step(WRITE, 0, 0, {"d": "x"}, {"r": "x"}),))


class Lossy(Ours):
    """Our server behind a line that loses the packets with these numbers."""

    def __init__(self, *numbers: int, loses_lines: bool = True) -> None:
        super().__init__()
        self.loses_lines = loses_lines
        self._lost = numbers
        self._sent = 0

    async def send(self, packet: bytes) -> None:
        self._sent += 1
        if self._sent not in self._lost:
            await super().send(packet)


@pytest.fixture(autouse=True)
def nothing_lost_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lost, "LOST", [])


def heard(partner: Lossy, talk: Talk = ECHO) -> tuple[str | None, int]:
    """What is different, and how much was counted as lost."""
    return difference(talk, asyncio.run(play(talk, partner))), len(lost.LOST)


def test_nothing_is_lost() -> None:
    assert heard(Lossy()) == (None, 0)


@pytest.mark.parametrize("number", [1, 2])
def test_a_line_that_is_lost_is_asked_again_and_counted(number: int) -> None:
    assert heard(Lossy(number)) == (None, 1)


def test_what_is_missing_twice_is_a_difference() -> None:
    different, asked_again = heard(Lossy(1, 2))
    assert different is not None
    assert "silence" in different
    assert asked_again == 1


def test_a_server_that_loses_nothing_is_not_asked_again() -> None:
    different, asked_again = heard(Lossy(1, loses_lines=False))
    assert different is not None
    assert "silence" in different
    assert asked_again == 0


def test_an_answer_that_is_another_is_a_difference_at_once() -> None:
    other = Talk(number=0, name="echo", steps=(step(WRITE, 0, 0, {"d": "x"}, {"r": "y"}),))
    assert heard(Lossy(), other)[1] == 0
    assert heard(Lossy(), other)[0] is not None


def test_an_echo_behind_that_is_missing_twice_fails() -> None:
    with pytest.raises(AssertionError, match="was not answered"):
        heard(Lossy(2, 3))


def test_one_question_is_asked_again_too() -> None:
    asker = Asker(Lossy(1), loses_lines=True)
    assert asyncio.run(asker.ask(WRITE, 0, 0, {"d": "x"}, timeout_ms=20)) == {"r": "x"}
    assert len(lost.LOST) == 1
    for wire, asker in ((Lossy(1, 2), True), (Lossy(1), False)):
        with pytest.raises(NoAnswerError):
            asyncio.run(Asker(wire, loses_lines=asker).ask(WRITE, 0, 0, {"d": "x"}, timeout_ms=20))
