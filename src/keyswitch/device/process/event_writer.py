"""Lines about the device for whoever reads its output, written by a thread of their own.

Rules:

* Nobody who reads slowly, or not at all, holds up the device: it waits for no write. Anybody may make it say something,
  a stranger's datagram too.
* What finds no room is left out and counted, and how much it was is said in its place.
* When the reader has gone, or the output fails in another way, nothing is said any more; the device goes on.
"""

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from keyswitch.device.events import EventsLeftOut, to_json

ROOM: Final = 1000
"""Lines that may wait besides what the kernel holds; as many events as the panel's log keeps."""

CLOSE_WITHIN_MS: Final = 1_000
"""Bound for the last lines when the device ends."""


class EventWriter:
    """Writes events as lines, in order. Made where the device starts, closed where it ends.

    Args:
        descriptor: of the output.
        line: how an event reads, with what ends the line; nothing for one that is not said.
        room: lines that may wait.
    """

    def __init__(self, descriptor: int, line: Callable[[dict[str, Any]], bytes], *, room: int = ROOM) -> None:
        self._descriptor = descriptor
        self._line = line
        self._room = room
        self._waiting: deque[bytes] = deque()
        self._left_out = 0
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_all, name="telling", daemon=True)
        self._thread.start()

    def tell(self, event: dict[str, Any]) -> None:
        """Say this after all that came before; returns at once."""
        line = self._line(event)
        with self._changed:
            if not line or self._ended:
                return
            if len(self._waiting) >= self._room:
                self._left_out += 1
                return
            if self._left_out:
                self._waiting.append(self._count())
            self._waiting.append(line)
            self._changed.notify()

    def close(self) -> None:
        """Say what still waits, within `CLOSE_WITHIN_MS`, and nothing more."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(CLOSE_WITHIN_MS / 1000)

    def _count(self) -> bytes:
        left_out, self._left_out = self._left_out, 0
        return self._line(to_json(EventsLeftOut(events=left_out)))

    def _write_all(self) -> None:
        try:
            while line := self._next():
                self._write(line)
        except OSError:
            with self._changed:
                self._ended = True
                self._waiting.clear()

    def _next(self) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._left_out or self._ended)
            if self._waiting:
                return self._waiting.popleft()
            return self._count() if self._left_out else b""

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # whoever shares the output has made it so
                select.select((), (self._descriptor,), ())
