"""SMP over UDP, host side: one datagram, one packet.

Rules: the socket is connected, so that nobody else's datagrams are taken; a refused port (ICMP) is no end, because a
device that is being reset refuses for a moment; `send` never waits, because a datagram that the system cannot take is
a lost one like any other.
"""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from keyswitch.errors import LinkLostError
from keyswitch.link.local_advice import host_step
from keyswitch.link.ports import Sink
from keyswitch.smp.framing import udp

ETHERNET_MTU: Final = 1500
"""Also what Zephyr's server takes (`MCUMGR_TRANSPORT_UDP_MTU`)."""

IPV4_HEADERS: Final = 20 + 8
"""RFC 791 3.1 and RFC 768, without options."""

IPV6_HEADERS: Final = 40 + 8
"""RFC 8200 section 3, without extensions."""

IPV4_ROOM: Final = ETHERNET_MTU - IPV4_HEADERS
"""Payload of one datagram that Ethernet does not fragment."""

IP_MTU: Final = {socket.AF_INET: (socket.IPPROTO_IP, 14), socket.AF_INET6: (socket.IPPROTO_IPV6, 24)}
"""The socket option that tells the path's MTU (Linux in.h and in6.h); Python has no names for it."""

OPEN_WITHIN_S: Final = 5.0
"""For the name to be looked up."""

_log = logging.getLogger(__name__)


class UdpLink(asyncio.DatagramProtocol):
    """A `PacketLink` over a connected datagram socket. Make it with `UdpLink.open`."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._sink: Sink | None = None
        self._closed_sink: Callable[[str], None] | None = None
        self._closed: str | None = None
        self._room = IPV4_ROOM

    @classmethod
    async def open(cls, host: str, port: int) -> "UdpLink":
        """Look the host up and connect the socket; nothing is sent.

        Raises:
            LinkLostError: the host is not known or not routable.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                _, link = await loop.create_datagram_endpoint(cls, remote_addr=(host, port))
        except TimeoutError:
            line = f"udp:{host}: the name was not resolved within {OPEN_WITHIN_S:g} s"
            raise LinkLostError(line, next_step=host_step(None, resolved=False)) from None
        except OSError as error:
            step = host_step(error.errno, resolved=not isinstance(error, socket.gaierror))
            raise LinkLostError(f"udp:{host}:{port}: {error.strerror or error}", next_step=step) from error
        _log.info("socket to %s, port %d, is open", host, port)
        return link

    @property
    def max_packet(self) -> int | None:
        """What fits into a datagram that is not fragmented."""
        return self._room

    @property
    def framing_bytes(self) -> int:
        """A datagram is the packet."""
        return 0

    @property
    def closed(self) -> str | None:
        """Why the link has ended; a socket ends only when we close it."""
        return self._closed

    def on_packet(self, sink: Sink) -> None:
        """Hand each datagram to `sink`."""
        self._sink = sink

    def on_closed(self, sink: Callable[[str], None]) -> None:
        """Tell `sink` once when the link has ended."""
        self._closed_sink = sink

    async def send(self, packet: bytes) -> None:
        """Send one datagram."""
        if self._transport is None or self._closed is not None:
            raise LinkLostError(f"the link is gone: {self._closed}")
        self._transport.sendto(packet)

    async def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()
        self._end("closed by us")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast("asyncio.DatagramTransport", transport)
        self._room = _room(cast("socket.socket", transport.get_extra_info("socket")))

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        """A datagram of the device has come."""
        del addr
        if self._sink is not None:
            self._sink(data)

    def error_received(self, exc: Exception) -> None:
        """The port was refused or the net is unreachable for the moment: a lost datagram, no lost link."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._end(str(exc) if exc else "closed by us")

    def _end(self, why: str) -> None:
        self._closed = self._closed or why
        sink, self._closed_sink = self._closed_sink, None
        if sink is not None:
            sink(why)


def _room(connected: socket.socket) -> int:
    """Payload of one datagram that is not fragmented on the way to the peer, as far as the system knows that."""
    headers = IPV6_HEADERS if connected.family == socket.AF_INET6 else IPV4_HEADERS
    mtu = ETHERNET_MTU
    if sys.platform == "linux":
        with suppress(OSError):
            mtu = connected.getsockopt(*IP_MTU[connected.family])
    return min(mtu - headers, udp.MAX_DATAGRAM)
