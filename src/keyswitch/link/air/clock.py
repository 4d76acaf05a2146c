"""Virtual time: an event loop that never sleeps. When nothing is ready it jumps to the next timer.

Rules kept here:

* One process, no sockets, no threads: what happens depends on the program alone, so a run repeats exactly.
* Time is whole nanoseconds and starts at zero.
* A program that waits for something that can never come is told so at once (`Deadlock`), with what it waits for; one
  that only keeps timers turning is stopped at a limit of virtual time.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Executor
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack

from keyswitch.errors import LocalError

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_NS_PER_S = 1_000_000_000
_RESOLUTION_S = 1 / _NS_PER_S
LIMIT_S = 24 * 3600.0
"""A day: longer than any lease or supervision in the tests, short enough for a forgotten timer to be noticed."""


class Deadlock(LocalError):  # noqa: N818 - the name of the condition
    """Everything waits and no timer is set, or the limit of virtual time is reached."""


class _JumpingSelector(selectors.BaseSelector):
    """Stands where the loop would sleep: moves the clock on instead. Takes only the loop's own wake-up socket."""

    def __init__(self) -> None:
        self.now_ns = 0
        self.limit_ns = int(LIMIT_S * _NS_PER_S)
        self.sealed = False
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.sealed:
            raise LocalError("sockets and pipes do not exist in virtual time")
        key = selectors.SelectorKey(fileobj, fileobj if isinstance(fileobj, int) else fileobj.fileno(), events, data)
        self._keys[fileobj] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            _stuck("nothing left to wait for: no timer is set and nobody is ready")
        if timeout > 0:
            self.now_ns += max(1, round(timeout * _NS_PER_S))
            if self.now_ns > self.limit_ns:
                _stuck(f"virtual time ran past {self.limit_ns / _NS_PER_S:g} s")
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


def _stuck(why: str) -> NoReturn:
    waiting = [f"{task.get_name()} in {_place(task)}" for task in asyncio.all_tasks(asyncio.get_event_loop())]
    raise Deadlock(f"{why}; waiting: {', '.join(sorted(waiting)) or 'no task'}")


def _place(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack(limit=1)
    if not stack:
        return "an unknown place"
    code = stack[0].f_code
    return f"{code.co_qualname} line {stack[0].f_lineno}"


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop. Make it with `asyncio.Runner(loop_factory=VirtualLoop)`, or use `run`."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._jumping = _JumpingSelector()
        self._jumping.limit_ns = int(limit_s * _NS_PER_S)
        super().__init__(self._jumping)
        self._jumping.sealed = True
        # asyncio runs timers that are due within its clock's resolution; ours is exact to the nanosecond.
        self._clock_resolution = _RESOLUTION_S

    def time(self) -> float:
        """Seconds since the loop was made, virtual."""
        return self._jumping.now_ns / _NS_PER_S

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Threads finish at times that the virtual clock does not know."""
        del executor, func, args
        raise LocalError("threads do not exist in virtual time")


def run(main: Coroutine[Any, Any, _T], *, limit_s: float = LIMIT_S) -> _T:
    """Run `main` to its end in virtual time.

    Args:
        main: the program.
        limit_s: the most virtual time that it may take.

    Raises:
        Deadlock: nothing can happen any more, or the limit is reached, and `main` has not ended.
    """
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(limit_s)) as runner:
        return runner.run(main)
