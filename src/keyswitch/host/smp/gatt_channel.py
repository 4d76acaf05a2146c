"""SMP packets over one GATT characteristic: written in pieces, answered in notifications.

Rules:

* A packet's pieces are never mixed with another packet's, and never left half sent: a packet that could not be sent
  whole ends the link, because the server would take the next one for its rest (Zephyr keeps a half packet for ever).
* Subscribing is a Request. It is what tells that a table has changed or that security is missing, while commands to a
  stale handle vanish in silence; so `heal` subscribes again and lets the error speak.
* What was half received is forgotten with the connection: a channel lives exactly as long as its link.
"""

import asyncio
from collections.abc import Awaitable, Callable

from keyswitch.errors import LinkLostError, RemoteError
from keyswitch.link.ports import GattLink, GattRefused, Sink
from keyswitch.smp.framing import ble
from keyswitch.smp.header import HEADER_SIZE, MAX_PAYLOAD

WATCH_MS = 3_600_000
"""How long one wait for the link's end takes before it is begun again."""


class GattChannel:
    """A `PacketLink` over a connected `GattLink`. Make it with `GattChannel.open`."""

    def __init__(self, link: GattLink, service: str, characteristic: str) -> None:
        self._link = link
        self._service = service
        self._characteristic = characteristic
        self._receiver = ble.BleReceiver(HEADER_SIZE + MAX_PAYLOAD)
        self._sink: Sink | None = None
        self._closed_sink: Callable[[str], None] | None = None
        self._sending = asyncio.Lock()
        self._torn: str | None = None
        self._watch = asyncio.get_running_loop().create_task(self._watch_link(), name=f"watch {link.address}")

    @classmethod
    async def open(cls, link: GattLink, service: str, characteristic: str) -> "GattChannel":
        """Subscribe and return the channel.

        Raises:
            LinkLostError: the link is gone or did not answer in time.
            RemoteError: the peer refused the subscription, or has no such characteristic.
        """
        channel = cls(link, service, characteristic)
        try:
            await channel.heal()
        except BaseException:
            channel._watch.cancel()
            raise
        return channel

    @property
    def max_packet(self) -> int | None:
        """None: a packet takes as many writes as it needs."""
        return None

    @property
    def framing_bytes(self) -> int:
        """None of it reaches the peer's buffers: pieces have no header."""
        return 0

    @property
    def closed(self) -> str | None:
        """Why the link has ended, or None while it is up."""
        return self._torn or self._link.closed

    def on_packet(self, sink: Sink) -> None:
        """Hand each whole packet to `sink`."""
        self._sink = sink

    def on_closed(self, sink: Callable[[str], None]) -> None:
        """Tell `sink` once when the link has ended."""
        self._closed_sink = sink

    async def heal(self) -> None:
        """Subscribe (again): the Request that makes a change-unaware or forgotten client heard again.

        Raises:
            LinkLostError: the link is gone or did not answer in time.
            RemoteError: the peer refused, which says why it was silent.
        """
        await self._link.subscribe(self._service, self._characteristic, self._received)

    async def send(self, packet: bytes) -> None:
        """Write one packet; returns when the link has taken its last piece."""
        async with self._sending:
            if self.closed is not None:
                raise LinkLostError(f"the link is gone: {self.closed}")
            pieces = ble.pieces(packet, min(self._link.max_write, ble.MAX_VALUE))
            begun = False
            try:
                for piece in pieces:
                    await self._link.write(self._service, self._characteristic, piece)
                    begun = True
            except BaseException:
                if begun and len(pieces) > 1:
                    self._torn = "a packet was left half sent"
                    self._end(self._torn)
                raise

    async def close(self) -> None:
        """End the connection."""
        self._watch.cancel()
        await self._link.close()
        self._end(self._link.closed or "closed by us")

    def _received(self, value: bytes) -> None:
        now_ms = round(asyncio.get_running_loop().time() * 1000)
        for packet in self._receiver.receive(value, now_ms).packets:
            if self._sink is not None:
                self._sink(packet)

    async def _watch_link(self) -> None:
        while (why := await self._link.wait_closed(WATCH_MS)) is None:
            pass
        self._end(why)

    def _end(self, why: str) -> None:
        sink, self._closed_sink = self._closed_sink, None
        if sink is not None:
            sink(why)


async def resubscribe(heal: Callable[[], Awaitable[None]]) -> None:
    """Heal a link that has fallen silent in the middle of something.

    What the peer refuses then is no fault of it: its service has gone, lies elsewhere in its table, or is closed to us.
    This link is of no use any more, and the next one shows what is there. Only missing security is the same over every
    link.

    Raises:
        LinkLostError: a new link is needed.
        GattRefused: security is missing.
    """
    try:
        await heal()
    except RemoteError as error:
        if isinstance(error, GattRefused) and error.wants_security:
            raise
        shut = isinstance(error, GattRefused) and error.not_authorized
        became = "refuses its service to us" if shut else "its service has gone"
        raise LinkLostError(f"the device is silent, and {became}: {error}") from error
