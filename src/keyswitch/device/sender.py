"""One task for each peer that sends its answers, in order, at the pace of its link.

A peer that does not read holds up its own requests (`Server.hold`) and nobody else's.
"""

import asyncio
import contextlib
from collections import deque
from typing import Final

from keyswitch.device.doors import Carrier
from keyswitch.device.output import Answer
from keyswitch.device.server import Server
from keyswitch.errors import LinkLostError
from keyswitch.gate.peer import Peer

FLUSH_WITHIN_MS: Final = 2_000
"""Bound for answers that must leave before their connection is ended."""


class Sender:
    """Sends one peer's answers, in order, at the pace of its link."""

    def __init__(self, peer: Peer, carrier: Carrier, server: Server, wake: asyncio.Event, room: int) -> None:
        self.peer = peer
        self.carrier = carrier
        self._server = server
        self._wake = wake
        self._room = room
        self._waiting: deque[Answer] = deque()
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"answers to {peer.id}")

    def put(self, answer: Answer) -> None:
        """Send this after all that came before."""
        self._waiting.append(answer)
        self._idle.clear()
        self._ready.set()
        if len(self._waiting) >= self._room:
            self._server.hold(self.peer.id, held=True)

    async def flushed(self) -> None:
        """Wait until everything was handed to the link, at most `FLUSH_WITHIN_MS`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_WITHIN_MS / 1000):
                await self._idle.wait()

    async def _run(self) -> None:
        while True:
            await self._ready.wait()
            self._ready.clear()
            while self._waiting:
                answer = self._waiting[0]
                with contextlib.suppress(LinkLostError):  # gone or not subscribed: there is nobody to answer
                    await self.carrier.send(self.peer.id, answer.door, answer.packet)
                self._waiting.popleft()
                if len(self._waiting) == self._room - 1:
                    self._server.hold(self.peer.id, held=False)
                    self._wake.set()
            self._idle.set()
