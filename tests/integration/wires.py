"""Transports besides the radio for whole devices in virtual time: a serial line and datagrams, without descriptors.

Framing, back-pressure and what is lost are as on the real ones; only the kernel is missing.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keyswitch.device.storage.store import Store
from keyswitch.device.transport import serial
from keyswitch.device.transport.ports import TransportSink
from keyswitch.device.transport.serial import SerialTransport
from keyswitch.device.transport.udp import UdpTransport
from keyswitch.errors import LinkLostError
from keyswitch.smp.framing import console
from keyswitch.smp.framing.console import ConsoleReceiver

BYTE_S = 10 / 115_200
"""Start bit, eight data bits, stop bit."""

DATAGRAM_S = 0.0005
KERNEL_BUFFER = 4_096


class HostEnd:
    """A `PacketLink`: the host's end of whatever `transmit` leads to."""

    max_packet: int | None = None
    framing_bytes: int = 0
    closed: str | None = None

    def __init__(self) -> None:
        self.sink: Callable[[bytes], None] | None = None

    def on_packet(self, sink: Callable[[bytes], None]) -> None:
        self.sink = sink

    def on_closed(self, sink: Callable[[str], None]) -> None:
        pass

    async def send(self, packet: bytes) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.closed = "closed by us"


class Line(SerialTransport):
    """The device's serial carrier on a line at 115,200 baud that is made of memory.

    Attributes:
        reads: whether the host takes what the device writes.
    """

    def __init__(self, max_packet: int) -> None:
        super().__init__(Path("line"), receiver=ConsoleReceiver(max_packet))
        self.host = LineEnd(self)
        self.reads = True
        self.arrived: deque[bytes] = deque()
        self._listening = False

    async def open(self, notes: Store | None = None) -> None:
        self._descriptor = 0

    async def start(self, arrivals: TransportSink) -> None:
        self._descriptor = 0
        await super().start(arrivals)

    async def close(self) -> None:
        await self.power_lost()

    def _listen(self) -> None:
        self._listening = True
        asyncio.get_running_loop().call_soon(self._read)

    def _read(self) -> None:
        if self.arrived and self._listening:
            self._take(self.arrived.popleft())
            asyncio.get_running_loop().call_soon(self._read)

    def _stop_listening(self) -> None:
        self._listening = False

    def arrive(self, data: bytes) -> None:
        """Bytes have come in."""
        self.arrived.append(data)
        self._read()

    @property
    def full(self) -> bool:
        return sum(map(len, self.arrived)) > KERNEL_BUFFER

    async def _write(self, data: bytes) -> None:
        if not self.reads:
            await asyncio.sleep(serial.STUCK_MS / 1000)
            raise LinkLostError("nobody reads the line")
        await asyncio.sleep(len(data) * BYTE_S)
        self.host.receive(data)


class LineEnd(HostEnd):
    """The host's end of a `Line`."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line
        self._receiver = ConsoleReceiver(65_535)
        self._sending = asyncio.Lock()

    async def send(self, packet: bytes) -> None:
        await self.write(b"".join(console.pieces(packet)))

    async def write(self, data: bytes) -> None:
        """Any bytes, at the line's speed; waits while nobody reads them at the other end."""
        async with self._sending:
            while self._line.full:  # noqa: ASYNC110 - a line's sender finds out when it tries again
                await asyncio.sleep(0.01)
            await asyncio.sleep(len(data) * BYTE_S)
            self._line.arrive(data)

    def receive(self, data: bytes) -> None:
        for packet in self._receiver.receive(data, 0).packets:
            if self.sink is not None:
                self.sink(packet)


class Datagrams(UdpTransport):
    """The device's UDP carrier on a net that is made of memory."""

    def __init__(self, max_packet: int) -> None:
        super().__init__("192.0.2.7", 1337, max_packet=max_packet)
        self._socket: Any = self
        self.delay_s = DATAGRAM_S
        self._ends: dict[Any, DatagramEnd] = {}

    def sendto(self, packet: bytes, address: Any) -> None:
        end = self._ends.get(address)
        if end is not None:
            asyncio.get_running_loop().call_later(self.delay_s, end.receive, packet)

    async def close(self) -> None:
        await self.power_lost()

    def socket(self, port: int, host: str = "192.0.2.1") -> "DatagramEnd":
        """A host's socket."""
        return self._ends.setdefault((host, port), DatagramEnd(self, (host, port)))


class DatagramEnd(HostEnd):
    """The host's end: one address and port."""

    def __init__(self, net: Datagrams, address: tuple[str, int]) -> None:
        super().__init__()
        self._net = net
        self._address = address

    async def send(self, packet: bytes) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._net.delay_s, self._net.datagram_received, packet, self._address)

    def receive(self, packet: bytes) -> None:
        if self.sink is not None:
            self.sink(packet)
