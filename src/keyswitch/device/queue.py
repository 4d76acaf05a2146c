"""Requests that were received and not yet executed: so many for each peer, executed in turn.

Rules kept here: one peer's requests keep their order; peers take turns, one frame each; a peer never has more than its
buffers hold; a packet with several requests in it keeps its buffer until the last of them was executed.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from keyswitch.gate.peer import Door


@dataclass(slots=True)
class Waiting:
    """One packet. Attributes: position: where its next request begins."""

    packet: bytes
    door: Door
    position: int = 0


class Queues:
    """The buffers of all peers.

    Args:
        count: packets that each peer may have waiting.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._waiting: dict[int, deque[Waiting]] = {}
        self._turns: deque[int] = deque()
        self._held: set[int] = set()

    def room(self, peer: int) -> int:
        """How many more packets the peer may send."""
        return self._count - len(self._waiting.get(peer, ()))

    def put(self, peer: int, packet: bytes, door: Door) -> bool:
        """Keep a packet; False if the peer's buffers are full."""
        queue = self._waiting.get(peer)
        if queue is None:
            queue = self._waiting[peer] = deque()
        if len(queue) >= self._count:
            return False
        queue.append(Waiting(packet, door))
        if len(queue) == 1 and peer not in self._held:
            self._turns.append(peer)
        return True

    def next(self) -> tuple[int, Waiting] | None:
        """Whose turn it is, and with what. The packet stays until `done`."""
        if not self._turns:
            return None
        peer = self._turns[0]
        return peer, self._waiting[peer][0]

    def done(self, peer: int, *, finished: bool) -> None:
        """The peer whose turn it was has had it; `finished`: nothing in its packet is left."""
        if not self._turns or self._turns[0] != peer:
            return  # dropped meanwhile
        self._turns.popleft()
        queue = self._waiting[peer]
        if finished:
            queue.popleft()
        if queue:
            self._turns.append(peer)

    def hold(self, peer: int, *, held: bool) -> None:
        """Leave the peer out of the turns, or take it in again."""
        if held and peer not in self._held:
            self._held.add(peer)
            if peer in self._turns:
                self._turns.remove(peer)
        elif not held and peer in self._held:
            self._held.discard(peer)
            if self._waiting.get(peer):
                self._turns.append(peer)

    def held(self, peer: int) -> bool:
        """Whether the peer is left out."""
        return peer in self._held

    def take_all(self) -> Iterator[tuple[int, Waiting]]:
        """Empty all buffers; what was in them, by peer in the order of arrival."""
        waiting, self._waiting = self._waiting, {}
        self._turns.clear()
        return ((peer, each) for peer, queue in waiting.items() for each in queue)

    def forget(self, peer: int) -> None:
        """The peer has gone, and its requests with it."""
        self._waiting.pop(peer, None)
        self._held.discard(peer)
        if peer in self._turns:
            self._turns.remove(peer)

    def depth(self) -> int:
        """Packets that wait, over all peers."""
        return sum(len(queue) for queue in self._waiting.values())
