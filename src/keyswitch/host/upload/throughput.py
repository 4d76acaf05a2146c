"""What bounds an upload, at both ends of what nobody knows before: how fast the device's flash is. Pure.

Rules:

* Over the air the bound is `keyswitch.timing.bound`. On a serial line it is the line, with every byte of the framing
  counted. Over a network only round trips can be counted.
* The fast end takes the flash for instant, the slow end for that of a usual part.
* People read of air, line, buffers and flash: with few buffers a device waits for requests, and requests for it.
"""

from dataclasses import dataclass
from typing import Final

from keyswitch.smp.framing import cobs, console
from keyswitch.timing.bound import ANSWER_OCTETS, ATT_WRITE_HEADER, L2CAP_HEADER, NRF52840, REQUEST_OVERHEAD, BoundFlash
from keyswitch.timing.bound import upload_bound as air_bound

ASSUMED_INTERVAL_US: Final = 15_000
"""What iOS and most of Linux and Android grant to a peripheral that asks for less."""

ASSUMED_ROUND_TRIP_US: Final = 10_000
"""Of a request and its answer over a local network with a radio in it; a wire alone takes a tenth of that."""

BITS_PER_BYTE: Final = 10
"""On a serial line: start, eight, stop."""

ANSWER_BYTES: Final = ANSWER_OCTETS - ATT_WRITE_HEADER - L2CAP_HEADER
"""The packet that answers an upload request."""

USUAL_FLASH: Final = NRF52840

WORDS: Final = {"turns": "buffers", "flash and turns": "flash and buffers"}
"""The words of `keyswitch.timing.bound` for people; all others are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The link.

    Attributes:
        kind: `ble`, `udp` or `serial`.
        baud: of a serial line.
        framing: of a serial line: `console`, `raw` or `cobs`.
        max_packet: largest packet in bytes, None where the device's buffers bound it.
        framing_bytes: bytes of a buffer that the framing takes.
    """

    kind: str
    baud: int = 115_200
    framing: str = "console"
    max_packet: int | None = None
    framing_bytes: int = 0

    @property
    def assumed(self) -> str:
        """What is taken for granted of it, in words; empty where nothing has to be."""
        match self.kind:
            case "ble":
                return f"interval {ASSUMED_INTERVAL_US / 1000:g} ms, 2M, 251 bytes"
            case "udp":
                return f"a round trip of {ASSUMED_ROUND_TRIP_US / 1000:g} ms"
            case _:
                return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Image bytes per second, and what holds there: air, line, buffers, flash, or flash and buffers."""

    bytes_per_second: int
    limited_by: str

    def duration_ms(self, size: int) -> int:
        """For so many bytes."""
        return round(size * 1000 / self.bytes_per_second)


def rate(line: Line, *, frame: int, outstanding: int, flash: BoundFlash | None) -> Rate:
    """The bound of an upload in frames of so many bytes, with so many under way.

    Args:
        line: the link.
        frame: bytes of a request; holds an upload request.
        outstanding: requests under way.
        flash: the device's; None for one that takes no time.
    """
    if line.kind == "ble":
        bound = air_bound(interval_us=ASSUMED_INTERVAL_US, buf_size=frame, window=outstanding, flash=flash)
        named = WORDS.get(bound.limited_by, bound.limited_by)
        return Rate(bytes_per_second=max(1, round(bound.bytes_per_second)), limited_by=named)
    image = frame - REQUEST_OVERHEAD
    limits: dict[str, float] = {}
    if line.kind == "serial":
        limits["line"] = image * 1e6 / _wire_us(line, frame)
        turn_us = _wire_us(line, frame) + _wire_us(line, ANSWER_BYTES)
    else:
        turn_us = ASSUMED_ROUND_TRIP_US
    limits["buffers"] = image * outstanding * 1e6 / turn_us
    if flash is not None:
        limits["flash"] = flash.bytes_per_second
        if outstanding == 1:
            limits["flash and buffers"] = image * 1e6 / (turn_us + image * 1e6 / flash.bytes_per_second)
    holds = min(limits, key=lambda name: limits[name])
    return Rate(bytes_per_second=max(1, round(limits[holds])), limited_by=holds)


def _wire_us(line: Line, packet_bytes: int) -> float:
    """How long a packet takes on a serial line, with its framing."""
    packet = bytes(packet_bytes)
    match line.framing:
        case "console":
            pieces = console.pieces(packet)
        case "cobs":
            pieces = cobs.pieces(packet)
        case _:
            pieces = [packet]
    return sum(len(piece) for piece in pieces) * BITS_PER_BYTE * 1e6 / line.baud
