"""SMP over a serial line, device side: base64 lines or bare packets, on a pseudo-terminal of our own or a real port.

Rules:

* A line has one peer for each life of the device: whoever is at its other end.
* Nothing is polled: the event loop is woken by the line. A line that takes no byte holds up its own peer alone.
* A peer that sends more than its buffers hold is made to wait: the line is not read until there is room again.
* Bytes that come while the device is down are lost, as they are with a real part.
"""

import asyncio
import contextlib
import os
import stat
import tty
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final

import serial

from keyswitch.device.doors import Arrivals
from keyswitch.errors import InputError, LinkLostError
from keyswitch.gate.peer import Door, Peer
from keyswitch.smp.framing import Received, Receiver, console
from keyswitch.terms import Transport

BAUD: Final = 115_200
"""Of a real port; Zephyr's usual `current-speed`."""

TERMINALS: Final = Path("/dev/pts")
"""A link that leads there is one of ours, left by a device that was killed (pts(4))."""

READ_MOST: Final = 65_536
STUCK_MS: Final = 5_000
"""A line that takes no byte for this long has nobody at its end: the answer is lost, as on a real line."""


class SerialCarrier:
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
        self._other_end = -1
        self._port: serial.Serial | None = None
        self._arrivals: Arrivals | None = None
        self._peer: Peer | None = None
        self._held_back: deque[bytes] = deque()

    async def open(self) -> None:
        """Open the line.

        Raises:
            InputError: there is something at `path` that is no port, or the port cannot be opened.
        """
        if self._is_port():
            try:
                self._port = serial.Serial(str(self.path), BAUD, timeout=0, exclusive=True)
            except (serial.SerialException, OSError) as error:
                raise InputError(f"--serial {self.path}", str(error), "a port that no other program holds") from error
            self._descriptor = self._port.fileno()
        else:
            self._make_terminal()
        os.set_blocking(self._descriptor, False)
        self._listen()

    # --- the carrier's side ---

    async def start(self, arrivals: Arrivals) -> None:
        """Take bytes from now on."""
        if self._descriptor < 0:
            await self.open()
        self._receiver.drop()
        self._arrivals = arrivals
        self._listen()

    async def close(self) -> None:
        """Give the line back; the link to a pseudo-terminal is removed."""
        await self.power_lost()
        if self._descriptor < 0:
            return
        self._stop_listening()
        asyncio.get_running_loop().remove_writer(self._descriptor)
        if self._port is not None:
            self._port.close()
        else:
            os.close(self._descriptor)
            os.close(self._other_end)
            with contextlib.suppress(OSError):
                self.path.unlink()
        self._descriptor = -1

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

    async def send(self, peer_id: int, door: Door, packet: bytes) -> None:
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

    async def end(self, peer_id: int, *, after_delivery: bool) -> None:
        """A line has no connection that could be ended."""

    # --- the line's side ---

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, READ_MOST)
        except BlockingIOError:
            return
        except OSError:
            self._stop_listening()  # unplugged
            return
        if data:
            self._take(data)

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
        taken = asyncio.Event()
        loop.add_writer(self._descriptor, taken.set)
        try:
            async with asyncio.timeout(STUCK_MS / 1000):
                await taken.wait()
        except TimeoutError:
            raise LinkLostError("nobody reads the line") from None
        finally:
            loop.remove_writer(self._descriptor)

    def _is_port(self) -> bool:
        try:
            mode = self.path.stat().st_mode
        except FileNotFoundError:
            self.path.unlink(missing_ok=True)  # the link of a device that was killed
            return False
        except OSError as error:
            raise InputError(f"--serial {self.path}", error.strerror or "cannot be used", "a path") from error
        if not stat.S_ISCHR(mode):
            raise InputError(f"--serial {self.path}", "there is something that is no port", "a port, or a free path")
        return not (self.path.is_symlink() and self.path.readlink().is_relative_to(TERMINALS))

    def _make_terminal(self) -> None:
        self._descriptor, self._other_end = os.openpty()
        tty.setraw(self._other_end)
        try:
            self.path.unlink(missing_ok=True)
            self.path.symlink_to(os.ttyname(self._other_end))
        except OSError as error:
            os.close(self._descriptor)
            os.close(self._other_end)
            self._descriptor = -1
            raise InputError(
                f"--serial {self.path}", error.strerror or "cannot be made", "a path for a link"
            ) from error
