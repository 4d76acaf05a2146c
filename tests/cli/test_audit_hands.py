"""A person who is asked to do something at the device."""

import os
import pty
import signal
import threading
from collections.abc import Generator
from typing import TextIO

import pytest

from keyswitch.audit.target import NotReachedError
from keyswitch.cli.audit_hands import AskedPerson
from keyswitch.cli.interrupts import run_to_end


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Generator[int]:
    """The other end of the terminal that is stdin."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        yield ours
    os.close(ours)


def test_enter_says_that_it_is_done(keyboard: int, capsys: pytest.CaptureFixture[str]):
    os.write(keyboard, b"\n")
    run_to_end(AskedPerson().hold_button(1_500))
    assert "please hold the button for 1.5 s, then press Enter" in capsys.readouterr().err


@pytest.mark.parametrize("typed", [b"n\n", b"No\n", b"\x04"])
def test_a_no_and_an_end_say_that_it_cannot_be_done(keyboard: int, typed: bytes):
    os.write(keyboard, typed)
    with pytest.raises(NotReachedError, match="could not take the power away"):
        run_to_end(AskedPerson().power_cycle())


def test_ctrl_c_ends_the_wait_and_nobody_waits_for_enter(keyboard: int):
    """A thread that reads would keep the process from ending until Enter is pressed."""
    before = threading.active_count()
    timer = threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_to_end(AskedPerson().power_cycle())
    timer.join()
    assert threading.active_count() == before


def test_where_nobody_can_answer_nobody_is_asked(monkeypatch: pytest.MonkeyPatch):
    nobody: TextIO | None = None
    monkeypatch.setattr("sys.stdin", nobody)
    with pytest.raises(NotReachedError, match="there is no terminal to ask at"):
        run_to_end(AskedPerson().bring("maintenance"))
