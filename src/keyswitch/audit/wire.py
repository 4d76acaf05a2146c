"""One connection to the device under audit: what is sent is what the check says, byte by byte, and all of it is kept.

Rules:

* An attempt is a packet of any shape: reserved operations and versions too, which a client would never send.
* What comes back is told by its sequence number; the ordinary client goes on over the same link.
* Silence over a line that keeps its order is told from a lost packet by a question behind it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from keyswitch.errors import LinkLostError, RemoteError, SilenceError
from keyswitch.host.connect.endpoint import Connection
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer, Refusal, Reply, classify
from keyswitch.link.ports import HandleLink, PacketLink, Sink
from keyswitch.reasons import Reason
from keyswitch.smp import cbor
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import COMMANDS, CommandKey, command_name
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode
from keyswitch.smp.header import HEADER_SIZE, Header, Op, SmpVersion
from keyswitch.terms import Transport

ANSWER_MS: Final = 1_500
"""How long an attempt waits for its answer: six connection events of the slowest usual link, and some flash."""

FIRST_SEQUENCE: Final = 255
"""Attempts count down from here, the client counts up from 0; neither comes near the other on one connection."""

MAX_KEPT: Final = 400
"""Packets of one connection that are kept for the report: the last ones."""

_ORDERED: Final = frozenset({Transport.BLE, Transport.SERIAL})
"""What loses nothing without losing the link. A datagram may be lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One packet that has to have no effect.

    Attributes:
        check: id of the check.
        key: the command whose place in the table it is.
        words: what it is, for people: `erase slot 1`.
        payload: encoded body.
        op: operation in the header; the command's own unless something else is to be tried.
        version: version in the header.
        before: packets in front of it in the same write.
        answer_only: what the command gives is its answer alone, so that a refusal is proof enough.
    """

    check: str
    key: CommandKey
    words: str
    payload: bytes = b"\xa0"
    op: int | None = None
    version: int = SmpVersion.V2
    before: bytes = b""
    answer_only: bool = False

    def packet(self, sequence: int) -> bytes:
        """As it is sent."""
        header = Header(
            op=self.key.op if self.op is None else self.op,
            version=self.version,
            length=len(self.payload),
            group=self.key.group,
            sequence=sequence,
            command=self.key.id,
        )
        return self.before + header.encode() + self.payload


def attempt(check: str, key: CommandKey, words: str, body: Mapping[str, object] | None = None) -> Attempt:
    """An attempt with a body, otherwise as a client sends it."""
    return Attempt(check=check, key=key, words=words, payload=cbor.dumps(body or {}))


def key_name(key: CommandKey) -> str:
    """A command with its direction, as policies write it."""
    known = COMMANDS.get((key.group, key.id))
    name = command_name(key.group, key.id)
    if known is None or len(known.ops) == 1:
        return name
    return f"{name}:{'read' if key.op == Op.READ else 'write'}"


class Told(Enum):
    """What an answer says of the gate. Only `SERVED` and `HANDLED` show something that was done."""

    SERVED = "carried out"
    """A result, or success without one."""
    HANDLED = "answered by the command itself"
    """An error that the command's own handler gives, so that nothing stood before it."""
    REFUSED = "refused"
    SILENT = "not answered"
    LOST = "the link ended"
    NO_WAY = "cannot be sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of an attempt.

    Attributes:
        told: what it says of the gate.
        words: the answer in words.
        delivered: whether it is known that the packet arrived.
        exchange: the packets.
        gave: keys of a result.
        reason: why it was refused, where the device says so in words of ours.
    """

    told: Told
    words: str
    delivered: bool = False
    exchange: tuple[str, ...] = ()
    gave: frozenset[str] = frozenset()
    reason: Reason | None = None


class WithheldError(LinkLostError):
    """A packet was made and not sent, as it was asked for."""


class KeptLink:
    """A packet link that keeps what passes, and lets one packet in between be answered beside the client."""

    def __init__(self, inner: PacketLink) -> None:
        self._inner = inner
        self._sink: Sink | None = None
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self.kept = deque[str](maxlen=MAX_KEPT)
        self.passed = 0
        """How many packets have passed; for `since`."""
        self.withhold: CommandKey | None = None
        """A request that is to be made and not sent; then it is in `withheld`."""
        self.withheld = b""
        inner.on_packet(self._received)

    @property
    def max_packet(self) -> int | None:
        """As the link below."""
        return self._inner.max_packet

    @property
    def framing_bytes(self) -> int:
        """As the link below."""
        return self._inner.framing_bytes

    @property
    def closed(self) -> str | None:
        """As the link below."""
        return self._inner.closed

    def on_packet(self, sink: Sink) -> None:
        """The client's."""
        self._sink = sink

    def on_closed(self, sink: Callable[[str], None]) -> None:
        """The client's."""
        self._inner.on_closed(sink)

    async def send(self, packet: bytes) -> None:
        """Send, and keep.

        Raises:
            WithheldError: this is what was to be withheld.
        """
        header = Header.decode(packet)
        if self.withhold == (header.group, header.command, header.op):
            self.withheld = packet
            raise WithheldError("made, and not sent")
        self._keep(">", packet)
        await self._inner.send(packet)

    async def close(self) -> None:
        """End the link."""
        await self._inner.close()

    def since(self, passed: int) -> tuple[str, ...]:
        """The packets since that many had passed, as far as they are kept."""
        newer = self.passed - passed
        return tuple(self.kept)[-newer:] if newer else ()

    def expect(self, sequence: int) -> "asyncio.Future[bytes]":
        """The answer to the packet with this number."""
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = future
        return future

    def forget(self, sequence: int) -> None:
        """Nobody waits for it any more."""
        self._waiting.pop(sequence, None)

    def _received(self, packet: bytes) -> None:
        self._keep("<", packet)
        sequence = packet[6] if len(packet) >= HEADER_SIZE else -1
        waiting = self._waiting.pop(sequence, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(packet)
        elif self._sink is not None:
            self._sink(packet)

    def _keep(self, arrow: str, packet: bytes) -> None:
        self.passed += 1
        self.kept.append(f"{arrow} {packet.hex()}")


class HandleWriter:
    """A packet link that writes to the handle of the SMP characteristic, as a client with an old table does.

    Nothing is ever heard over it: whoever uses it has no subscription.
    """

    max_packet: int | None = None
    framing_bytes = 0

    def __init__(self, gatt: HandleLink, handle: int) -> None:
        self._gatt = gatt
        self._handle = handle

    @property
    def closed(self) -> str | None:
        """Why the connection has ended."""
        return self._gatt.closed

    def on_packet(self, sink: Sink) -> None:
        """Nothing comes."""

    def on_closed(self, sink: Callable[[str], None]) -> None:
        """The other links of the connection tell."""

    async def send(self, packet: bytes) -> None:
        """Write one packet in its pieces."""
        if self.closed is not None:
            raise LinkLostError(f"the link is gone: {self.closed}")
        for piece in ble.pieces(packet, min(self._gatt.max_write, ble.MAX_VALUE)):
            await self._gatt.write_handle(self._handle, piece)

    async def close(self) -> None:
        """End the connection."""
        await self._gatt.close()


class Visit:
    """One connection of ours, and what can be tried over it.

    Attributes:
        transport: by which the device was reached.
        connection: for whatever works with an ordinary client.
    """

    def __init__(self, transport: Transport, opened: Connection) -> None:
        self.transport = transport
        self._opened = opened
        self._sequence = FIRST_SEQUENCE
        self._links: dict[bool, KeptLink] = {}
        clients: dict[bool, SmpClient] = {}
        for control, client in ((False, opened.smp), (True, opened.mode)):
            if client is None:
                continue
            if control and client is opened.smp:
                self._links[control], clients[control] = self._links[False], clients[False]
                continue
            clients[control] = self._kept_by(client, control=control)
        self.connection = Connection(
            smp=clients.get(False),
            mode=clients.get(True),
            close=opened.close,
            closed=lambda: opened.closed,
            wait_closed=opened.wait_closed,
            heal=opened.heal,
            gatt=opened.gatt,
            token=opened.token,
            trouble=opened.trouble,
            announced_end=opened.announced_end,
        )

    def _kept_by(self, client: SmpClient, *, control: bool) -> SmpClient:
        self._links[control] = KeptLink(client.link)
        return SmpClient(self._links[control])

    @property
    def table(self) -> HandleLink | None:
        """The connection with its handles; None where the way has none, or does not tell them."""
        gatt = self._opened.gatt
        return gatt if isinstance(gatt, HandleLink) else None

    @property
    def shows_smp(self) -> bool:
        """Whether the SMP service is in the table that was found last."""
        gatt = self._opened.gatt
        return gatt is not None and ble.SERVICE_UUID in gatt.services

    @property
    def smp_handle(self) -> int | None:
        """Where the SMP characteristic lies in this connection's table; None where it is not shown, or not told."""
        table = self.table
        if table is None or not self.shows_smp:
            return None
        try:
            return table.handle_of(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID)
        except RemoteError:
            return None  # the service is there, and has not what it is there for

    def use_handle(self, handle: int) -> None:
        """Try firmware commands at this handle, where no subscription was to be had.

        That is: where the service is in the table and refuses it, or where it is hidden and nothing lies at the handle
        of an earlier table.
        """
        table = self.table
        if table is None or self._opened.smp is not None:
            return
        if self.smp_handle == handle or table.is_free(handle):
            self._links[False] = KeptLink(HandleWriter(table, handle))

    async def open_smp(self) -> bool:
        """Ask again for firmware commands that were refused when the connection was made; whether they are there now.

        Raises:
            LinkLostError: the link is gone or did not answer in time.
        """
        if self.connection.smp is None and await self._opened.open_smp():
            client = self._opened.smp
            assert client is not None  # noqa: S101 - it has just been opened
            self.connection.smp, self.connection.heal = self._kept_by(client, control=False), self._opened.heal
        return self.connection.smp is not None

    @property
    def smp(self) -> SmpClient | None:
        """For firmware commands; None where the device shows no service for them."""
        return self.connection.smp

    @property
    def mode(self) -> SmpClient | None:
        """For the mode group; None where the device has none."""
        return self.connection.mode

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self.connection.closed is not None

    @property
    def control_apart(self) -> bool:
        """Whether the mode group has a service of its own."""
        return False in self._links and True in self._links and self._links[False] is not self._links[True]

    async def close(self) -> None:
        """End the connection."""
        await self.connection.close()

    def link(self, *, control: bool = False) -> KeptLink | None:
        """The link of the SMP service, or of the mode service."""
        return self._links.get(control)

    @property
    def kept(self) -> tuple[str, ...]:
        """The packets of this connection, those of each service in order."""
        links = dict.fromkeys(self._links.values())
        return tuple(line for link in links for line in link.kept)

    def next_sequence(self) -> int:
        """A number for a packet that is sent beside the client."""
        sequence, self._sequence = self._sequence, (self._sequence - 1) & 0xFF
        return sequence

    async def try_out(self, what: Attempt, *, control: bool = False, answer_ms: int = ANSWER_MS) -> Outcome:
        """Send one attempt, and see what comes back.

        Args:
            what: the attempt.
            control: over the mode service instead of the SMP service.
            answer_ms: how long to wait for its answer.
        """
        link = self.link(control=control)
        if link is None:
            return Outcome(told=Told.NO_WAY, words="the service is not in the device's table in this mode")
        first = link.passed
        sequence = self.next_sequence()
        answer = link.expect(sequence)
        try:
            async with asyncio.timeout(answer_ms / 1000):
                await link.send(what.packet(sequence))
                packet = await answer
        except TimeoutError:
            delivered = await self._still_heard(link)
            words = "no answer, though a question behind it was answered" if delivered else "no answer"
            exchange = link.since(first)
            if self.closed:
                return Outcome(told=Told.LOST, words="the link ended", exchange=exchange)
            return Outcome(told=Told.SILENT, words=words, delivered=delivered, exchange=exchange)
        except (LinkLostError, SilenceError) as error:
            return Outcome(told=Told.LOST, words=str(error), exchange=link.since(first))
        finally:
            link.forget(sequence)
        return replace(judged(what, packet), exchange=link.since(first))

    async def _still_heard(self, link: KeptLink) -> bool:
        """Whether a question behind a silent packet is answered, on a line that keeps its order."""
        if self.transport not in _ORDERED or link.closed is not None:
            return False
        client = self.mode if self.smp is None or link is self._links.get(True) else self.smp
        if client is None:
            return False
        try:
            await client.read(mode.ID, mode.Id.STATE, timeout_ms=ANSWER_MS)
        except (SilenceError, LinkLostError):
            return False
        except RemoteError:
            return True
        return True


_DOORS_OWN: Final = frozenset(
    {
        *(Rc.EACCESSDENIED, Rc.EBUSY, Rc.ENOTSUP, Rc.UNSUPPORTED_TOO_NEW, Rc.UNSUPPORTED_TOO_OLD, Rc.ECORRUPT),
        *(Rc.ENOMEM, Rc.EMSGSIZE),
    }
)
"""What is said by whoever stands before the handlers, or has no buffer; every other code is a handler's."""


def judged(what: Attempt, packet: bytes) -> Outcome:
    """What an answer says of the gate."""
    try:
        header = Header.decode(packet)
        reply: Reply = classify(cbor.loads_map(packet[HEADER_SIZE:]), version=header.version)
    except RemoteError as error:
        return Outcome(told=Told.SILENT, words=f"an answer that cannot be read: {error}", delivered=True)
    if isinstance(reply, Answer):
        words = "carried out, by its answer" if reply.values else "success, by its answer"
        return Outcome(told=Told.SERVED, words=words, delivered=True, gave=frozenset(reply.values))
    told = Told.HANDLED if _by_handler(what, reply) else Told.REFUSED
    return Outcome(told=told, words=f"refused: {reply}", delivered=True, reason=reply.reason)


def _by_handler(what: Attempt, refusal: Refusal) -> bool:
    """Whether the command's own handler says this: its group's error, or a code that stands for one."""
    if refusal.group is not None:
        return refusal.group == what.key.group
    return refusal.code not in _DOORS_OWN
