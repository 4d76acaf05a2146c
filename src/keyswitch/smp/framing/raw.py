"""Bare SMP packets on a byte stream: the header's length is the only framing (Zephyr's raw UART; also BLE, `ble`)."""

from typing import Final

from keyswitch.smp.framing import NOTHING, PIECE_LIMIT_MS, Dropped, Received
from keyswitch.smp.header import HEADER_SIZE, packet_size

TOO_LARGE: Final = "packet larger than the buffer"


class StreamReceiver:
    """Cuts a stream of pieces into packets by the length in their headers.

    The pieces may be cut anywhere, also inside a header, and one piece may hold several packets.

    Args:
        max_packet: largest packet in bytes, header included, that is collected.
        limit_ms: longest pause inside one packet.
    """

    def __init__(self, max_packet: int, limit_ms: int = PIECE_LIMIT_MS) -> None:
        self._max_packet = max_packet
        self._limit_ms = limit_ms
        self._begun = bytearray()
        self._missing = 0  # bytes of the begun packet still to come, once its header is complete
        self._skipping = False
        self._last_ms = 0

    @property
    def pending(self) -> bool:
        """Whether a packet has begun and is not complete."""
        return bool(self._begun)

    def receive(self, data: bytes, now_ms: int) -> Received:
        """Take the next piece; see `keyswitch.smp.framing.Receiver`."""
        dropped: list[Dropped] = []
        if self._begun and now_ms - self._last_ms > self._limit_ms:
            dropped.append(Dropped(reason=f"packet not completed within {self._limit_ms} ms"))
            self._forget()
        self._last_ms = now_ms
        if not self._begun and packet_size(data) == len(data) <= self._max_packet:
            return Received(packets=(bytes(data),), dropped=tuple(dropped))
        packets: list[bytes] = []
        position = 0
        while position < len(data):
            position = self._take(data, position, packets, dropped)
        if not packets and not dropped:
            return NOTHING
        return Received(packets=tuple(packets), dropped=tuple(dropped))

    def drop(self) -> None:
        """Forget what has begun; see `keyswitch.smp.framing.Receiver`."""
        if self._begun:
            self._skipping = True
            del self._begun[HEADER_SIZE:]

    def _take(self, data: bytes, position: int, packets: list[bytes], dropped: list[Dropped]) -> int:
        """Use bytes of `data` from `position` for the packet under way; where the next unused byte is."""
        if len(self._begun) < HEADER_SIZE:
            end = min(len(data), position + HEADER_SIZE - len(self._begun))
            self._begun += data[position:end]
            if len(self._begun) < HEADER_SIZE:
                return end
            self._missing = int.from_bytes(self._begun[2:4], "big")
            if HEADER_SIZE + self._missing > self._max_packet and not self._skipping:
                dropped.append(Dropped(reason=TOO_LARGE, header=bytes(self._begun)))
                self._skipping = True
        else:
            end = min(len(data), position + self._missing)
            self._missing -= end - position
            if not self._skipping:
                self._begun += data[position:end]
        if self._missing == 0:
            if not self._skipping:
                packets.append(bytes(self._begun))
            self._forget()
        return end

    def _forget(self) -> None:
        self._begun.clear()
        self._missing = 0
        self._skipping = False
