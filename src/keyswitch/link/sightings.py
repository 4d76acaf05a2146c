"""What a scan hears until its time is over: between a radio that hears and whoever iterates over `Adapter.scan`."""

import asyncio

from keyswitch.link.ports import Sighting


class Sightings:
    """The sightings of one scan, in order.

    Args:
        timeout_ms: how long it takes from now on.
    """

    def __init__(self, timeout_ms: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + timeout_ms / 1000
        self._queue: asyncio.Queue[Sighting] = asyncio.Queue()

    def put(self, sighting: Sighting) -> None:
        """It has just been heard."""
        self._queue.put_nowait(sighting)

    async def next(self) -> Sighting | None:
        """The next one, as soon as it is heard; None: the time is over, even where more was heard than asked for."""
        left = self._deadline - self._loop.time()
        if left <= 0:
            return None
        try:
            async with asyncio.timeout(left):
                return await self._queue.get()
        except TimeoutError:
            return None
