"""SMP in datagrams: one datagram, one packet, nothing around it (Zephyr `smp_udp.c`)."""

from typing import Final

from keyswitch.smp.framing import Dropped, Received
from keyswitch.smp.framing.raw import TOO_LARGE
from keyswitch.smp.header import HEADER_SIZE

PORT: Final = 1337
"""Where Zephyr's server listens."""

MAX_DATAGRAM: Final = 65_507
"""Largest payload of an IPv4 datagram in bytes."""


class UdpReceiver:
    """Datagrams in, packets out. There is nothing to put together and nothing to time.

    Args:
        max_packet: largest packet in bytes that is taken.
    """

    def __init__(self, max_packet: int) -> None:
        self._max_packet = max_packet

    @property
    def pending(self) -> bool:
        """Always false: a datagram is whole or was never there."""
        return False

    def receive(self, data: bytes, now_ms: int) -> Received:  # noqa: ARG002  every receiver is handed the time
        """Take one datagram; see `keyswitch.smp.framing.Receiver`."""
        if len(data) < HEADER_SIZE:
            return Received(dropped=(Dropped(reason=f"datagram of {len(data)} bytes, a header has {HEADER_SIZE}"),))
        if len(data) > self._max_packet:
            return Received(dropped=(Dropped(reason=TOO_LARGE, header=data[:HEADER_SIZE]),))
        return Received(packets=(data,))

    def drop(self) -> None:
        """Nothing is ever half received."""


def pieces(packet: bytes) -> list[bytes]:
    """The one datagram that carries `packet`."""
    return [packet]
