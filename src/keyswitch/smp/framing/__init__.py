"""How SMP packets travel: pieces out, pieces however cut in. One receiver for each connection, never shared.

* `ble`: GATT values of at most ATT MTU - 3 bytes.
* `udp`: one datagram, one packet.
* `console`: lines of base64 between other text.
* `raw`: bare packets on a byte stream.

Rules that every receiver keeps: it never raises, whatever arrives; a packet larger than the reader's buffer is not
collected but told as `Dropped`; what was begun and not finished within a time limit is forgotten; after `drop` the rest
of a half-received packet is skipped, so that it cannot be taken for the beginning of another.
"""

from dataclasses import dataclass
from typing import Final, Protocol

PIECE_LIMIT_MS: Final = 2_000
"""Longest pause inside one packet: less than any client waits (2,500 ms) before it sends again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Bytes that became no packet.

    Attributes:
        reason: what was wrong, in words.
        header: the first eight bytes of the packet that was too large for the buffer, so that it can be answered;
            empty where there is nobody to answer.
    """

    reason: str
    header: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What one piece led to; usually one of the two is empty.

    Attributes:
        packets: whole packets, in order.
        dropped: what was thrown away.
    """

    packets: tuple[bytes, ...] = ()
    dropped: tuple[Dropped, ...] = ()


NOTHING: Final = Received()


class Receiver(Protocol):
    """The receiving half of one connection."""

    @property
    def pending(self) -> bool:
        """Whether a packet has begun and is not complete."""
        ...

    def receive(self, data: bytes, now_ms: int) -> Received:
        """Take the next piece as it came off the link."""
        ...

    def drop(self) -> None:
        """Forget what has begun. Its remaining bytes are skipped when they come."""
        ...
