"""A serial line with a baud rate between a pseudo-terminal of ours and an emulated UART, for clients that want a path.

Rules:

* Bytes for the board take the time they take on a wire: without it, bursts overrun receive buffers that no real line
  could overrun.
* While the board boots, bytes for it are kept back, and what was on its way is lost: an emulated board that hears
  anything then hangs.
* Bytes from the board are passed on as they come.
"""

import asyncio
import os
import socket
import struct
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from tests.rigs.qemu import Board

BAUD: Final = 115_200
_BITS_PER_BYTE: Final = 10  # start, eight, stop
_BURST: Final = 32
_DAY_MS: Final = 86_400_000


class _Line:
    """Carries bytes. A reset of the board ends one connection to its UART and begins the next."""

    def __init__(self, board: Board, master: int, baud: int) -> None:
        self._board = board
        self._master = master
        self._baud = baud
        self._arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def carry(self) -> None:
        """Carry bytes both ways until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._master, self._from_client)
        try:
            await self._until_reset(boots=False)
            while True:
                await self._until_reset(boots=True)
        finally:
            loop.remove_reader(self._master)

    async def _until_reset(self, *, boots: bool) -> None:
        """One connection to the board's UART. A reset takes with it what had not reached it."""
        board = self._board
        reader, writer = await asyncio.open_connection("127.0.0.1", board.port)
        carrying: asyncio.Task[None] | None = None
        try:
            if boots:
                await board.restart()
            carrying = asyncio.create_task(self._both_ways(reader, writer, board.build.up if boots else None))
            await board.resetting(_DAY_MS)
        finally:
            if carrying is not None:
                carrying.cancel()
                await asyncio.wait([carrying])
            await _cut(writer)

    def _from_client(self) -> None:
        with suppress(OSError):  # EIO: nobody has the other end open at the moment
            self._arrived.put_nowait(os.read(self._master, 4096))

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, until: bytes | None) -> None:
        heard = b""
        while until is not None and (until not in heard or not heard.endswith(b"\n")):
            heard += await self._to_client(reader)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._to_board(writer))
            both.create_task(self._always_to_client(reader))

    async def _to_board(self, writer: asyncio.StreamWriter) -> None:
        while True:
            data = await self._arrived.get()
            while data:
                burst, data = data[:_BURST], data[_BURST:]
                writer.write(burst)
                await asyncio.sleep(len(burst) * _BITS_PER_BYTE / self._baud)

    async def _to_client(self, reader: asyncio.StreamReader) -> bytes:
        data = await reader.read(4096)
        os.write(self._master, data)
        return data

    async def _always_to_client(self, reader: asyncio.StreamReader) -> None:
        while await self._to_client(reader):
            pass


async def _cut(writer: asyncio.StreamWriter) -> None:
    """End a connection so that what the other side has not read yet is thrown away (a reset, not an end: tcp(7))."""
    no_lingering = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)
    writer.transport.abort()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def line(board: Board, *, baud: int = BAUD) -> AsyncIterator[Path]:
    """The path of a serial line to `board`, as long as the block lasts. Nobody else may talk to the board meanwhile."""
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    try:
        async with asyncio.TaskGroup() as tasks:
            carrying = tasks.create_task(_Line(board, master, baud).carry())
            yield Path(os.ttyname(slave))  # our own end stays open, so that clients may come and go
            carrying.cancel()
    finally:
        os.close(slave)
        os.close(master)
