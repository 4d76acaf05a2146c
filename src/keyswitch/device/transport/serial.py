"""SMP over a serial line, device side: base64 lines or bare packets, on a pseudo-terminal of our own or a real port.

Rules:

* A line has one peer for each life of the device: whoever is at its other end.
* Nothing is polled: the event loop is woken by the line. A line that takes no byte holds up its own peer alone.
* A peer that sends more than its buffers hold is made to wait: the line is not read until there is room again.
* A port that is unplugged is given back and told as lost; at each boot it is looked for again.
* Bytes that come while the device is down are lost, as they are with a real part.
"""

import asyncio
import contextlib
import os
import select
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import serial

from keyswitch.device.storage.store import Store
from keyswitch.device.transport.ports import TransportSink
from keyswitch.device.transport.pty import Pty, port_at
from keyswitch.errors import Field, InputError, LinkLostError
from keyswitch.gate.peer import Peer, Service
from keyswitch.smp.framing import Received, Receiver, console
from keyswitch.terms import Transport

BAUD: Final = 115_200
"""Of a real port; Zephyr's usual `current-speed`."""

GONE: Final = select.POLLHUP | select.POLLERR | select.POLLNVAL
"""What poll(2) says of a terminal that was hung up."""

READ_MOST: Final = 65_536
STUCK_MS: Final = 5_000
"""A line that takes no byte for this long has nobody at its end: the answer is lost, as on a real line."""


class SerialTransport:
    """The carrier. The line is opened once and outlives resets.

    Args:
        path: a real port if there is one; else a pseudo-terminal is made and linked there.
        receiver: of the line.
        pieces: cuts a packet into what goes over the line.
    """

    def __init__(
        self, path: Path, *, receiver: Receiver, pieces: Callable[[bytes], list[bytes]] = console.pieces
    ) -> None:
        self.path = path
        self._receiver = receiver
        self._pieces = pieces
        self._descriptor = -1
        self._line: serial.Serial | Pty | None = None
        self._unplugged = False
        self._arrivals: TransportSink | None = None
        self._peer: Peer | None = None
        self._held_back: deque[bytes] = deque()
        self._taken = asyncio.Event()
        """Set when the line takes bytes again, or never will: who writes waits for it."""

    async def open(self, notes: Store | None = None) -> None:
        """Open the line.

        Args:
            notes: where the device notes which link it has made.

        Raises:
            InputError: there is something at `path` that is no port, or the port cannot be opened.
        """
        if port_at(self.path, notes):
            try:
                port = serial.Serial(str(self.path), BAUD, timeout=0, exclusive=True)
            except (serial.SerialException, OSError) as error:
                raise InputError(
                    Field("serial", str(self.path)), str(error), "a port that no other program holds"
                ) from error
            self._line, self._descriptor = port, port.fileno()
        elif self._unplugged:
            raise InputError(Field("serial", str(self.path)), "the port is gone", "a port that is plugged in")
        else:
            terminal = Pty.make(self.path, notes)
            self._line, self._descriptor = terminal, terminal.descriptor
        os.set_blocking(self._descriptor, False)
        self._listen()

    # --- the carrier's side ---

    async def start(self, arrivals: TransportSink) -> None:
        """Take bytes from now on."""
        if self._descriptor < 0:
            try:
                await self.open()
            except InputError as error:
                if not self._unplugged:
                    raise
                arrivals.lost(Transport.SERIAL, LinkLostError(str(error)))
                return
        self._unplugged = False
        self._receiver.drop()
        self._arrivals = arrivals
        self._listen()

    async def close(self) -> None:
        """Give the line back; the link to a pseudo-terminal is removed."""
        await self.power_lost()
        self._give_back()

    def _give_back(self) -> None:
        if self._descriptor < 0:
            return
        self._stop_listening()
        asyncio.get_running_loop().remove_writer(self._descriptor)
        self._descriptor = -1
        self._taken.set()
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(OSError):
                line.close()

    async def power_lost(self) -> None:
        """Forget the peer and what was half received."""
        self._arrivals = None
        self._peer = None
        self._receiver.drop()
        self._held_back.clear()
        if self._descriptor >= 0:
            self._listen()  # what comes now is lost

    def drop_partial(self) -> None:
        """Forget what was half received; what was held back is answered and never executed."""
        self._receiver.drop()
        held_back = tuple(self._held_back)
        self._held_back.clear()
        if held_back and self._arrivals is not None and self._peer is not None:
            self._arrivals.dropped(self._peer, held_back)

    async def send(self, peer_id: int, door: Service, packet: bytes) -> None:
        """Write one packet's lines, at the pace of the line."""
        del door
        if self._peer is None or self._peer.id != peer_id:
            raise LinkLostError("the line has another peer now")
        await self._write(b"".join(self._pieces(packet)))

    async def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                raise LinkLostError(f"the line is gone: {error.strerror}") from error

    async def delivered(self, peer_id: int, within_ms: int) -> None:
        """A line does not tell."""

    async def end(self, peer_id: int) -> None:
        """A line has no connection that could be ended."""

    # --- the line's side ---

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, READ_MOST)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if data:
            self._take(data)
        elif self._hung_up():
            self._lose("the port is gone")

    def _hung_up(self) -> bool:
        """Whether nothing will ever come any more; a port that has nothing to read just now reads as empty, too."""
        asked = select.poll()
        asked.register(self._descriptor, select.POLLIN)
        return any(events & GONE for _, events in asked.poll(0))

    def _lose(self, why: str) -> None:
        """The port was unplugged: without giving it back, it would have another name when it is plugged in again."""
        arrivals, peer = self._arrivals, self._peer
        self._unplugged = True
        self._arrivals = self._peer = None
        self._receiver.drop()
        self._held_back.clear()
        self._give_back()
        if arrivals is None:
            return  # the device is down: it finds out when it comes up
        if peer is not None:
            arrivals.peer_went(peer.id)
        arrivals.lost(Transport.SERIAL, LinkLostError(f"serial {self.path}: {why}"))

    def _take(self, data: bytes) -> None:
        if self._arrivals is None:
            return
        if self._peer is None:
            self._peer = Peer(id=self._arrivals.new_peer_id(), transport=Transport.SERIAL)
            self._arrivals.peer_came(self._peer)
        received = self._receiver.receive(data, self._arrivals.now_ms())
        if received.dropped:
            self._arrivals.received(self._peer, Received(dropped=received.dropped))
        if received.packets:
            self._held_back.extend(received.packets)
            self._hand_over()

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._descriptor, self._readable)

    def _stop_listening(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)

    def _hand_over(self) -> None:
        """Give what was read to the device as far as it has room, and let the line wait for the rest."""
        if self._arrivals is None or self._peer is None:
            return
        while self._held_back and self._arrivals.room(self._peer.id):
            self._arrivals.received(self._peer, Received(packets=(self._held_back.popleft(),)))
        if self._held_back:
            self._stop_listening()
            self._arrivals.when_room(self._peer.id, self._hand_over)
        else:
            self._listen()

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        self._taken, descriptor = asyncio.Event(), self._descriptor
        loop.add_writer(descriptor, self._taken.set)
        try:
            async with asyncio.timeout(STUCK_MS / 1000):
                await self._taken.wait()
        except TimeoutError:
            raise LinkLostError("nobody reads the line") from None
        finally:
            if self._descriptor == descriptor:
                loop.remove_writer(descriptor)
        if self._descriptor != descriptor:
            raise LinkLostError("the line is gone: it was given back")
