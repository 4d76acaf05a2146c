"""Ctrl-C and SIGTERM: the first one ends a command in order, further ones change nothing.

Rules:

* What leads a device out of maintenance, and what closes a record, is not broken off by a second Ctrl-C: the command
  ends with its own exit code, as after the first. Every act of an ending is bounded in time.
* Where nothing runs in a loop, the first one is a `KeyboardInterrupt`, raised once in a process; but for a command's
  own import, which comes to its end first (`postponed`).
* Before these rules hold, while the command line itself is imported, `keyswitch.__main__` has the signals.
* From the end of a command until its process has gone, both are ignored (`ignore`): Python would give them back to the
  system, which ends a process with the signal, and not with the exit code that was found.
"""

import signal
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final, TypeVar

_T = TypeVar("_T")

ENDING: Final = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a command to end."""


def _raise() -> None:
    raise KeyboardInterrupt


def _nothing() -> None:
    pass


class Handler:
    """Of both signals.

    Attributes:
        act: is done at the first one.
        asked: it has come.
    """

    def __init__(self, act: Callable[[], object] = _raise) -> None:
        self.act = act
        self.asked = False

    def take_over(self) -> None:
        """Handle the signals from now on until this process has ended (`ignore`)."""
        for number in ENDING:
            signal.signal(number, self)

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """One of them has come."""
        if not self.asked:
            self.asked = True
            self.act()


@contextmanager
def interruptible(act: Callable[[], object] = _raise) -> Generator[Handler]:
    """Let the first signal do this, by default raise `KeyboardInterrupt`, if none has come before.

    Inside another one of the main thread it takes that one's place meanwhile; in other threads it changes nothing.
    """
    there = signal.getsignal(signal.SIGINT)
    if isinstance(there, Handler):
        before, there.act = there.act, act
        try:
            yield there
        finally:
            there.act = before
        return
    handler = Handler(act)
    try:
        handlers = {number: signal.signal(number, handler) for number in ENDING}
    except ValueError:  # Python tells signals to the main thread alone
        handlers = {}
    try:
        yield handler
    finally:
        for number, each in handlers.items():
            signal.signal(number, each)


@contextmanager
def undisturbed() -> Generator[None]:
    """What is short and has to be whole is not interrupted."""
    with interruptible(_nothing):
        yield


@contextmanager
def postponed() -> Generator[None]:
    """The first signal is acted upon when this is over: what imports modules loses exceptions, or makes others of them.

    Raises:
        KeyboardInterrupt: at the end, if it came meanwhile.
    """
    with interruptible(_nothing) as handler:
        before = handler.asked
        yield
    if handler.asked and not before:
        raise KeyboardInterrupt


def ignore() -> None:
    """The command has ended: whatever comes now comes too late."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


def run_to_end(work: Coroutine[Any, Any, _T], *, on_signal: Callable[[], None] | None = None) -> _T:
    """Run this in an event loop of its own, as `asyncio.run` does.

    Args:
        work: that is carried out.
        on_signal: called in the loop at the first signal; None: `work` is cancelled.

    Raises:
        KeyboardInterrupt: it was cancelled so, and has ended with that; or the signal came when it had ended.
    """
    import asyncio

    acted = False

    async def supervised() -> _T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - it runs in one

        def end() -> None:
            nonlocal acted
            if not task.done():
                acted = True
                (on_signal or task.cancel)()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed: `work` has ended
                loop.call_soon_threadsafe(end)

        handler.act = tell
        if handler.asked:
            end()
        return await work

    with interruptible(_nothing) as handler:
        try:
            ended = asyncio.run(supervised())
        except asyncio.CancelledError:
            if not handler.asked:
                raise
            raise KeyboardInterrupt from None
    if handler.asked and not acted:
        raise KeyboardInterrupt
    return ended
