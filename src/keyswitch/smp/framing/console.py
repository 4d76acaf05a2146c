"""SMP in lines of base64 on a console that others write to as well (Zephyr `serial_util.c`, "SMP over console").

    06 09  base64(total, packet bytes ...)  0a      first line; total = packet + CRC, 16 bits big-endian
    04 14  base64(packet bytes ..., CRC)    0a      following lines, each coded on its own

The CRC is CRC-16/XMODEM over the packet alone, big-endian. A sender keeps the CRC in one line; a receiver takes any
cut. Lines without a marker are other people's text and are passed over, also in the middle of a packet.
"""

import binascii
from typing import Final

from keyswitch.smp.framing import NOTHING, PIECE_LIMIT_MS, Dropped, Received
from keyswitch.smp.framing.raw import TOO_LARGE
from keyswitch.smp.header import HEADER_SIZE

FIRST: Final = b"\x06\x09"
NEXT: Final = b"\x04\x14"
END: Final = b"\n"

MAX_LINE: Final = 127
"""Bytes of a line that we send, marker and newline included."""
_RAW_PER_LINE: Final = (MAX_LINE - len(FIRST) - len(END)) // 4 * 3
_TOTAL_SIZE: Final = 2
_CRC_SIZE: Final = 2
MAX_PACKET: Final = 2 ** (8 * _TOTAL_SIZE) - 1 - _CRC_SIZE
"""Largest packet in bytes that the length in its first line can announce."""

_MAX_TEXT: Final = 8_192
"""Bytes without a newline after which a line cannot be a frame from anybody."""


def crc16(data: bytes) -> int:
    """CRC-16/XMODEM: polynomial 0x1021, initial value 0."""
    return binascii.crc_hqx(data, 0)


def pieces(packet: bytes) -> list[bytes]:
    """The lines that carry `packet`, each with marker and newline."""
    total = len(packet) + _CRC_SIZE
    coded = total.to_bytes(_TOTAL_SIZE, "big") + packet + crc16(packet).to_bytes(_CRC_SIZE, "big")
    lines: list[bytes] = []
    position = 0
    while position < len(coded):
        end = min(position + _RAW_PER_LINE, len(coded))
        if end == len(coded) - 1:
            end -= 1  # the CRC stays in one line
        marker = NEXT if lines else FIRST
        lines.append(marker + binascii.b2a_base64(coded[position:end], newline=False) + END)
        position = end
    return lines


class ConsoleReceiver:
    """Finds packets in what a console says.

    Args:
        max_packet: largest packet in bytes that is collected.
        limit_ms: longest pause between the lines of one packet.
    """

    def __init__(self, max_packet: int, limit_ms: int = PIECE_LIMIT_MS) -> None:
        self._max_packet = max_packet
        self._limit_ms = limit_ms
        self._line = bytearray()
        self._total = 0  # of the packet under way, CRC included; 0 while there is none
        self._begun = bytearray()
        self._last_ms = 0

    @property
    def pending(self) -> bool:
        """Whether a packet has begun and is not complete."""
        return self._total > 0 or bool(self._line)

    def receive(self, data: bytes, now_ms: int) -> Received:
        """Take the next bytes of the console; see `keyswitch.smp.framing.Receiver`."""
        packets: list[bytes] = []
        dropped: list[Dropped] = []
        if self._total and now_ms - self._last_ms > self._limit_ms:
            dropped.append(Dropped(reason=f"packet not completed within {self._limit_ms} ms"))
            self._forget()
        self._last_ms = now_ms
        *lines, rest = data.split(END)
        for line in lines:
            whole = bytes(self._line) + line
            self._line.clear()
            self._take_line(whole, packets, dropped)
        self._line += rest
        if len(self._line) > _MAX_TEXT:
            self._line.clear()
        if not packets and not dropped:
            return NOTHING
        return Received(packets=tuple(packets), dropped=tuple(dropped))

    def drop(self) -> None:
        """Forget what has begun: lines that continue it have nothing to continue and are passed over."""
        self._forget()
        self._line.clear()

    def _take_line(self, line: bytes, packets: list[bytes], dropped: list[Dropped]) -> None:
        # The marker bytes do not occur in base64, so text before them, such as a prompt, cannot hide them.
        if (start := line.rfind(FIRST)) >= 0:
            if self._total:
                dropped.append(Dropped(reason="packet given up for another"))
            self._forget()
        elif not self._total or (start := line.rfind(NEXT)) < 0:
            return
        try:
            coded = binascii.a2b_base64(line[start + len(FIRST) :].rstrip(b"\r"), strict_mode=True)
        except binascii.Error as error:
            dropped.append(Dropped(reason=f"base64: {error}"))
            self._forget()
            return
        if not self._total:
            self._total = int.from_bytes(coded[:_TOTAL_SIZE], "big")
            coded = coded[_TOTAL_SIZE:]
        self._begun += coded
        self._finish(packets, dropped)

    def _finish(self, packets: list[bytes], dropped: list[Dropped]) -> None:
        total = self._total
        if total > self._max_packet + _CRC_SIZE:
            if len(self._begun) < HEADER_SIZE:
                return
            dropped.append(Dropped(reason=TOO_LARGE, header=bytes(self._begun[:HEADER_SIZE])))
        elif total < HEADER_SIZE + _CRC_SIZE or len(self._begun) > total:
            dropped.append(Dropped(reason=f"{len(self._begun)} bytes where {total} were announced"))
        elif len(self._begun) < total:
            return
        elif crc16(bytes(self._begun)) != 0:
            dropped.append(Dropped(reason="CRC"))
        else:
            packets.append(bytes(self._begun[:-_CRC_SIZE]))
        self._forget()

    def _forget(self) -> None:
        self._total = 0
        self._begun.clear()
