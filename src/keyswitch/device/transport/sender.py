"""One task for each peer that sends its answers, in order, at the pace of its link.

A peer that does not read holds up its own requests (`Server.hold`) and nobody else's. An answer that cannot be sent
because its link is gone is lost; one that fails in any other way is a fault of the device, which is told.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from keyswitch.device.server.output import OutgoingAnswer
from keyswitch.device.transport.ports import DeviceTransport
from keyswitch.errors import LinkLostError
from keyswitch.gate.peer import Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """What a sender asks of the device, and what it tells it.

    Attributes:
        room: answers that may wait before the peer's next request does.
        hold: told with the peer's id whether its requests are to wait.
        failed: told what else than a lost link went wrong; nothing is sent any more.
    """

    room: int
    hold: Callable[[int, bool], None]
    failed: Callable[[BaseException], None]


class Sender:
    """Sends one peer's answers, in order, at the pace of its link."""

    def __init__(self, peer: Peer, carrier: DeviceTransport, upstream: Upstream) -> None:
        self.peer = peer
        self.carrier = carrier
        self._upstream = upstream
        self._waiting: deque[OutgoingAnswer] = deque()
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"answers to {peer.id}")
        self.task.add_done_callback(self._ended)

    def put(self, answer: OutgoingAnswer) -> None:
        """Send this after all that came before."""
        self._waiting.append(answer)
        self._idle.clear()
        self._ready.set()
        if len(self._waiting) >= self._upstream.room:
            self._upstream.hold(self.peer.id, True)

    async def flushed(self) -> None:
        """Wait until the link has taken everything, or nothing is sent any more."""
        await self._idle.wait()

    async def _run(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._waiting:
                answer = self._waiting[0]
                with suppress(LinkLostError):  # gone or not subscribed: there is nobody to answer
                    await self.carrier.send(self.peer.id, answer.door, answer.packet)
                self._waiting.popleft()
                if len(self._waiting) == self._upstream.room - 1:
                    self._upstream.hold(self.peer.id, False)
            self._idle.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._idle.set()  # whoever waits for the last answer waits in vain
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._upstream.failed(error)
