"""The kernel's Bluetooth adapter on the modelled air: /dev/vhci on one side, HCI over TCP on the other, an ear between.

hci0 is there as long as the block lasts. A packet of the virtual device is one read or one write; on TCP packets are
cut by their headers. Every ATT packet that passes whole is kept, so that a test can wait for what the other side has
been told instead of for a while.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

DEVICE: Final = "/dev/vhci"
_VENDOR: Final = 0xFF
_PRIMARY: Final = bytes([_VENDOR, 0x00])
"""Linux `hci_vhci.c`: a packet of type 0xFF makes a controller; the kernel answers with its index."""

_HEADERS: Final = {0x02: (5, 3, 2), 0x04: (3, 2, 1)}
"""Data and events, which controllers send: header with type, offset and size of the length (Vol 4 Part A 2)."""
_DATA: Final = 0x02
_ATT_CHANNEL: Final = 0x0004
_ATT: Final = 9
"""Where ATT begins in a data packet: type, handle (2), length (2), L2CAP length (2), channel (2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttPacket:
    """One ATT packet.

    Attributes:
        from_kernel: whether the kernel sent it, or the device.
        data: opcode and all.
    """

    from_kernel: bool
    data: bytes


class Vhci:
    """The adapter, and what it has said and heard."""

    def __init__(self, device: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard: list[AttPacket] = []
        self._device = device
        self._reader = reader
        self._writer = writer
        self._more = asyncio.Event()

    async def until(self, wanted: Callable[[AttPacket], bool], what: str, timeout_ms: int, *, since: int = 0) -> int:
        """Wait for an ATT packet that is `wanted`, from the `since`th on; its number."""
        number = since
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while True:
                    while number < len(self.heard):
                        if wanted(self.heard[number]):
                            return number
                        number += 1
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"not within {timeout_ms} ms: {what}; heard {self.spoken(since)}") from None

    def spoken(self, since: int = 0) -> str:
        """What was heard from the `since`th packet on: `>` from the kernel, `<` from the device."""
        return " ".join(f"{'>' if packet.from_kernel else '<'}{packet.data.hex()}" for packet in self.heard[since:])

    def from_kernel(self) -> None:
        """Carry one packet of the kernel's."""
        packet = os.read(self._device, 4096)
        if packet[0] == _VENDOR:
            return
        self._listen(packet, from_kernel=True)
        self._writer.write(packet)

    async def to_kernel(self) -> None:
        """Carry the controller's packets until it ends."""
        while kind := await self._reader.read(1):
            header_size, offset, size = _HEADERS[kind[0]]
            header = kind + await self._reader.readexactly(header_size - 1)
            length = int.from_bytes(header[offset : offset + size], "little")
            packet = header + await self._reader.readexactly(length)
            self._listen(packet, from_kernel=False)
            os.write(self._device, packet)

    def _listen(self, packet: bytes, *, from_kernel: bool) -> None:
        if packet[0] == _DATA and int.from_bytes(packet[_ATT - 2 : _ATT], "little") == _ATT_CHANNEL:
            self.heard.append(AttPacket(from_kernel=from_kernel, data=packet[_ATT:]))
            self._more.set()


@asynccontextmanager
async def vhci(host: str, port: int) -> AsyncIterator[Vhci]:
    """The adapter, on the air that waits for HCI hosts at `host`:`port`."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(host, port)
    device = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK)
    os.write(device, _PRIMARY)
    here = Vhci(device, reader, writer)
    loop.add_reader(device, here.from_kernel)
    carrying = asyncio.create_task(here.to_kernel())
    try:
        yield here
    finally:
        loop.remove_reader(device)
        carrying.cancel()
        await asyncio.wait([carrying])
        os.close(device)
        writer.close()
