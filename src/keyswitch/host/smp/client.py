"""An SMP client on one link: many requests under way, each answered once, refused once, or given up after a bound.

Rules:

* An answer belongs to the request with its sequence number, group, command and operation. What belongs to none (late,
  repeated, or made up) is counted and dropped, and the session goes on.
* A sequence number whose request was given up is not used again while another is free, so that its late answer
  cannot be taken for a later one's.
* Every wait is bounded: by the link (`LinkLostError`) or by the request (`SilenceError`).
* Time is the event loop's.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from keyswitch.errors import LinkLostError, LocalError, RemoteError, SilenceError
from keyswitch.host.smp.reply import Refusal, Reply, classify
from keyswitch.link.ports import PacketLink
from keyswitch.smp import cbor
from keyswitch.smp.codes import Rc
from keyswitch.smp.commands import command_name
from keyswitch.smp.header import HEADER_SIZE, Header, Op, SmpVersion
from keyswitch.smp.words import packet_words

ANSWER_MS = 2_500
"""How long an ordinary request may go unanswered: ten connection events of the slowest usual link, and some flash."""

_log = logging.getLogger(__name__)

SEQUENCES = 256
"""The header's sequence number is one byte."""


@dataclass(slots=True)
class DroppedAnswer:
    """Packets that belonged to no request, counted."""

    late: int = 0
    """Answers to requests given up, and answers that came twice."""
    malformed: int = 0
    """Packets that are no SMP packet, or answer nothing that could have been asked."""


class _Asked:
    """One request under way. Compared with the header of what comes back."""

    __slots__ = ("command", "future", "group", "op")

    def __init__(self, op: int, group: int, command: int, future: asyncio.Future[Reply]) -> None:
        self.op = op
        self.group = group
        self.command = command
        self.future = future


class SmpClient:
    """The client. One for each link; it takes the link's packets from then on.

    Args:
        link: the way to the device.
        version: protocol version to speak first; changed once when the device knows only the other.
    """

    def __init__(self, link: PacketLink, *, version: SmpVersion = SmpVersion.V2) -> None:
        self.link = link
        self.version = version
        self.dropped = DroppedAnswer()
        self.old_server = False
        """It answers in version 1 alone. Servers so old are silent about commands that they do not have."""
        self.unanswered: set[tuple[int, int]] = set()
        """Group and command of what an old server was asked in vain."""
        self._asked: dict[int, _Asked] = {}
        self._given_up: set[int] = set()
        self._sequence = 0
        link.on_packet(self._received)
        link.on_closed(self._closed)

    @property
    def outstanding(self) -> int:
        """How many requests are under way."""
        return len(self._asked)

    async def read(
        self, group: int, command: int, body: Mapping[str, object] | None = None, *, timeout_ms: int = ANSWER_MS
    ) -> Reply:
        """Send a read request and wait for what comes back; see `ask`."""
        return await self.ask(Op.READ, group, command, body, timeout_ms=timeout_ms)

    async def write(
        self, group: int, command: int, body: Mapping[str, object] | None = None, *, timeout_ms: int = ANSWER_MS
    ) -> Reply:
        """Send a write request and wait for what comes back; see `ask`."""
        return await self.ask(Op.WRITE, group, command, body, timeout_ms=timeout_ms)

    async def ask(
        self, op: Op, group: int, command: int, body: Mapping[str, object] | None = None, *, timeout_ms: int = ANSWER_MS
    ) -> Reply:
        """Send a request and wait for what comes back.

        Args:
            op: `READ` or `WRITE`.
            group: SMP group.
            command: command id in the group.
            body: the request's map. None is sent as an empty map: some servers refuse no payload at all.
            timeout_ms: how long to wait for the answer, the sending included.

        Raises:
            SilenceError: nothing came back in time.
            LinkLostError: the link is gone.
            RemoteError: what came back is no answer in any known shape.
        """
        payload = cbor.dumps(body or {})
        reply = await self._ask_once(op, group, command, payload, timeout_ms)
        other = self._other_version(reply)
        if other is None:
            return reply
        self.version = other
        return await self._ask_once(op, group, command, payload, timeout_ms)

    async def begin(self, op: Op, group: int, command: int, payload: bytes) -> asyncio.Future[Reply]:
        """Send a request; returns when the link has taken it.

        The future gets the reply, `LinkLostError`, or `RemoteError`. Cancel it to give the request up.

        Raises:
            LinkLostError: the link is gone.
            LocalError: as many requests are under way as there are sequence numbers.
        """
        if self.link.closed is not None:
            raise LinkLostError(f"the link is gone: {self.link.closed}")
        sequence = self._free_sequence()
        header = Header(
            op=op, version=self.version, length=len(payload), group=group, sequence=sequence, command=command
        )
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked[sequence] = _Asked(op | 1, group, command, future)
        future.add_done_callback(lambda done: self._give_up(sequence) if done.cancelled() else None)
        packet = header.encode() + payload
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("sent: %s", packet_words(packet))
        try:
            await self.link.send(packet)
        except BaseException:
            future.cancel()
            self._give_up(sequence)
            raise
        return future

    async def close(self) -> None:
        """End the link; what is under way gets `LinkLostError`."""
        await self.link.close()
        self._closed(self.link.closed or "closed by us")

    async def _ask_once(self, op: Op, group: int, command: int, payload: bytes, timeout_ms: int) -> Reply:
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                future = await self.begin(op, group, command, payload)
                return await future
        except TimeoutError:
            raise SilenceError(f"no answer to {command_name(group, command)} within {timeout_ms} ms") from None

    def _other_version(self, reply: Reply) -> SmpVersion | None:
        """The version to try instead, if the device said that it does not know ours."""
        if not isinstance(reply, Refusal):
            return None
        if reply.is_rc(Rc.UNSUPPORTED_TOO_NEW) and self.version == SmpVersion.V2:
            return SmpVersion.V1
        if reply.is_rc(Rc.UNSUPPORTED_TOO_OLD) and self.version == SmpVersion.V1:
            return SmpVersion.V2
        return None

    def _free_sequence(self) -> int:
        if len(self._asked) >= SEQUENCES:
            raise LocalError(f"{SEQUENCES} requests are under way: no sequence number is left")
        if len(self._asked) + len(self._given_up) >= SEQUENCES:
            self._given_up.clear()
        sequence = self._sequence
        while sequence in self._asked or sequence in self._given_up:
            sequence = (sequence + 1) % SEQUENCES
        self._sequence = (sequence + 1) % SEQUENCES
        return sequence

    def _give_up(self, sequence: int) -> None:
        if self._asked.pop(sequence, None) is not None:
            self._given_up.add(sequence)

    def _received(self, packet: bytes) -> None:
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("received: %s", packet_words(packet))
        if len(packet) < HEADER_SIZE:
            self.dropped.malformed += 1
            return
        header = Header.decode(packet)
        asked = self._asked.get(header.sequence)
        if asked is None:
            self._nobody_asked(header)
            return
        if (header.op, header.group, header.command) != (asked.op, asked.group, asked.command):
            self.dropped.malformed += 1
            return
        del self._asked[header.sequence]
        if asked.future.done():
            return
        try:
            asked.future.set_result(_read(header, packet))
        except RemoteError as error:
            asked.future.set_exception(error)

    def _nobody_asked(self, header: Header) -> None:
        self._given_up.discard(header.sequence)
        if header.op in {Op.READ_RESPONSE, Op.WRITE_RESPONSE}:
            self.dropped.late += 1
        else:
            self.dropped.malformed += 1

    def _closed(self, why: str) -> None:
        asked, self._asked = self._asked, {}
        for request in asked.values():
            if not request.future.done():
                request.future.set_exception(LinkLostError(f"the link is gone: {why}"))


def _read(header: Header, packet: bytes) -> Reply:
    if len(packet) < HEADER_SIZE + header.length:
        raise RemoteError(
            f"answer to {command_name(header.group, header.command)}: {len(packet) - HEADER_SIZE} bytes of payload, "
            f"the header says {header.length}"
        )
    return classify(cbor.loads_map(packet[HEADER_SIZE:]), version=header.version)
