"""HCI over TCP on loopback: other processes attach to the modelled air of this one.

Rules kept here:

* One controller for each accepted socket. At its end the controller is gone without a word, as when power fails: peers
  notice by their supervision timeout.
* Bytes that are no HCI end the socket. Nothing that a client sends can reach another's controller but over the air.
* A client that does not read is dropped once `UNREAD` bytes wait for it.
* Clients take turns, `PACKETS_A_TURN` packets each, one turn for each turn of the event loop: however much they send,
  the device's own radio, its other transports and its time limits wait for one turn of one client at most. Nothing more
  is read from a client whose packets wait.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from keyswitch.errors import InputError
from keyswitch.link.air.controller import AirController
from keyswitch.link.air.link import AirLink

UNREAD = 1 << 20
"""Six seconds of the fastest link there is."""
PACKETS_A_TURN = 16
"""At about 0.1 ms for a command and its answer, a turn takes 2 ms: less than any connection interval."""
_HEADERS = {0x01: (4, 3, 1), 0x02: (5, 3, 2)}
"""Commands and data, which hosts send: header size, offset and size of the length (Vol 4 Part A 2, Part E 5.4)."""


@dataclass(slots=True)
class HciParser:
    """Packets out of a stream, however it is cut."""

    _rest: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> None:
        """Bytes that follow those of before."""
        self._rest += data

    def take(self, most: int) -> list[bytes] | None:
        """The next whole packets, in order, at most so many; None if the stream is not HCI from a host."""
        packets: list[bytes] = []
        at = 0
        while at < len(self._rest) and len(packets) < most:
            layout = _HEADERS.get(self._rest[at])
            if layout is None:
                return None
            header, offset, size = layout
            if len(self._rest) < at + header:
                break
            end = at + header + int.from_bytes(self._rest[at + offset : at + offset + size], "little")
            if len(self._rest) < end:
                break
            packets.append(bytes(self._rest[at:end]))
            at = end
        del self._rest[:at]
        return packets


class _Attached(asyncio.Protocol):
    """One socket and its controller."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub
        self._parser = HciParser()
        self._transport: asyncio.Transport | None = None
        self._controller: AirController | None = None
        self._in_line = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            return
        self._transport = transport
        air = self._hub.air
        self._controller = AirController("hub", air, air.new_public_address())
        self._controller.set_packet_sink(self)
        self._hub.attached.add(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        if not self._in_line and self._transport is not None:
            self._in_line = True
            self._transport.pause_reading()
            self._hub.line_up(self)

    def take_turn(self) -> bool:
        """Carry out some of what was received; whether there may be more of it."""
        packets = self._parser.take(PACKETS_A_TURN)
        controller, transport = self._controller, self._transport
        if packets is None or controller is None or transport is None:
            self.close()
            return False
        for packet in packets:
            try:
                controller.on_packet(packet)
            except Exception:  # noqa: BLE001 - whatever Bumble's parser makes of bytes that are no HCI
                self.close()
                return False
        if len(packets) == PACKETS_A_TURN:
            return True
        self._in_line = False
        if not transport.is_closing():
            transport.resume_reading()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._hub.attached.discard(self)
        if self._controller is not None:
            self._hub.air.remove_controller(self._controller)
            self._controller = None

    def on_packet(self, packet: bytes) -> None:
        """A packet of the controller's, for the client."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > UNREAD:
            transport.abort()
            return
        transport.write(packet)

    def close(self) -> None:
        """End it; `connection_lost` follows."""
        if self._transport is not None:
            self._transport.abort()


class Hub:
    """The listening socket.

    Args:
        air: that clients attach to.
    """

    def __init__(self, air: AirLink) -> None:
        self.air = air
        self.attached: set[_Attached] = set()
        self._server: asyncio.Server | None = None
        self._port = 0
        self._turns: deque[_Attached] = deque()

    def line_up(self, attached: _Attached) -> None:
        """Give this client a turn after those who wait already. It must not be waiting itself."""
        self._turns.append(attached)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        attached = self._turns[0]
        more = attached.take_turn()
        self._turns.popleft()
        if more:
            self._turns.append(attached)
        if self._turns:
            asyncio.get_running_loop().call_soon(self._next_turn)

    @property
    def name(self) -> str:
        """The HCI transport by which other processes attach."""
        return f"tcp-client:127.0.0.1:{self._port}"

    async def start(self, port: int = 0) -> None:
        """Listen on loopback; 0: on any free port.

        Raises:
            InputError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Attached(self), "127.0.0.1", port)
        except OSError as error:
            raise InputError(f"port {port}", error.strerror or str(error), "a free TCP port, or 0 for any") from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop everybody."""
        if self._server is None:
            return
        self._server.close()
        for attached in list(self.attached):
            attached.close()
        await self._server.wait_closed()
        self._server = None
