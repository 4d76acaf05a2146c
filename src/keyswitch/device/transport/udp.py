"""SMP over UDP, device side: one datagram, one packet; a peer is an address and port that was heard.

Rules:

* An address and port is no identity: anybody can use it. A peer that was forgotten and speaks again is another peer.
* Peers are few (`MAX_PEERS`), so that a flood of addresses costs nothing: for a new one, the one that was silent
  longest is forgotten, at the earliest `PLACE_MS` after it was heard. Who is in the middle of a conversation is not:
  then the new one is not heard.
* Who waits for an answer to a datagram is in a conversation, however long the flash takes; so is the owner of the
  session or upload.
* One address has at most `MAX_PEERS_OF_AN_ADDRESS` of the places, so that its ports alone keep no other address out.
* A peer that was silent for `SILENT_MS` is forgotten when somebody new comes, unless session or upload is its own.
* A datagram that cannot be sent is lost like any other.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from keyswitch.device.transport.ports import TransportSink
from keyswitch.errors import Field, InputError, LinkLostError
from keyswitch.gate.peer import Peer, Service
from keyswitch.smp.framing import udp
from keyswitch.terms import Transport

MAX_PEERS: Final = 16
MAX_PEERS_OF_AN_ADDRESS: Final = 12
"""More than any tool opens at once. The rest of the places is for other addresses: an operator and some who watch."""
SILENT_MS: Final = 60_000
CONVERSING_MS: Final = 5_000
"""Who has asked more than once, and was last heard or answered within this time (two waits of a client), converses."""
PLACE_MS: Final = 100
"""A place changes hands only when its peer was silent for this long: making and forgetting peers is what costs most
in a flood from ever new ports, and clients on other transports would pay for it."""
READ_MOST: Final = 65_536
"""Bytes to make room for when a datagram is read: none is larger. asyncio's own 256 KiB for each costs ten times the
time of reading a small one."""

Address = tuple[Any, ...]
"""As the socket gives it: host and port, and for IPv6 flow and scope."""


@dataclass(slots=True)
class _Heard:
    """One peer.

    Attributes:
        last_ms: when it was last heard or answered.
        again: it was heard more than once.
        unanswered: packets that it has sent and that no answer has followed yet.
    """

    peer: Peer
    address: Address
    last_ms: int
    again: bool = False
    unanswered: int = 0

    def may_go(self, now_ms: int) -> bool:
        """Whether forgetting it now would cut no conversation off, and is not too soon."""
        silent_ms = now_ms - self.last_ms
        return not self.unanswered and silent_ms >= PLACE_MS and not (self.again and silent_ms <= CONVERSING_MS)


class UdpTransport(asyncio.DatagramProtocol):
    """The carrier. The socket is bound once and outlives resets; what comes while the device is down is lost.

    Args:
        host: address to listen on.
        port: 0 lets the system choose.
        max_packet: largest SMP packet that is taken, in bytes.
    """

    def __init__(self, host: str, port: int, *, max_packet: int) -> None:
        self._host = host
        self._port = port
        self._receiver = udp.UdpReceiver(max_packet)
        self._socket: asyncio.DatagramTransport | None = None
        self._arrivals: TransportSink | None = None
        self._by_address: dict[Address, _Heard] = {}
        self._by_peer: dict[int, _Heard] = {}

    @property
    def name(self) -> str:
        """`HOST:PORT` as it was bound."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self._port}"

    async def bind(self) -> None:
        """Take the socket.

        Raises:
            InputError: address or port cannot be used.
        """
        loop = asyncio.get_running_loop()
        try:
            self._socket, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self._host, self._port))
        except OSError as error:
            raise InputError(
                Field("udp", self.name), error.strerror or str(error), "a free HOST:PORT of this machine"
            ) from error
        endpoint: Any = self._socket
        endpoint.max_size = READ_MOST
        self._port = self._socket.get_extra_info("sockname")[1]

    # --- the carrier's side ---

    async def start(self, arrivals: TransportSink) -> None:
        """Take datagrams from now on."""
        if self._socket is None:
            await self.bind()
        self._arrivals = arrivals

    async def close(self) -> None:
        """Give the socket back."""
        await self.power_lost()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def power_lost(self) -> None:
        """Forget every peer."""
        self._arrivals = None
        self._by_address.clear()
        self._by_peer.clear()

    def drop_partial(self) -> None:
        """Nothing is ever half received."""

    async def send(self, peer_id: int, door: Service, packet: bytes) -> None:
        """Send one datagram."""
        del door
        heard = self._by_peer.get(peer_id)
        if heard is None or self._socket is None or self._arrivals is None:
            raise LinkLostError("the peer was forgotten")
        heard.last_ms = self._arrivals.now_ms()
        heard.unanswered = max(0, heard.unanswered - 1)  # a packet of several requests has several answers
        self._socket.sendto(packet, heard.address)

    async def delivered(self, peer_id: int, within_ms: int) -> None:
        """A datagram that was sent is gone: nobody tells whether it arrived."""

    async def end(self, peer_id: int) -> None:
        """There is no connection that could be ended."""

    # --- the socket's side ---

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A datagram has come."""
        if self._arrivals is None:
            return
        now_ms = self._arrivals.now_ms()
        heard = self._by_address.get(addr)
        if heard is None:
            heard = self._meet(self._arrivals, addr, now_ms)
            if heard is None:
                return
        else:
            heard.last_ms, heard.again = now_ms, True
        received = self._receiver.receive(data, now_ms)
        heard.unanswered += len(received.packets)
        if received.packets or received.dropped:
            self._arrivals.received(heard.peer, received)

    def error_received(self, exc: Exception) -> None:
        """A peer has closed its socket (ICMP): it may open it again."""

    def _meet(self, arrivals: TransportSink, address: Address, now_ms: int) -> _Heard | None:
        for old in [each for each in self._by_address.values() if now_ms - each.last_ms > SILENT_MS]:
            if not arrivals.owns(old.peer.id):
                self._forget(arrivals, old)
        if not self._make_room(arrivals, address, now_ms):
            return None
        peer = Peer(id=arrivals.new_peer_id(), transport=Transport.UDP)
        heard = _Heard(peer, address, now_ms)
        self._by_address[address] = self._by_peer[peer.id] = heard
        arrivals.peer_came(peer)
        return heard

    def _make_room(self, arrivals: TransportSink, address: Address, now_ms: int) -> bool:
        """Whether there is a place for this address, which may be that of somebody idle from now on."""
        places = list(self._by_address.values())
        of_its_own = [each for each in places if each.address[0] == address[0]]
        if len(of_its_own) >= MAX_PEERS_OF_AN_ADDRESS:
            places = of_its_own  # its own idle ones make room, and nobody else
        elif len(places) < MAX_PEERS:
            return True
        idle = [each for each in places if each.may_go(now_ms) and not arrivals.owns(each.peer.id)]
        if not idle:
            return False
        self._forget(arrivals, min(idle, key=lambda each: each.last_ms))
        return True

    def _forget(self, arrivals: TransportSink, old: _Heard) -> None:
        del self._by_address[old.address]
        del self._by_peer[old.peer.id]
        arrivals.peer_went(old.peer.id)
