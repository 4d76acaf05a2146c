"""SMP over a serial port, host side: base64 lines between console text, raw packets, or COBS frames.

Rules:

* Nothing is polled: the event loop is woken by the port. Where ports cannot be watched (Windows) one thread reads.
* Writing waits until the system has taken the bytes; a port that takes nothing for `STUCK_MS` is given up.
* The port is opened exclusively: two operators on one console would answer for each other.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import serial

from keyswitch.errors import InputError, LinkLostError
from keyswitch.link.local_advice import port_step
from keyswitch.link.ports import Sink
from keyswitch.smp.framing import Receiver, cobs, console, raw
from keyswitch.smp.header import HEADER_SIZE, MAX_PAYLOAD

STUCK_MS: Final = 5_000
"""Longest time in which the port may take no byte: half a kilobyte at 1200 baud."""

CONSOLE_FRAMING: Final = 2 + 2
"""Bytes: length in front, CRC behind."""

COBS_FRAMING: Final = 2
"""Bytes: the CRC behind."""

FRAMINGS: Final[dict[str, tuple[Callable[[int], Receiver], Callable[[bytes], list[bytes]], int]]] = {
    "console": (console.ConsoleReceiver, console.pieces, CONSOLE_FRAMING),
    "raw": (raw.StreamReceiver, lambda packet: [packet], 0),
    "cobs": (cobs.CobsReceiver, cobs.pieces, COBS_FRAMING),
}
"""Receiver, pieces, and bytes of the peer's buffer that the framing takes."""

READ_MOST: Final = 65_536

_log = logging.getLogger(__name__)


class SerialLink:
    """A `PacketLink` over a serial port. Make it with `SerialLink.open`."""

    def __init__(self, port: Any, *, framing: str) -> None:
        self._port = port
        make_receiver, self._pieces, self._framing_bytes = FRAMINGS[framing]
        self._receiver: Receiver = make_receiver(HEADER_SIZE + MAX_PAYLOAD)
        self._max_packet = console.MAX_PACKET if framing == "console" else None
        self._loop = asyncio.get_running_loop()
        self._sink: Sink | None = None
        self._closed_sink: Callable[[str], None] | None = None
        self._closed: str | None = None
        self._sending = asyncio.Lock()
        self._watched = _can_be_watched(self._loop, port)
        if self._watched:
            self._loop.add_reader(port.fileno(), self._readable)
        else:
            threading.Thread(target=self._read_for_ever, name=f"read {port.name}", daemon=True).start()

    @classmethod
    async def open(cls, path: str, baud: int, *, framing: str = "console") -> "SerialLink":
        """Open the port.

        Raises:
            LinkLostError: there is no such port, or another program holds it.
            InputError: the port does not take this speed.
        """
        try:
            port = serial.Serial(path, baud, timeout=None if os.name == "nt" else 0, exclusive=True)
        except serial.SerialException as error:
            step = port_step(path, _number(error), _ports)
            raise LinkLostError(f"serial:{path}: {_why(error)}", next_step=step) from error
        except (ValueError, OSError) as error:
            raise InputError(
                f"serial:{path}@{baud}", f"cannot be set: {error}", "a speed that the port takes"
            ) from error
        _log.info("%s is open, %d baud, %s", path, baud, framing)
        return cls(port, framing=framing)

    @property
    def max_packet(self) -> int | None:
        """Console frames say their length in 16 bits, with the CRC; otherwise the peer's buffers bound it."""
        return self._max_packet

    @property
    def framing_bytes(self) -> int:
        """Length and CRC of a console frame lie in the peer's buffer with the packet (Zephyr `serial_util.c`)."""
        return self._framing_bytes

    @property
    def closed(self) -> str | None:
        """Why the link has ended; None while it is up."""
        return self._closed

    def on_packet(self, sink: Sink) -> None:
        """Hand each whole packet to `sink`."""
        self._sink = sink

    def on_closed(self, sink: Callable[[str], None]) -> None:
        """Tell `sink` once when the link has ended."""
        self._closed_sink = sink

    async def send(self, packet: bytes) -> None:
        """Write one packet; returns when the system has taken its last byte."""
        async with self._sending:
            if self._closed is not None:
                raise LinkLostError(f"the link is gone: {self._closed}")
            try:
                await self._write(b"".join(self._pieces(packet)))
            except (serial.SerialException, OSError) as error:
                self._end(_why(error))
                raise LinkLostError(f"the link is gone: {_why(error)}") from error

    async def close(self) -> None:
        """Close the port."""
        self._end("closed by us")

    async def _write(self, data: bytes) -> None:
        if not self._watched:
            await self._loop.run_in_executor(None, self._port.write, data)
            return
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._port.fileno(), rest) :]
            except BlockingIOError:
                await self._writable()

    async def _writable(self) -> None:
        taken = asyncio.Event()
        self._loop.add_writer(self._port.fileno(), taken.set)
        try:
            async with asyncio.timeout(STUCK_MS / 1000):
                await taken.wait()
        except TimeoutError:
            raise OSError(f"the port took nothing for {STUCK_MS} ms") from None
        finally:
            if self._closed is None:
                self._loop.remove_writer(self._port.fileno())

    def _readable(self) -> None:
        try:
            data = os.read(self._port.fileno(), READ_MOST)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(_why(error))
            return
        if data:
            self._take(data)
        else:
            self._end("the port is gone")

    def _read_for_ever(self) -> None:
        """Read in a thread of its own, where the event loop cannot watch ports."""
        try:
            while self._closed is None:
                data = self._port.read(max(1, self._port.in_waiting))
                self._loop.call_soon_threadsafe(self._take, data)
        except (serial.SerialException, OSError, TypeError) as error:
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                self._loop.call_soon_threadsafe(self._end, _why(error))

    def _take(self, data: bytes) -> None:
        for packet in self._receiver.receive(data, round(self._loop.time() * 1000)).packets:
            if self._sink is not None:
                self._sink(packet)

    def _end(self, why: str) -> None:
        if self._closed is not None:
            return
        _log.info("%s: %s", self._port.name, why)
        self._closed = why
        if self._watched:
            self._loop.remove_reader(self._port.fileno())
            self._loop.remove_writer(self._port.fileno())
        with suppress(serial.SerialException, OSError):
            self._port.close()
        sink, self._closed_sink = self._closed_sink, None
        if sink is not None:
            sink(why)


def _can_be_watched(loop: asyncio.AbstractEventLoop, port: Any) -> bool:
    return os.name == "posix" and hasattr(loop, "add_reader") and hasattr(port, "fileno")


def _number(error: serial.SerialException) -> int | None:
    """The system's number of a port that did not open; pyserial wraps it, and says a lock that is taken in words."""
    for each in (error, error.__context__):
        if isinstance(each, OSError) and isinstance(each.errno, int):
            return each.errno
    return None


def _ports() -> list[str]:
    from serial.tools import list_ports  # noqa: PLC0415 - looks through the whole system; only where a port is missing

    return [port.device for port in list_ports.comports()]


def _why(error: Exception) -> str:
    """What the system said, without pyserial's words around it."""
    cause = error.__context__ if isinstance(error, serial.SerialException) else None
    said = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(error)
    return " ".join(said.split())
