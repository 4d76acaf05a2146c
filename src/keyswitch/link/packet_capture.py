"""SMP packets of a link that has no HCI, into a file that Wireshark opens (pcapng), one block for each whole packet.

What passes between a host and its own controller is captured as such (`link.bumble.capture`); of datagrams, serial
lines and the system's own adapter the packets are all that can be had.

Rules:

* Each block has the packet as it is, its direction, the time, and in words what it is (a comment: Wireshark shows it).
  The link type is LINKTYPE_USER0: nobody has given SMP a number.
* Fragments on Bluetooth LE are put together: the file has packets, whatever they were cut into.
* Proofs and images pass here: the file is a new one that only this user can read (mode 0600).
* The link does not depend on the file: when the disk is full, the capture ends and the work goes on.

draft-ietf-opsawg-pcapng: section header 4.1, interface description 4.2, enhanced packet 4.3, options 3.5.
"""

import asyncio
import logging
import struct
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import BinaryIO, Final

from keyswitch.link.capture_file import new_capture_file
from keyswitch.link.ports import Adapter, GattLink, PacketLink, Sighting, Sink
from keyswitch.smp.framing.ble import BleReceiver
from keyswitch.smp.header import HEADER_SIZE, MAX_PAYLOAD
from keyswitch.terms import Security

_log = logging.getLogger(__name__)

LINKTYPE_USER0: Final = 147
_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER: Final = 0x1A2B3C4D
_COMMENT, _NAME, _FLAGS, _HARDWARE_APPLICATION = 1, 2, 2, 4
_INBOUND, _OUTBOUND = 1, 2


def wall_clock_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


class PacketCapture:
    """An open capture file; what is there already is replaced.

    Args:
        path: of the file.
        name: of the link, as people write it.
        words: says in one line what a packet is.
        clock_us: microseconds since 1970.

    Raises:
        InputError: the file cannot be made.
    """

    def __init__(
        self, path: Path, *, name: str, words: Callable[[bytes], str], clock_us: Callable[[], int] = wall_clock_us
    ) -> None:
        self._file: BinaryIO = new_capture_file(path)
        self._words = words
        self._clock_us = clock_us
        self._works = True
        self._put(
            _SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + _options((_HARDWARE_APPLICATION, b"keyswitch"))
        )
        self._put(_INTERFACE, struct.pack("<HHI", LINKTYPE_USER0, 0, 0) + _options((_NAME, name.encode())))

    def note(self, packet: bytes, *, outbound: bool) -> None:
        """Write one packet down."""
        now = self._clock_us()
        head = struct.pack("<IIIII", 0, now >> 32, now & 0xFFFF_FFFF, len(packet), len(packet))
        flags = struct.pack("<I", _OUTBOUND if outbound else _INBOUND)
        self._put(_PACKET, head + _padded(packet) + _options((_COMMENT, self._words(packet).encode()), (_FLAGS, flags)))

    def close(self) -> None:
        """Give the file back. Harmless when repeated."""
        self._works = False
        self._file.close()

    def _put(self, kind: int, body: bytes) -> None:
        size = struct.pack("<I", 12 + len(body))
        if not self._works:
            return
        block = struct.pack("<I", kind) + size + body + size
        try:
            ended = "" if self._file.write(block) == len(block) else "the file takes no more"
        except OSError as error:
            ended = error.strerror or str(error)
        if ended:
            self._works = False
            _log.warning("captured no further: %s", ended)


class CapturedPackets:
    """A `PacketLink` whose packets are written down on their way."""

    def __init__(self, link: PacketLink, capture: PacketCapture) -> None:
        self._link = link
        self._capture = capture

    @property
    def max_packet(self) -> int | None:
        """As the link below."""
        return self._link.max_packet

    @property
    def framing_bytes(self) -> int:
        """As the link below."""
        return self._link.framing_bytes

    @property
    def closed(self) -> str | None:
        """As the link below."""
        return self._link.closed

    def on_packet(self, sink: Sink) -> None:
        """Hand each whole packet to `sink`, and write it down."""

        def noted(packet: bytes) -> None:
            self._capture.note(packet, outbound=False)
            sink(packet)

        self._link.on_packet(noted)

    def on_closed(self, sink: Callable[[str], None]) -> None:
        """As the link below."""
        self._link.on_closed(sink)

    async def send(self, packet: bytes) -> None:
        """Write one packet down, and send it."""
        self._capture.note(packet, outbound=True)
        await self._link.send(packet)

    async def close(self) -> None:
        """End the link; the capture goes on with the next one."""
        await self._link.close()


class CapturedAdapter:
    """An `Adapter` of whose connections the SMP packets are written down. Closing it closes the capture."""

    def __init__(self, adapter: Adapter, capture: PacketCapture) -> None:
        self._adapter = adapter
        self._capture = capture

    @property
    def hears_while_connecting(self) -> bool:
        """As the adapter below."""
        return self._adapter.hears_while_connecting

    def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        """As the adapter below."""
        return self._adapter.scan(timeout_ms)

    async def connect(self, address: str, timeout_ms: int) -> GattLink:
        """As the adapter below."""
        return CapturedGatt(await self._adapter.connect(address, timeout_ms), self._capture)

    async def close(self) -> None:
        """Give radio and file back."""
        await self._adapter.close()
        self._capture.close()


class CapturedGatt:
    """A `GattLink` whose writes and notifications are put together to packets, and written down."""

    def __init__(self, link: GattLink, capture: PacketCapture) -> None:
        self._link = link
        self._capture = capture
        self._receivers: dict[tuple[str, bool], BleReceiver] = {}

    @property
    def address(self) -> str:
        """As the link below, and so is all that is not a write or a notification."""
        return self._link.address

    @property
    def services(self) -> frozenset[str]:
        """As the link below."""
        return self._link.services

    @property
    def max_write(self) -> int:
        """As the link below."""
        return self._link.max_write

    @property
    def security(self) -> Security | None:
        """As the link below."""
        return self._link.security

    @property
    def can_rediscover(self) -> bool:
        """As the link below."""
        return self._link.can_rediscover

    @property
    def closed(self) -> str | None:
        """As the link below."""
        return self._link.closed

    async def wait_closed(self, timeout_ms: int) -> str | None:
        """As the link below."""
        return await self._link.wait_closed(timeout_ms)

    async def subscribe(self, service: str, characteristic: str, sink: Sink) -> None:
        """Hand notifications to `sink`, and write down what they carry."""

        def noted(value: bytes) -> None:
            self._note(characteristic, value, outbound=False)
            sink(value)

        await self._link.subscribe(service, characteristic, noted)

    async def read(self, service: str, characteristic: str) -> bytes:
        """As the link below."""
        return await self._link.read(service, characteristic)

    async def write(self, service: str, characteristic: str, data: bytes) -> None:
        """Write a piece down, and send it."""
        self._note(characteristic, data, outbound=True)
        await self._link.write(service, characteristic, data)

    async def request(self, service: str, characteristic: str, data: bytes) -> None:
        """As the link below."""
        await self._link.request(service, characteristic, data)

    async def refresh(self) -> None:
        """As the link below."""
        await self._link.refresh()

    async def pair(self) -> None:
        """As the link below."""
        await self._link.pair()

    async def close(self) -> None:
        """End the connection; the capture goes on with the next one."""
        await self._link.close()

    def _note(self, characteristic: str, value: bytes, *, outbound: bool) -> None:
        receiver = self._receivers.setdefault((characteristic, outbound), BleReceiver(HEADER_SIZE + MAX_PAYLOAD))
        for packet in receiver.receive(value, round(asyncio.get_running_loop().time() * 1000)).packets:
            self._capture.note(packet, outbound=outbound)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(*options: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options) + bytes(4)
