"""SMP in COBS frames on a byte stream: the raw serial recovery of MCUboot where it is built with COBS.

    COBS(packet, CRC)  00

Consistent Overhead Byte Stuffing (Cheshire and Baker, IEEE/ACM Transactions on Networking 7(2), 1999) removes the zero
bytes, so that a zero ends a frame. The CRC is CRC-16/XMODEM over the packet alone, big-endian. A frame that is damaged
is dropped, and the next zero begins anew.
"""

from typing import Final

from keyswitch.smp.framing import NOTHING, PIECE_LIMIT_MS, Dropped, Received
from keyswitch.smp.framing.console import crc16
from keyswitch.smp.framing.raw import TOO_LARGE
from keyswitch.smp.header import HEADER_SIZE

END: Final = b"\x00"
_CRC_SIZE: Final = 2
_BLOCK: Final = 254
"""Most bytes behind one code byte; a full block is followed by no zero."""


def encode(data: bytes) -> bytes:
    """`data` without zero bytes, and without the zero that ends a frame."""
    coded = bytearray()
    for run in data.split(END):
        for at in range(0, len(run) - _BLOCK + 1, _BLOCK):
            coded.append(0xFF)
            coded += run[at : at + _BLOCK]
        rest = run[len(run) // _BLOCK * _BLOCK :]
        coded.append(len(rest) + 1)
        coded += rest
    return bytes(coded)


def decode(coded: bytes) -> bytes | None:
    """What `encode` was given; None if `coded` is no result of it."""
    data = bytearray()
    position = 0
    while position < len(coded):
        code = coded[position]
        block = coded[position + 1 : position + code]
        if code == 0 or len(block) != code - 1:
            return None
        data += block
        position += code
        if code <= _BLOCK and position < len(coded):
            data += END
    return bytes(data)


def pieces(packet: bytes) -> list[bytes]:
    """The one frame that carries `packet`, with the zero that ends it."""
    return [encode(packet + crc16(packet).to_bytes(_CRC_SIZE, "big")) + END]


class CobsReceiver:
    """Finds packets between zeros.

    Args:
        max_packet: largest packet in bytes that is collected.
        limit_ms: longest pause inside one frame.
    """

    def __init__(self, max_packet: int, limit_ms: int = PIECE_LIMIT_MS) -> None:
        self._max_packet = max_packet
        self._most_coded = max_packet + _CRC_SIZE + (max_packet + _CRC_SIZE) // _BLOCK + 2
        self._limit_ms = limit_ms
        self._begun = bytearray()
        self._skipping = False
        self._last_ms = 0

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self._begun)

    def receive(self, data: bytes, now_ms: int) -> Received:
        """Take the next bytes; see `keyswitch.smp.framing.Receiver`."""
        packets: list[bytes] = []
        dropped: list[Dropped] = []
        if self._begun and now_ms - self._last_ms > self._limit_ms:
            dropped.append(Dropped(reason=f"frame not completed within {self._limit_ms} ms"))
            self._begun.clear()
        self._last_ms = now_ms
        *frames, rest = data.split(END)
        for frame in frames:
            self._collect(frame, dropped)
            whole, self._begun = bytes(self._begun), bytearray()
            if not self._skipping and whole:
                self._finish(whole, packets, dropped)
            self._skipping = False
        self._collect(rest, dropped)
        if not packets and not dropped:
            return NOTHING
        return Received(packets=tuple(packets), dropped=tuple(dropped))

    def drop(self) -> None:
        """Forget what has begun; see `keyswitch.smp.framing.Receiver`."""
        self._skipping = self._skipping or bool(self._begun)
        self._begun.clear()

    def _collect(self, data: bytes, dropped: list[Dropped]) -> None:
        if self._skipping:
            return
        self._begun += data
        if len(self._begun) > self._most_coded:
            dropped.append(Dropped(reason=TOO_LARGE, header=_header(bytes(self._begun))))
            self._skipping = True
            self._begun.clear()

    def _finish(self, whole: bytes, packets: list[bytes], dropped: list[Dropped]) -> None:
        decoded = decode(whole)
        if decoded is None:
            dropped.append(Dropped(reason="COBS"))
        elif len(decoded) <= _CRC_SIZE or crc16(decoded) != 0:
            dropped.append(Dropped(reason="CRC"))
        elif len(decoded) - _CRC_SIZE > self._max_packet:
            dropped.append(Dropped(reason=TOO_LARGE, header=decoded[:HEADER_SIZE]))
        else:
            packets.append(decoded[:-_CRC_SIZE])


def _header(coded: bytes) -> bytes:
    """The header of a frame of which only the beginning is there."""
    data = bytearray()
    position = 0
    while len(data) < HEADER_SIZE:
        code = coded[position]
        data += coded[position + 1 : position + code] + (END if code <= _BLOCK else b"")
        position += code
    return bytes(data[:HEADER_SIZE])
