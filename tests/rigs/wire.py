"""One conversation with a server in whole SMP packets, over whatever carries them.

A `Wire` has no opinion: it sends what it is given, also nonsense, and hands back what comes, in order. Matching
answers to requests is its user's business.
"""

import asyncio
import os
import socket
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from keyswitch.smp.framing import Receiver, console, raw

LARGEST: Final = 65_535 + 8
"""No packet can be larger than its length field can say."""


class Wire(Protocol):
    """Packets out and in."""

    async def send(self, packet: bytes) -> None:
        """Send one packet, framed as the transport wants it."""
        ...

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, without framing."""
        ...

    async def receive(self, timeout_ms: int) -> bytes | None:
        """The next packet, or None if none comes within `timeout_ms`."""
        ...


class StreamWire:
    """Packets on a stream of bytes: a pseudo-terminal, or an emulated UART on a socket."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        receiver: Receiver,
        pieces: Callable[[bytes], list[bytes]],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._receiver = receiver
        self._pieces = pieces
        self._waiting: list[bytes] = []
        self._heard = bytearray()

    async def send(self, packet: bytes) -> None:
        await self.send_bytes(b"".join(self._pieces(packet)))

    async def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self, timeout_ms: int) -> bytes | None:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not self._waiting:
                    await self._listen()
        except TimeoutError:
            return None
        return self._waiting.pop(0)

    async def text(self, wanted: bytes, timeout_ms: int) -> None:
        """Wait until the line has carried `wanted` since it was opened or last waited for.

        Raises:
            TimeoutError: it did not within `timeout_ms`.
        """
        async with asyncio.timeout(timeout_ms / 1000):
            while (found := self._heard.find(wanted)) < 0:
                await self._listen()
        del self._heard[: found + len(wanted)]

    async def _listen(self) -> None:
        data = await self._reader.read(4096)
        if not data:
            raise EOFError("the server's line is closed")
        self._heard += data
        self._waiting += self._receiver.receive(data, int(asyncio.get_running_loop().time() * 1000)).packets


def _framed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, bare: bool) -> StreamWire:
    if bare:
        return StreamWire(reader, writer, raw.StreamReceiver(LARGEST), lambda packet: [packet])
    return StreamWire(reader, writer, console.ConsoleReceiver(LARGEST), console.pieces)


@asynccontextmanager
async def pty_wire(path: Path, *, bare: bool = False) -> AsyncIterator[StreamWire]:
    """A conversation over a pseudo-terminal or serial port; `bare` without console framing."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tty.setraw(descriptor)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    to_read, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(descriptor), "rb", buffering=0)
    )
    to_write, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(descriptor, "wb", buffering=0)
    )
    try:
        yield _framed(reader, asyncio.StreamWriter(to_write, protocol, None, loop), bare=bare)
    finally:
        to_write.close()
        to_read.close()


@asynccontextmanager
async def socket_wire(port: int, *, bare: bool = False) -> AsyncIterator[StreamWire]:
    """A conversation over a TCP port of this machine that stands for a UART."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield _framed(reader, writer, bare=bare)
    finally:
        writer.close()


class UdpWire:
    """A datagram is a packet."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound

    async def send(self, packet: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, packet)

    async def send_bytes(self, data: bytes) -> None:
        await self.send(data)

    async def receive(self, timeout_ms: int) -> bytes | None:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await asyncio.get_running_loop().sock_recv(self._socket, LARGEST)
        except TimeoutError:
            return None


@asynccontextmanager
async def udp_wire(
    host: str, port: int, *, made_by: Callable[[], socket.socket] | None = None
) -> AsyncIterator[UdpWire]:
    """A conversation over UDP; `made_by` makes the socket where another network namespace is wanted."""
    bound = made_by() if made_by else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with bound:
        bound.setblocking(False)
        bound.connect((host, port))
        yield UdpWire(bound)
