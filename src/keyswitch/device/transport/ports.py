"""The ways to a device: what each transport tells the device, what the device asks of it, and who stands between.

Rules that every transport keeps:

* A peer has an id that `TransportSink.new_peer_id` gave and that is never used again; a reconnect is another peer.
* Each peer has receivers of its own; nothing is shared.
* `send` waits for the link (back-pressure), so that a peer that does not read slows nobody but itself.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from keyswitch.device.events import LiveEvent
from keyswitch.device.server.output import Output
from keyswitch.device.server.server import Server
from keyswitch.gate.peer import Peer, Service
from keyswitch.smp.framing import Received
from keyswitch.terms import Transport


class TransportSink(Protocol):
    """What a transport tells the device (`device.transport.peers.Peers`); called from the event loop, never blocks."""

    def new_peer_id(self) -> int:
        """A number for a new peer."""
        ...

    def now_ms(self) -> int:
        """The device's time, for receivers that give half packets up."""
        ...

    def peer_came(self, peer: Peer) -> None:
        """A peer is there, or its security has changed."""
        ...

    def peer_went(self, peer_id: int) -> None:
        """A peer has gone."""
        ...

    def may_access_smp(self, peer_id: int) -> bool:
        """Whether the gate lets this peer access the SMP service now; a peer that is not known may not."""
        ...

    def received(self, peer: Peer, received: Received) -> None:
        """Packets, or what became none, from a peer."""
        ...

    def dropped(self, peer: Peer, packets: Iterable[bytes]) -> None:
        """Packets that were held back and will not be executed any more: they are answered all the same."""
        ...

    def broken(self, error: BaseException) -> None:
        """The transport works no longer; the device fails with this error."""
        ...

    def lost(self, transport: Transport, error: BaseException) -> None:
        """The transport is gone, its peers have been told of already; the device goes on with the others."""
        ...

    def room(self, peer_id: int) -> int:
        """How many packets this peer may send now; a carrier whose link can wait makes it wait at 0."""
        ...

    def owns(self, peer_id: int) -> bool:
        """Whether the session or the running upload is this peer's: forgetting it would leave them to nobody."""
        ...

    def when_room(self, peer_id: int, then: Callable[[], None]) -> None:
        """Call `then` once this peer may send again, or has gone; one call for each peer, the last one asked for."""
        ...


class DeviceTransport(Protocol):
    """One transport of the device."""

    async def start(self, arrivals: TransportSink) -> None:
        """Begin to listen.

        Raises:
            InputError: what was asked for cannot be opened.
            LinkLostError: there is no radio.
        """
        ...

    async def close(self) -> None:
        """Stop for good and give everything back."""
        ...

    async def power_lost(self) -> None:
        """Forget every peer, as when the power goes: nobody is told; `start` begins anew."""
        ...

    def drop_partial(self) -> None:
        """Forget every half-received packet, and every whole one that was held back."""
        ...

    async def send(self, peer_id: int, door: Service, packet: bytes) -> None:
        """Send one answer. Raises `LinkLostError` when the peer has gone or cannot be answered."""
        ...

    async def delivered(self, peer_id: int, within_ms: int) -> None:
        """Wait until what was sent has arrived, at most that long; not at all where the transport cannot tell."""
        ...

    async def end(self, peer_id: int) -> None:
        """End the peer's connection (bounded), if the transport has connections."""
        ...


class RuntimePort(Protocol):
    """What the peers ask of the device that they come to (`device.runtime.runtime.Runtime`)."""

    @property
    def server(self) -> Server:
        """What decides."""
        ...

    def now_ms(self) -> int:
        """The device's time in milliseconds."""
        ...

    def ask(self, call: Callable[[], Output]) -> Output:
        """Tell the server something; if it fails at it, the device stops."""
        ...

    def take(self, output: Output) -> None:
        """Carry this out after all that came before."""
        ...

    def wake(self) -> None:
        """There may be something to execute."""
        ...

    def report(self, event: LiveEvent) -> None:
        """Say what has happened."""
        ...

    def broken(self, error: BaseException) -> None:
        """The device stops with this error."""
        ...

    def lost(self, transport: Transport, error: BaseException) -> None:
        """One transport is gone; the device stops if it was the last."""
        ...
