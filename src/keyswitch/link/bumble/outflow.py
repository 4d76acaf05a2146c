"""Data on its way to the controller: fair between connections, counted, never more than the controller can hold.

Rules kept here:

* The controller's buffers are taken in turn by the connections that have something to send, and none of several may
  hold more than half of them: a peer that acknowledges nothing stops nobody else.
* Whoever sends can wait until there is room, and until everything was acknowledged by the peer's link layer.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

_CONTINUATION = 1 << 12
"""Packet boundary flag of a fragment that is not the first: Core spec Vol 4 Part E 5.4.2."""
_ACL_PACKET = b"\x02"


@dataclass(slots=True)
class _Queue:
    fragments: deque[bytes] = field(default_factory=deque[bytes])
    in_flight: int = 0
    waiters: list[tuple[int, asyncio.Future[bool]]] = field(default_factory=list[tuple[int, asyncio.Future[bool]]])

    @property
    def size(self) -> int:
        return len(self.fragments) + self.in_flight


class Outflow:
    """Data packets of all connections of one controller.

    Args:
        send: hands one HCI packet to the controller.
        length: data bytes that one packet may have.
        buffers: packets that the controller can hold.
    """

    def __init__(self, send: Callable[[bytes], None], *, length: int, buffers: int) -> None:
        self._send = send
        self._length = length
        self._free = buffers
        self._buffers = buffers
        self._queues: dict[int, _Queue] = {}
        self._turns: deque[int] = deque()

    def put(self, handle: int, frame: bytes) -> None:
        """Queue one L2CAP frame."""
        queue = self._queues.get(handle)
        if queue is None:
            queue = self._queues[handle] = _Queue()
            self._turns.append(handle)
        for at in range(0, len(frame), self._length):
            piece = frame[at : at + self._length]
            word = handle | (_CONTINUATION if at else 0)
            head = word.to_bytes(2, "little") + len(piece).to_bytes(2, "little")
            queue.fragments.append(_ACL_PACKET + head + piece)
        self._pump()

    def completed(self, handle: int, count: int) -> None:
        """The peer has acknowledged `count` packets of this connection."""
        queue = self._queues.get(handle)
        if queue is None:
            return
        count = min(count, queue.in_flight)
        queue.in_flight -= count
        self._free += count
        self._pump()
        self._wake(queue)

    def drop(self, handle: int) -> None:
        """The connection is gone, and with it what it held."""
        queue = self._queues.pop(handle, None)
        if queue is None:
            return
        self._turns.remove(handle)
        self._free += queue.in_flight
        for _, waiter in queue.waiters:
            if not waiter.done():
                waiter.set_result(False)
        self._pump()

    def waiting(self, handle: int) -> int:
        """Packets of this connection that are not acknowledged yet."""
        queue = self._queues.get(handle)
        return queue.size if queue else 0

    async def room(self, handle: int, at_most: int) -> bool:
        """Wait until at most this many packets wait; False if the connection went away meanwhile."""
        queue = self._queues.get(handle)
        if queue is None or queue.size <= at_most:
            return True
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        queue.waiters.append((at_most, waiter))
        return await waiter

    def _wake(self, queue: _Queue) -> None:
        if not queue.waiters:
            return
        size = queue.size
        for at_most, waiter in queue.waiters:
            if size <= at_most and not waiter.done():
                waiter.set_result(True)
        queue.waiters = [entry for entry in queue.waiters if not entry[1].done()]

    def _pump(self) -> None:
        passed = 0
        share = self._buffers if len(self._queues) == 1 else max(1, self._buffers // 2)
        while self._free and passed < len(self._turns):
            handle = self._turns[0]
            self._turns.rotate(-1)
            queue = self._queues[handle]
            if not queue.fragments or queue.in_flight >= share:
                passed += 1
                continue
            passed = 0
            queue.in_flight += 1
            self._free -= 1
            self._send(queue.fragments.popleft())
