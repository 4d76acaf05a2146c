"""What the device has still to carry out, in order, and who waits until it is done.

There is no polling: who has nothing to do sleeps until something is put here, it is woken, or its time has come.
"""

import asyncio
import contextlib
from collections import deque

from keyswitch.device.server.output import Output


class WorkQueue:
    """Outputs in the order in which they came, and between them those who wait for all that came before."""

    def __init__(self) -> None:
        self._entries: deque[Output | asyncio.Future[None]] = deque()
        self._wake = asyncio.Event()

    def put(self, output: Output) -> None:
        """Carry this out after all that came before."""
        if output:
            self._entries.append(output)
        self._wake.set()

    def next(self) -> Output | None:
        """What is to be carried out now; who waited for all that came before it is told."""
        while self._entries:
            entry = self._entries.popleft()
            if isinstance(entry, Output):
                return entry
            if not entry.done():  # else nobody waits any more
                entry.set_result(None)
        return None

    async def settled(self) -> None:
        """Wait until everything that was put here so far was carried out."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._entries.append(settled)
        self._wake.set()
        await settled

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    async def sleep(self, ms: int | None) -> None:
        """Wait until there may be something to do, at most `ms`; None: however long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if ms is None else ms / 1000):  # wait_for may swallow a cancellation (3.11)
                await self._wake.wait()
        self._wake.clear()

    def forget(self) -> None:
        """What was wanted is gone; who waits until things have settled goes on waiting."""
        self._entries = deque(entry for entry in self._entries if isinstance(entry, asyncio.Future))

    def close(self) -> None:
        """Nothing will be carried out any more: nobody waits in vain."""
        for entry in self._entries:
            if isinstance(entry, asyncio.Future):
                entry.cancel()
