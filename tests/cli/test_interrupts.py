"""Ctrl-C and SIGTERM, pressed once and again, while a command runs, while it ends, and when it has ended."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Generator
from pathlib import Path

import pytest

from keyswitch.__main__ import INTERRUPTED
from keyswitch.cli.interrupts import ENDING, interruptible, postponed, run_to_end, undisturbed
from keyswitch.exits import Exit

AT_THE_VERY_END = """
import os, signal, sys

class Last:  # taken away when Python's own handling of signals has ended
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.{number}):
        kill(pid, number)

sys.last = Last()
sys.argv = ["keyswitch", {words}]
from keyswitch.cli.main import run
run()
"""


@pytest.fixture(autouse=True)
def nothing_is_left() -> Generator[None]:
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    assert {number: signal.getsignal(number) for number in ENDING} == before


@pytest.mark.parametrize("number", ENDING)
def test_the_second_one_does_not_disturb_what_ends(number: signal.Signals):
    steps: list[str] = []

    async def work() -> None:
        try:
            signal.raise_signal(number)
            await asyncio.sleep(10)
        finally:
            signal.raise_signal(number)
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)
            steps.append("closed")

    with pytest.raises(KeyboardInterrupt):
        run_to_end(work())
    assert steps == ["closed"]


def test_what_was_interrupted_may_have_a_result_all_the_same():
    async def work() -> str:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return "left as it is"
        raise AssertionError

    assert run_to_end(work()) == "left as it is"


def test_an_act_of_its_own_comes_in_the_place_of_the_cancelling():
    asked: list[asyncio.AbstractEventLoop] = []
    ended = asyncio.Event()

    def end() -> None:
        asked.append(asyncio.get_running_loop())
        ended.set()

    async def work() -> str:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        await ended.wait()
        return "in order"

    assert run_to_end(work(), on_signal=end) == "in order"
    assert len(asked) == 1


def test_a_signal_before_the_loop_runs_is_not_lost():
    async def work() -> None:
        await asyncio.sleep(10)

    with interruptible(lambda: None):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            run_to_end(work())


def test_a_signal_when_the_work_has_ended_is_told_once_it_is_out():
    async def late() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            signal.raise_signal(signal.SIGINT)  # while the loop is cleared up

    async def work() -> None:
        tasks.append(asyncio.ensure_future(late()))
        await asyncio.sleep(0)

    tasks: list[asyncio.Task[None]] = []
    with pytest.raises(KeyboardInterrupt):
        run_to_end(work())


def test_a_cancellation_of_its_own_is_no_interruption():
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_to_end(work())


def test_without_a_loop_it_is_raised_once_and_never_where_a_thing_has_to_be_whole():
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.raise_signal(signal.SIGINT)
            done.append("cleaned up")
    with interruptible(), undisturbed():
        signal.raise_signal(signal.SIGTERM)
        done.append("written")
    assert done == ["cleaned up", "written"]


def test_in_another_thread_signals_are_nobodys_business():
    async def work() -> int:
        return 1

    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(run_to_end(work())))
    thread.start()
    thread.join()
    assert results == [1]


@pytest.mark.parametrize(("words", "code"), [('"--version"', Exit.YES), ('"nothing"', Exit.USAGE)])
@pytest.mark.parametrize("number", ENDING)
def test_when_the_command_has_ended_its_exit_code_stands(number: signal.Signals, words: str, code: Exit):
    """Python gives the signals back to the system before the process has gone: it was -2 then, which is no answer."""
    program = AT_THE_VERY_END.format(number=number.name, words=words)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, "Traceback" in ran.stderr) == (code, False), ran.stderr


IN_ERRORS = """
import os, signal, sys
from keyswitch.cli import main
before = main._say
def press(*words, **named):
    os.kill(os.getpid(), signal.SIGINT)
    before(*words, **named)
main._say = press
sys.argv = ["keyswitch", "check", "/nowhere.toml"]
main.run()
"""


def test_while_an_error_is_told_it_is_an_interruption():
    ran = subprocess.run([sys.executable, "-c", IN_ERRORS], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (Exit.INTERRUPTED, "keyswitch: interrupted\n")


WHILE_IMPORTING = """
import os, sys

class Press:
    def find_spec(self, name, *_):
        if name == os.environ["WHEN"]:
            os.kill(os.getpid(), int(os.environ["NUMBER"]))

sys.meta_path.insert(0, Press())
"""
"""`sitecustomize`, which Python imports before it runs anything: whoever imports that module is interrupted there."""

SCRIPT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]["scripts"][
    "keyswitch"
]
HOME, _, FUNCTION = SCRIPT.partition(":")
STARTS = {
    "script": ["-c", f"import sys; from {HOME} import {FUNCTION}; sys.exit({FUNCTION}())"],  # as an installer writes it
    "module": ["-m", "keyswitch"],
}


@pytest.fixture
def importing(tmp_path: Path) -> Path:
    (tmp_path / "sitecustomize.py").write_text(WHILE_IMPORTING, "utf-8")
    return tmp_path


def pressed(path: Path, start: str, when: str, number: signal.Signals) -> tuple[int, str, str]:
    ran = subprocess.run(
        [sys.executable, *STARTS[start], "panel", "--help"],
        env={**os.environ, "PYTHONPATH": str(path), "WHEN": when, "NUMBER": str(int(number))},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize(
    ("start", "when", "number"),
    [
        ("script", "signal", signal.SIGINT),  # the first import of all
        ("module", "signal", signal.SIGINT),
        ("script", "keyswitch.cli", signal.SIGINT),  # the first one afterwards
        ("script", "keyswitch.cli", signal.SIGTERM),
        ("module", "keyswitch.cli.main", signal.SIGTERM),
        ("module", "click", signal.SIGINT),
        ("script", "keyswitch.cli.panel", signal.SIGINT),  # a command's own
        ("module", "keyswitch.cli.panel", signal.SIGTERM),
        ("script", "keyswitch.panel.protocol", signal.SIGTERM),
    ],
)
def test_while_it_is_imported_it_is_an_interruption(importing: Path, start: str, when: str, number: signal.Signals):
    code, out, err = pressed(importing, start, when, number)
    # Click ends the line first on which a terminal has shown ^C.
    assert (code, out, err.removeprefix("\n")) == (Exit.INTERRUPTED, "", "keyswitch: interrupted\n")


def test_what_is_pressed_there_is_what_the_others_are_compared_with(importing: Path):
    """Nobody imports that: help is shown, as always."""
    code, out, err = pressed(importing, "script", "keyswitch.nothing", signal.SIGINT)
    assert (code, "Usage: keyswitch panel" in out, err) == (Exit.YES, True, "")


def test_it_is_one_number():
    assert INTERRUPTED == Exit.INTERRUPTED


@pytest.mark.parametrize("number", ENDING)
def test_what_is_postponed_comes_to_its_end_and_is_interrupted_then(number: signal.Signals):
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), interruptible():
        with postponed():
            done.append("before")
        with postponed():
            signal.raise_signal(number)
            done.append("imported")
        done.append("not reached")
    with interruptible(lambda: None):
        signal.raise_signal(number)
        with postponed():
            done.append("it had been told before")
    assert done == ["before", "imported", "it had been told before"]
