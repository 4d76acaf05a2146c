"""The most that an upload can reach on the modelled air, computed from its rules alone.

Independent on purpose: it shares the numbers of `rules`, and no code, with the model and with everything that sends.

An upload is `window` requests of `buf_size` bytes outstanding; each is answered by one small packet. Three things limit
it, and the least of them is the bound:

* air: how many packets fit into a connection event, and how many of them a request needs;
* turns: the answer of a request that arrived in one event goes out in a later one, and the next request in a later one
  still, so `window` requests take at least two intervals (one where answer or request can join an event that is open);
* flash: what erasing and writing the bytes takes, if the device has only one thing at a time to do; and, with small
  buffers, turns beside erasing, because nothing is answered while a sector is erased.
"""

from dataclasses import dataclass
from functools import lru_cache

from keyswitch.timing.rules import (
    INTERVAL_UNIT_US,
    MAX_DATA_LENGTH,
    MAX_INTERVAL_US,
    MIN_INTERVAL_US,
    Phy,
    exchange_us,
)

L2CAP_HEADER = 4
"""Vol 3 Part A 3.1: length and channel."""
ATT_WRITE_HEADER = 3
"""Opcode and handle of a Write Command or notification: Vol 3 Part F 3.4.5.3."""
ANSWER_OCTETS = 20 + ATT_WRITE_HEADER + L2CAP_HEADER
"""An upload's answer: 8 of header and a map with an offset."""
REQUEST_OVERHEAD = 26
"""Of an upload request that is not the first: header 8, map 1, `off` 4 + 5, `data` 5 + 3."""
PREFERRED_VALUE = 495
"""Bytes in one write at an ATT MTU of 498: fills two packets of 251 octets exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundFlash:
    """Times of the device's flash; nothing is known to be faster than instant.

    Attributes:
        erase_us_per_sector: to erase one sector.
        sector_size: bytes.
        write_us_per_block: to write one block.
        write_block_size: bytes.
    """

    erase_us_per_sector: int
    sector_size: int
    write_us_per_block: int
    write_block_size: int

    @property
    def bytes_per_second(self) -> float:
        """What can be erased and written in a second."""
        us_per_byte = self.erase_us_per_sector / self.sector_size + self.write_us_per_block / self.write_block_size
        return 1_000_000 / us_per_byte


NRF52840 = BoundFlash(erase_us_per_sector=85_000, sector_size=4096, write_us_per_block=41, write_block_size=4)
"""nRF52840 product specification 6.19.10: page erase 85 ms, word write 41 microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Image bytes per second, and what holds there: `air`, `turns`, `flash` or `flash and turns`."""

    bytes_per_second: float
    limited_by: str


def upload_bound(
    *,
    interval_us: int,
    buf_size: int,
    buf_count: int = 4,
    window: int | None = None,
    phy: Phy = Phy.LE_2M,
    data_length: int = MAX_DATA_LENGTH,
    value_size: int = PREFERRED_VALUE,
    pdus_per_event: int | None = None,
    flash: BoundFlash | None = None,
) -> Bound:
    """The bound of an upload over an air without loss.

    Args:
        interval_us: connection interval.
        buf_size: bytes of one request, header included.
        buf_count: the device's buffers; one is kept for the answer.
        window: outstanding requests; by default all but one of the buffers.
        phy: physical layer.
        data_length: payload octets of a packet.
        value_size: bytes in one write.
        pdus_per_event: most packet pairs in an event.
        flash: the device's flash, if its time counts.
    """
    outstanding = max(1, buf_count - 1) if window is None else window
    request = _request(buf_size, value_size, data_length, phy)
    image_bytes = buf_size - REQUEST_OVERHEAD
    limits = _air_limits(request, image_bytes, outstanding, interval_us, pdus_per_event)
    if flash is not None:
        limits["flash"] = flash.bytes_per_second
        turn_us = _turn_us(request, interval_us, pdus_per_event)
        limits["flash and turns"] = _beside_erasing(flash, image_bytes, outstanding, turn_us)
    name = min(limits, key=lambda key: limits[key])
    return Bound(bytes_per_second=limits[name], limited_by=name)


def _beside_erasing(flash: BoundFlash, image_bytes: int, outstanding: int, turn_us: int) -> float:
    """What turns and erasing allow together: nothing is answered while a sector is erased.

    So no more than `outstanding` of a sector's requests can arrive meanwhile. All others take a turn each, with their
    own writing in it, outside of the erasure.
    """
    requests = flash.sector_size / image_bytes
    write_us = image_bytes * flash.write_us_per_block / flash.write_block_size
    others_us = max(0.0, requests - outstanding) * (turn_us + write_us) / outstanding
    return flash.sector_size * 1e6 / (flash.erase_us_per_sector + others_us)


def _packets(buf_size: int, value_size: int, data_length: int) -> list[int]:
    """Payload octets of each packet of one request."""
    lengths: list[int] = []
    for at in range(0, buf_size, value_size):
        frame = min(value_size, buf_size - at) + ATT_WRITE_HEADER + L2CAP_HEADER
        lengths += [min(data_length, frame - cut) for cut in range(0, frame, data_length)]
    return lengths


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """One request on the air: its packets, how long all of them take with an answer, and how long the longest takes."""

    packets: int
    with_answer_us: int
    longest_us: int


def _request(buf_size: int, value_size: int, data_length: int, phy: Phy) -> _Request:
    lengths = _packets(buf_size, value_size, data_length)
    # An event is filled with packets; the answers cost a longer reply.
    answer_us = exchange_us(phy, 0, ANSWER_OCTETS) - exchange_us(phy, 0, 0)
    return _Request(
        packets=len(lengths),
        with_answer_us=sum(exchange_us(phy, length, 0) for length in lengths) + answer_us,
        longest_us=exchange_us(phy, max(lengths), 0),
    )


def _air_limits(
    request: _Request, image_bytes: int, outstanding: int, interval_us: int, limit: int | None
) -> dict[str, float]:
    """Image bytes per second that the air and its turns allow."""
    return {
        "air": image_bytes * _requests_per_event(request, interval_us, limit) * 1e6 / interval_us,
        "turns": image_bytes * outstanding * 1e6 / _turn_us(request, interval_us, limit),
    }


def _requests_per_event(request: _Request, interval_us: int, limit: int | None) -> float:
    """Requests that an event carries in the long run."""
    fitting = interval_us * request.packets // request.with_answer_us
    return min(fitting, limit or fitting) / request.packets


def _turn_us(request: _Request, interval_us: int, limit: int | None) -> int:
    """The least time from a request's first packet to the first packet of the one that its answer allows."""
    per_event = max(1, interval_us // request.longest_us)
    events = -(-request.packets // min(per_event, limit or per_event))
    return (events + 1) * interval_us


@lru_cache(maxsize=16)
def fastest_upload(*, buf_size: int, buf_count: int) -> Bound:
    """The bound at the connection interval that suits these buffers best: no Bluetooth LE upload is faster.

    Args:
        buf_size: bytes of one request, header included.
        buf_count: the device's buffers.
    """
    request = _request(buf_size, PREFERRED_VALUE, MAX_DATA_LENGTH, Phy.LE_2M)
    outstanding, image_bytes = max(1, buf_count - 1), buf_size - REQUEST_OVERHEAD
    bounds: list[tuple[float, str]] = []
    for interval_us in range(MIN_INTERVAL_US, MAX_INTERVAL_US + 1, INTERVAL_UNIT_US):
        limits = _air_limits(request, image_bytes, outstanding, interval_us, None)
        bounds.append(min((rate, name) for name, rate in limits.items()))
    rate, name = max(bounds)
    return Bound(bytes_per_second=rate, limited_by=name)
