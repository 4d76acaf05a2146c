"""A listener for carriers: gives ids, keeps what was told."""

import asyncio
import itertools
from collections.abc import Callable, Iterable

from keyswitch.gate.peer import Peer
from keyswitch.smp.framing import Received
from keyswitch.terms import Transport


class Heard:
    """Keeps everything in order; time is set by the test."""

    def __init__(self) -> None:
        self.time_ms = 0
        self.came: list[Peer] = []
        self.went: list[int] = []
        self.packets: list[tuple[int, bytes]] = []
        self.dropped: list[tuple[int, str]] = []
        self.refused: list[tuple[int, bytes]] = []
        self.something = asyncio.Event()
        self.space = 1_000
        self.wanting: dict[int, Callable[[], None]] = {}
        self.lost_lines: list[str] = []
        self.owners: set[int] = set()
        self._ids = itertools.count(1)

    def new_peer_id(self) -> int:
        return next(self._ids)

    def now_ms(self) -> int:
        return self.time_ms

    def peer_came(self, peer: Peer) -> None:
        self.came.append(peer)

    def peer_went(self, peer_id: int) -> None:
        self.went.append(peer_id)

    def may_access_smp(self, peer_id: int) -> bool:
        return False

    def received(self, peer: Peer, received: Received) -> None:
        self.packets += [(peer.id, packet) for packet in received.packets]
        self.space -= len(received.packets)
        self.dropped += [(peer.id, dropped.reason) for dropped in received.dropped]
        self.something.set()

    def room(self, peer_id: int) -> int:
        return max(0, self.space)

    def owns(self, peer_id: int) -> bool:
        return peer_id in self.owners

    def when_room(self, peer_id: int, then: Callable[[], None]) -> None:
        self.wanting[peer_id] = then

    def dropped(self, peer: Peer, packets: Iterable[bytes]) -> None:
        self.refused += [(peer.id, packet) for packet in packets]

    def lost(self, transport: Transport, error: BaseException) -> None:
        self.lost_lines.append(str(error))
        self.something.set()

    def broken(self, error: BaseException) -> None:
        raise error

    async def next(self) -> None:
        """Wait until something was received, bounded."""
        async with asyncio.timeout(60):
            await self.something.wait()
        self.something.clear()
