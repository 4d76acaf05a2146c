"""Requests that were received and not yet executed: so many for each peer, executed in turn.

Rules kept here: one peer's requests keep their order; lanes take turns, one frame each, and in a lane its peers do; a
peer never has more than its buffers hold; a packet with several requests in it keeps its buffer until the last of them
was executed.
"""

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from keyswitch.gate.peer import Service


@dataclass(slots=True)
class Waiting:
    """One packet. Attributes: position: where its next request begins."""

    packet: bytes
    door: Service
    position: int = 0


class Queues:
    """The buffers of all peers.

    Args:
        count: packets that each peer may have waiting.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._waiting: dict[int, deque[Waiting]] = {}
        self._turns: deque[Hashable] = deque()
        self._in_lane: dict[Hashable, deque[int]] = {}
        self._lane_of: dict[int, Hashable] = {}
        self._held: set[int] = set()

    def room(self, peer: int) -> int:
        """How many more packets the peer may send."""
        return self._count - len(self._waiting.get(peer, ()))

    def put(self, peer: int, packet: bytes, door: Service, *, lane: Hashable = None) -> bool:
        """Keep a packet; False if the peer's buffers are full.

        Args:
            peer: whose.
            packet: what.
            door: through which it came.
            lane: with whom the peer shares its turns, the same as long as it is there; None: with nobody.
        """
        queue = self._waiting.get(peer)
        if queue is None:
            queue = self._waiting[peer] = deque()
        if len(queue) >= self._count:
            return False
        queue.append(Waiting(packet, door))
        if len(queue) == 1:
            self._lane_of[peer] = ("peer", peer) if lane is None else lane
            if peer not in self._held:
                self._line_up(peer)
        return True

    def _line_up(self, peer: int) -> None:
        lane = self._lane_of[peer]
        if lane not in self._in_lane:
            self._in_lane[lane] = deque()
            self._turns.append(lane)
        self._in_lane[lane].append(peer)

    def _step_out(self, peer: int) -> None:
        lane = self._lane_of.get(peer)
        peers = self._in_lane.get(lane)
        if peers is None or peer not in peers:
            return
        peers.remove(peer)
        if not peers:
            del self._in_lane[lane]
            self._turns.remove(lane)

    def next(self) -> tuple[int, Waiting] | None:
        """Whose turn it is, and with what. The packet stays until `done`."""
        if not self._turns:
            return None
        peer = self._in_lane[self._turns[0]][0]
        return peer, self._waiting[peer][0]

    def done(self, peer: int, *, finished: bool) -> None:
        """The peer whose turn it was has had it; `finished`: nothing in its packet is left."""
        if not self._turns or self._in_lane[self._turns[0]][0] != peer:
            return  # dropped meanwhile
        lane = self._turns.popleft()
        peers = self._in_lane[lane]
        peers.popleft()
        queue = self._waiting[peer]
        if finished:
            queue.popleft()
        if queue:
            peers.append(peer)
        if peers:
            self._turns.append(lane)
        else:
            del self._in_lane[lane]

    def hold(self, peer: int, *, held: bool) -> None:
        """Leave the peer out of the turns, or take it in again."""
        if held and peer not in self._held:
            self._held.add(peer)
            self._step_out(peer)
        elif not held and peer in self._held:
            self._held.discard(peer)
            if self._waiting.get(peer):
                self._line_up(peer)

    def held(self, peer: int) -> bool:
        """Whether the peer is left out."""
        return peer in self._held

    def take_all(self) -> Iterator[tuple[int, Waiting]]:
        """Empty all buffers; what was in them, by peer in the order of arrival."""
        waiting, self._waiting = self._waiting, {}
        self._turns.clear()
        self._in_lane.clear()
        return ((peer, each) for peer, queue in waiting.items() for each in queue)

    def forget(self, peer: int) -> None:
        """The peer has gone, and its requests with it."""
        self._step_out(peer)
        self._waiting.pop(peer, None)
        self._lane_of.pop(peer, None)
        self._held.discard(peer)

    def depth(self) -> int:
        """Packets that wait, over all peers."""
        return sum(len(queue) for queue in self._waiting.values())
