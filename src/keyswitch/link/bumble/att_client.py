"""The other end of ATT: one request at a time, answers matched, notifications handed out. Discovery on top of it.

Rules kept here:

* Every request has a bound. A peer that misses it has broken ATT (Core spec Vol 3 Part F 3.3.3): the bearer is unusable
  and the link counts as lost.
* An error response is a value of the protocol, raised as `AttRefused`; nonsense is `RemoteError`.
* Discovery ends, whatever the peer answers: handles must rise.
* Nothing is asked whose answer the specification gives already: each question is a round trip of two events.
"""

import asyncio
import contextlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from keyswitch.errors import LinkLostError, RemoteError
from keyswitch.gatt.att import (
    CCC,
    CHARACTERISTIC,
    DEFAULT_MTU,
    PRIMARY_SERVICE,
    AttOpcode,
    Error,
    error_words,
    uuid_bytes,
    uuid_string,
)
from keyswitch.gatt.services import DATABASE_HASH_UUID
from keyswitch.gatt.table import Property
from keyswitch.link.ports import GattRefused

REQUEST_WITHIN_S = 30.0
"""Vol 3 Part F 3.3.3."""
_LAST_HANDLE = 0xFFFF
_CHARACTERISTIC_HANDLES = 2
"""The fewest: its declaration and its value (Vol 3 Part G 3.3)."""
_RESPONSES = {
    AttOpcode.EXCHANGE_MTU_REQ: AttOpcode.EXCHANGE_MTU_RSP,
    AttOpcode.FIND_INFORMATION_REQ: AttOpcode.FIND_INFORMATION_RSP,
    AttOpcode.FIND_BY_TYPE_VALUE_REQ: AttOpcode.FIND_BY_TYPE_VALUE_RSP,
    AttOpcode.READ_BY_TYPE_REQ: AttOpcode.READ_BY_TYPE_RSP,
    AttOpcode.READ_REQ: AttOpcode.READ_RSP,
    AttOpcode.READ_BLOB_REQ: AttOpcode.READ_BLOB_RSP,
    AttOpcode.READ_BY_GROUP_TYPE_REQ: AttOpcode.READ_BY_GROUP_TYPE_RSP,
    AttOpcode.WRITE_REQ: AttOpcode.WRITE_RSP,
}


class AttRefused(GattRefused):
    """The server has answered with an error.

    Args:
        op: the request.
        handle: that it is about.
        code: the error code.
    """

    def __init__(self, op: int, handle: int, code: int) -> None:
        self.handle = handle
        super().__init__(
            f"ATT error {code:#04x} ({error_words(code)}) to request {op:#04x} at handle {handle:#06x}", code
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCharacteristic:
    """One characteristic: its UUID, properties, value handle, and the last handle that belongs to it."""

    uuid: str
    properties: int
    handle: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundService:
    """One primary service, with its characteristics."""

    uuid: str
    start: int
    end: int
    characteristics: tuple[FoundCharacteristic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Declared:
    """A characteristic's declaration: its own handle, properties, value handle, UUID."""

    at: int
    properties: int
    handle: int
    uuid: str


class AttClient:
    """One bearer.

    Args:
        send: puts a PDU on the channel.
        on_value: called with handle and value of each notification and indication.
    """

    def __init__(self, send: Callable[[bytes], None], on_value: Callable[[int, bytes], None]) -> None:
        self.mtu = DEFAULT_MTU
        self._send = send
        self._on_value = on_value
        self._turn = asyncio.Lock()
        self._waiting: tuple[int, asyncio.Future[bytes]] | None = None
        self._lost: str | None = None

    # --- the channel ---

    def receive(self, pdu: bytes) -> None:
        """A PDU from the server."""
        if len(pdu) >= 3 and pdu[0] in (AttOpcode.NOTIFICATION, AttOpcode.INDICATION):  # noqa: PLR2004 - opcode and handle
            if pdu[0] == AttOpcode.INDICATION:
                self._send(bytes((AttOpcode.CONFIRMATION,)))
            self._on_value(int.from_bytes(pdu[1:3], "little"), pdu[3:])
        elif pdu and self._waiting is not None and pdu[0] & 1 and not self._waiting[1].done():
            self._waiting[1].set_result(pdu)

    def lose(self, reason: str) -> None:
        """The link is gone: so is whoever waits."""
        self._lost = self._lost or reason
        if self._waiting is not None and not self._waiting[1].done():
            self._waiting[1].set_exception(LinkLostError(reason))

    async def request(self, pdu: bytes) -> bytes:
        """One request and its response.

        Raises:
            AttRefused: the server answered with an error.
            RemoteError: it answered something else.
            LinkLostError: the link is gone, or the server did not answer in time.
        """
        async with self._turn:
            if self._lost is not None:
                raise LinkLostError(self._lost)
            answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._waiting = (pdu[0], answer)
            try:
                self._send(pdu)
                async with asyncio.timeout(REQUEST_WITHIN_S):
                    response = await answer
            except TimeoutError:
                self.lose(f"no answer to an ATT request within {REQUEST_WITHIN_S:g} s")
                raise LinkLostError("no answer to an ATT request in time") from None
            except asyncio.CancelledError:
                # The answer will come and would be taken for the next one's: the bearer is done for.
                self.lose("an ATT request was given up")
                raise
            finally:
                self._waiting = None
        return _checked(pdu[0], response)

    # --- requests ---

    async def exchange_mtu(self, mtu: int) -> None:
        """Agree on an MTU. A server that does not know the request stays with the default."""
        with contextlib.suppress(AttRefused):
            response = await self.request(struct.pack("<BH", AttOpcode.EXCHANGE_MTU_REQ, mtu))
            self.mtu = max(DEFAULT_MTU, min(mtu, _unpack("<BH", response)[1]))

    async def read(self, handle: int) -> bytes:
        """A whole value, however long."""
        value = (await self.request(struct.pack("<BH", AttOpcode.READ_REQ, handle)))[1:]
        part = value
        while len(part) == self.mtu - 1:
            try:
                blob = await self.request(struct.pack("<BHH", AttOpcode.READ_BLOB_REQ, handle, len(value)))
            except AttRefused:
                break  # "attribute not long": it ended exactly there
            part = blob[1:]
            value += part
        return value

    async def write(self, handle: int, value: bytes) -> None:
        """Write, and wait for the response."""
        await self.request(struct.pack("<BH", AttOpcode.WRITE_REQ, handle) + value)

    def write_command(self, handle: int, value: bytes) -> None:
        """Write without response."""
        if self._lost is not None:
            raise LinkLostError(self._lost)
        self._send(struct.pack("<BH", AttOpcode.WRITE_CMD, handle) + value)

    # --- discovery ---

    async def read_hash(self) -> bytes:
        """The Database Hash: equal to one that was read before, the table is the one of then; empty if there is none.

        By its UUID, as it has to be (Vol 3 Part G 7.3): a client that has missed a change is answered all the same.
        """
        with contextlib.suppress(RemoteError):
            head = struct.pack("<BHH", AttOpcode.READ_BY_TYPE_REQ, 1, _LAST_HANDLE)
            for entry in await self._entries(head + uuid_bytes(DATABASE_HASH_UUID)):
                return entry[2:]
        return b""

    async def discover(self) -> tuple[FoundService, ...]:
        """All primary services with their characteristics.

        The characteristics are asked for over all services at once, since Read By Type takes any range (Vol 3 Part F
        3.4.4.1): a response holds one size of UUID, so that it takes a round trip for each change of size, and not
        two for each service.
        """
        services = await self._services()
        last = max((service.end for service in services), default=0)
        declared = await self._declared(last)
        return tuple(_with_characteristics(service, declared) for service in services)

    async def _services(self) -> list[FoundService]:
        found: list[FoundService] = []
        first = 1
        while first <= _LAST_HANDLE:
            head = struct.pack("<BHH", AttOpcode.READ_BY_GROUP_TYPE_REQ, first, _LAST_HANDLE)
            entries = await self._entries(head + uuid_bytes(PRIMARY_SERVICE))
            for entry in entries:
                start, end = _unpack("<HH", entry[:4])
                found.append(FoundService(uuid=_uuid(entry[4:]), start=start, end=end))
            if not entries:
                break
            first = _rising(first, found[-1].end)
        return found

    async def _declared(self, last: int) -> list[_Declared]:
        """The declarations of all characteristics up to the handle `last`."""
        declared: list[_Declared] = []
        first = 1
        while first + _CHARACTERISTIC_HANDLES - 1 <= last:
            head = struct.pack("<BHH", AttOpcode.READ_BY_TYPE_REQ, first, last)
            entries = await self._entries(head + uuid_bytes(CHARACTERISTIC))
            for entry in entries:
                at, properties, handle = _unpack("<HBH", entry[:5])
                declared.append(_Declared(at, properties, handle, _uuid(entry[5:])))
            if not entries:
                break
            first = _rising(first, declared[-1].at + 1)  # its value follows it at once: Vol 3 Part G 3.3.2
        return declared

    async def find_ccc(self, characteristic: FoundCharacteristic) -> int | None:
        """The handle of a characteristic's configuration, if it has one."""
        first = characteristic.handle + 1
        if first == characteristic.end and Property(characteristic.properties).has_ccc:
            return first  # the only descriptor, and one that must be there: Vol 3 Part G 3.3.3.3
        while first <= characteristic.end:
            try:
                request = struct.pack("<BHH", AttOpcode.FIND_INFORMATION_REQ, first, characteristic.end)
                response = await self.request(request)
            except AttRefused as refused:
                if refused.code == Error.ATTRIBUTE_NOT_FOUND:
                    return None
                raise
            size = 4 if response[1:2] == b"\x01" else 18
            entries = [response[at : at + size] for at in range(2, len(response), size)]
            for entry in entries:
                if entry[2:] == uuid_bytes(CCC):
                    return int.from_bytes(entry[:2], "little")
            if not entries:
                return None
            first = _rising(first, int.from_bytes(entries[-1][:2], "little"))
        return None

    async def _entries(self, request: bytes) -> list[bytes]:
        """Entries of one response; none when nothing is left."""
        try:
            response = await self.request(request)
        except AttRefused as refused:
            if refused.code == Error.ATTRIBUTE_NOT_FOUND:
                return []
            raise
        size = response[1] if len(response) > 1 else 0
        body = response[2:]
        if size == 0 or not body or len(body) % size:
            raise RemoteError(f"a response of {len(response)} bytes with entries of {size}")
        return [body[at : at + size] for at in range(0, len(body), size)]


def _with_characteristics(service: FoundService, declared: list[_Declared]) -> FoundService:
    own = [each for each in declared if service.start <= each.at <= service.end]
    ends = [*(each.at - 1 for each in own[1:]), service.end][: len(own)]
    characteristics = tuple(
        FoundCharacteristic(uuid=each.uuid, properties=each.properties, handle=each.handle, end=end)
        for each, end in zip(own, ends, strict=True)
    )
    return replace(service, characteristics=characteristics)


def _checked(op: int, response: bytes) -> bytes:
    if response[0] == AttOpcode.ERROR_RSP:
        _, about, handle, code = _unpack("<BBHB", response)
        raise AttRefused(about, handle, code)
    if response[0] != _RESPONSES.get(AttOpcode(op)):
        raise RemoteError(f"opcode {response[0]:#04x} does not answer request {op:#04x}")
    return response


def _unpack(layout: str, data: bytes) -> tuple[int, ...]:
    try:
        return struct.unpack(layout, data)
    except struct.error as error:
        raise RemoteError(f"a PDU of {len(data)} bytes: {error}") from None


def _uuid(data: bytes) -> str:
    try:
        return uuid_string(data)
    except ValueError as error:
        raise RemoteError(str(error)) from None


def _rising(first: int, last: int) -> int:
    if last < first:
        raise RemoteError(f"handle {last:#06x} after {first:#06x}: discovery would never end")
    return last + 1
