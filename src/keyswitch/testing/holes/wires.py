"""The ways to a device in this process: whole packets in memory, framed as on the real transports, without a radio.

Over `ble` each connection has both services, and the SMP service can be written to in every mode, as by a client with
stale handles: whoever hides a service is audited for what is behind it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from keyswitch.device.server.components import Components, receiver_for
from keyswitch.device.transport.ports import TransportSink
from keyswitch.errors import LinkLostError
from keyswitch.gate.peer import Peer, Service
from keyswitch.host.connect.endpoint import Connection, DeviceIdentity
from keyswitch.host.smp.client import SmpClient
from keyswitch.smp.framing import Receiver, console
from keyswitch.terms import Security, Transport

DELAY_S: Final = 0.002
"""Each way; in virtual time."""


class Wire:
    """The device's end: a `DeviceTransport` whose peers are made by `open`.

    Args:
        transport: what the device takes it for.
        max_packet: largest packet in bytes.
        security: of every link.
        lost: whether a packet is lost; asked for each one.
        parts: whose receivers take packets in.
        delay_s: each way; in virtual time.
    """

    def __init__(
        self,
        transport: Transport,
        max_packet: int,
        *,
        security: Security = Security.NONE,
        lost: Callable[[], bool] = lambda: False,
        parts: Components | None = None,
        delay_s: float = DELAY_S,
    ) -> None:
        self.transport = transport
        self.lost = lost
        self.delay_s = delay_s
        self._make: Callable[[Transport, int], Receiver] = parts.receiver if parts is not None else receiver_for
        self._max_packet = max_packet
        self._security = security
        self._arrivals: TransportSink | None = None
        self._peers: dict[int, _End] = {}

    async def start(self, arrivals: TransportSink) -> None:
        """Power is there."""
        self._arrivals = arrivals

    async def close(self) -> None:
        """Nobody is reachable any more."""
        await self.power_lost()

    async def power_lost(self) -> None:
        """Everybody is gone; over a line without connections nobody notices."""
        ends, self._peers = list(self._peers.values()), {}
        self._arrivals = None
        for end in ends:
            end.peer = None
            if self.transport is Transport.BLE:
                end.end("the device is gone")

    def drop_partial(self) -> None:
        """Forget what was half received."""
        for end in self._peers.values():
            for receiver in end.receivers.values():
                receiver.drop()

    async def send(self, peer_id: int, door: Service, packet: bytes) -> None:
        """An answer."""
        end = self._peers.get(peer_id)
        if end is None:
            raise LinkLostError("the peer has gone")
        if not self.lost():
            asyncio.get_running_loop().call_later(self.delay_s, end.links[door].receive, packet)

    async def delivered(self, peer_id: int, within_ms: int) -> None:
        """Wait as long as a packet takes, where there are connections."""
        del peer_id, within_ms
        if self.transport is Transport.BLE:
            await asyncio.sleep(2 * self.delay_s)

    async def end(self, peer_id: int) -> None:
        """End a connection, where there are connections."""
        if self.transport is not Transport.BLE:
            return
        end = self._peers.get(peer_id)
        if end is not None:
            self.gone(end)
            end.end("the device ended the connection")

    # --- the host's side ---

    def open(self) -> "_End":
        """One more peer; over datagrams and lines the device meets it with its first packet."""
        receivers = {door: self._make(self.transport, self._max_packet) for door in Service}
        return _End(self, receivers)

    def meet(self, end: "_End") -> Peer | None:
        """The peer behind this end, for the device as it runs now; None while it does not run."""
        if self._arrivals is None:
            return None
        if end.peer is None:
            end.peer = Peer(id=self._arrivals.new_peer_id(), transport=self.transport, security=self._security)
            self._peers[end.peer.id] = end
            self._arrivals.peer_came(end.peer)
        return end.peer

    def gone(self, end: "_End") -> None:
        """The host has ended the connection, or the device has."""
        if end.peer is None:
            return
        self._peers.pop(end.peer.id, None)
        if self._arrivals is not None:
            self._arrivals.peer_went(end.peer.id)
        end.peer = None

    def arrive(self, end: "_End", door: Service, data: bytes) -> None:
        """Bytes from a host."""
        if (self.transport is Transport.BLE and end.why is not None) or self.lost():
            return
        peer = self.meet(end)
        if peer is None or self._arrivals is None:
            return
        received = end.receivers[door].receive(data, self._arrivals.now_ms())
        if received.packets or received.dropped:
            at_door = Peer(id=peer.id, transport=peer.transport, security=peer.security, door=door)
            self._arrivals.received(at_door, received)


class _End:
    """The host's end of one connection."""

    def __init__(self, wire: Wire, receivers: dict[Service, Receiver]) -> None:
        self.wire = wire
        self.receivers = receivers
        self.peer: Peer | None = None
        self.why: str | None = None
        self.ended = asyncio.Event()
        self.links = {door: MemoryLink(self, door) for door in Service}

    def end(self, why: str) -> None:
        if self.why is None:
            self.why = why
            self.ended.set()
            for link in self.links.values():
                link.tell_closed(why)


class MemoryLink:
    """A `PacketLink` in memory."""

    max_packet: int | None = None
    framing_bytes = 0

    def __init__(self, end: _End, door: Service) -> None:
        self._end = end
        self._door = door
        self._sink: Callable[[bytes], None] | None = None
        self._closed_sink: Callable[[str], None] | None = None

    @property
    def closed(self) -> str | None:
        """Why the connection has ended."""
        return self._end.why

    def on_packet(self, sink: Callable[[bytes], None]) -> None:
        """Hand packets to `sink`."""
        self._sink = sink

    def on_closed(self, sink: Callable[[str], None]) -> None:
        """Tell `sink` when the connection has ended."""
        self._closed_sink = sink

    def tell_closed(self, why: str) -> None:
        """The connection has ended."""
        if self._closed_sink is not None:
            self._closed_sink(why)

    async def send(self, packet: bytes) -> None:
        """Send one packet, or the pieces of one."""
        if self._end.why is not None:
            raise LinkLostError(f"the link is gone: {self._end.why}")
        serial = self._end.wire.transport is Transport.SERIAL
        data = b"".join(console.pieces(packet)) if serial else packet
        await asyncio.sleep(self._end.wire.delay_s)
        self._end.wire.arrive(self._end, self._door, data)

    async def send_piece(self, data: bytes) -> None:
        """Send bytes as they are."""
        await asyncio.sleep(self._end.wire.delay_s)
        self._end.wire.arrive(self._end, self._door, data)

    def receive(self, packet: bytes) -> None:
        """A packet of the device's."""
        if self._sink is not None and self._end.why is None:
            self._sink(packet)

    async def close(self) -> None:
        """End the connection."""
        self._end.wire.gone(self._end)
        self._end.end("closed by us")


class WireEndpoint:
    """An `Endpoint` for a device in this process.

    Args:
        name: of the target.
        wire: the way to it.
    """

    def __init__(self, name: str, wire: Wire) -> None:
        self.target = f"{wire.transport.value} in memory: {name}"
        self.known_by = name
        self.radio = wire.transport is Transport.BLE
        self.pair = False
        self._wire = wire

    async def connect(self, *, timeout_ms: int = 10_000, smp_shown: bool = False, ours: bool = False) -> Connection:
        """One more peer."""
        del timeout_ms, smp_shown, ours
        end = self._wire.open()
        if self._wire.transport is Transport.BLE and self._wire.meet(end) is None:
            raise LinkLostError("the device does not run")
        smp = SmpClient(end.links[Service.SMP])
        apart = self._wire.transport is Transport.BLE
        control = SmpClient(end.links[Service.MODE]) if apart else smp

        async def wait_closed(timeout_ms: int) -> str | None:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_ms / 1000):
                    await end.ended.wait()
            return end.why

        return Connection(
            smp=smp,
            mode=control,
            close=end.links[Service.SMP].close,
            closed=lambda: end.why,
            wait_closed=wait_closed,
            announced_end=apart,
        )

    def learn(self, *, token: bytes = b"", address: str | None = None) -> None:
        """The wire leads to one device."""

    def visit(self, identity: DeviceIdentity) -> None:
        """The device has one identity."""

    async def connect_elsewhere(self) -> Connection | None:
        """Never: there is one device on the wire."""
        return None

    def go_home(self) -> None:
        """Nothing was left."""

    async def close(self) -> None:
        """Nothing is held."""
