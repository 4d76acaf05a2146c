"""One connection of the host's to one peripheral: `GattLink` of `link.ports` on our ATT client.

Rules kept here beyond those of `link.ports`:

* Each connection asks for what makes an upload fast: 15 ms, 2M, 251 octets, an MTU whose writes fill two packets.
* A lost link is `LinkLostError` for everybody who waits, never a cancellation.
"""

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from typing import Any

from bumble import core, hci, smp

from keyswitch.errors import LinkLostError, LocalError, RemoteError
from keyswitch.gatt.att import CCC_INDICATE, CCC_NOTIFY, MAX_VALUE, PREFERRED_MTU, VALUE_OVERHEAD
from keyswitch.gatt.services import CLIENT_FEATURES_UUID, SERVICE_CHANGED_UUID
from keyswitch.gatt.table import Property
from keyswitch.link.bumble.att_client import AttClient, FoundCharacteristic, FoundService
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.bumble.known_tables import KnownTables
from keyswitch.link.bumble.radio import HciRadio
from keyswitch.link.bumble.reasons import reason_words
from keyswitch.link.ports import GattRefused, PairingError, PairingFailure, Sink
from keyswitch.terms import Security
from keyswitch.timing.rules import MAX_DATA_LENGTH, Phy, air_us

ROOM = 40
"""Packets that may wait before `write` waits: more than an event of 50 ms carries (35 of 251 octets at 2M)."""
PAIR_WITHIN_S = 60.0
"""A person may have to read six digits and type them; the security manager gives up after 30 s without an answer."""
DISCONNECT_WITHIN_S = 3.0
_ROBUST_CACHING = 0x01
"""Client Supported Features: Core spec Vol 3 Part G 7.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is asked for on each connection.

    Attributes:
        interval: connection interval in units of 1.25 ms.
        supervision: supervision timeout in units of 10 ms.
        mtu: ATT MTU.
        fast: whether to ask for 2M and the longest packets.
    """

    interval: int = 12
    supervision: int = 200
    mtu: int = PREFERRED_MTU
    fast: bool = True


class BumbleLink:
    """One connection to one peripheral (`link.ports.GattLink`).

    Args:
        radio: the controller.
        connection: Bumble's record of it.
        bonds: where keys are kept.
        tables: what was discovered on earlier connections.
    """

    can_rediscover = True

    def __init__(self, radio: HciRadio, connection: Any, bonds: Bonds, tables: KnownTables | None = None) -> None:
        self._radio = radio
        self._bonds = bonds
        self._connection = connection
        self._handle: int = connection.handle
        self._address: str = connection.peer_address.to_string(False)
        self._closed: str | None = None
        self._ended = asyncio.Event()
        self._tables = KnownTables() if tables is None else tables
        self._hash = b""
        self._found: tuple[FoundService, ...] = ()
        self._sinks: dict[int, Sink] = {}
        self._order = asyncio.Lock()
        self.att = AttClient(self._send, self._on_value)
        connection.on("disconnection", self._on_disconnection)

    # --- what it is ---

    @property
    def address(self) -> str:
        """The peer's address: its identity, once a pairing has told it."""
        address: str = self._connection.peer_address.to_string(False)
        return address

    @property
    def services(self) -> frozenset[str]:
        """UUIDs of the services found last."""
        return frozenset(service.uuid for service in self._found)

    @property
    def found(self) -> tuple[FoundService, ...]:
        """The services found last, with handles."""
        return self._found

    @property
    def security(self) -> Security | None:
        """What the link is worth now: by the keys that it is encrypted with."""
        if self._closed is not None or not self._connection.encryption:
            return Security.NONE
        return max(Security.ENCRYPTED, self._bonds.security(str(self._connection.peer_address)))

    @property
    def max_write(self) -> int:
        """Largest value for one write without response."""
        return min(self.att.mtu - VALUE_OVERHEAD, MAX_VALUE)

    @property
    def closed(self) -> str | None:
        """None while the link is up; afterwards why it ended."""
        return self._closed

    async def wait_closed(self, timeout_ms: int) -> str | None:
        """Wait until the link has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                await self._ended.wait()
        return self._closed

    # --- GATT ---

    async def set_up(self, wishes: Wishes) -> None:
        """Ask for speed, agree on the MTU, find the services."""
        if wishes.fast:
            await self._ask_for_speed()
        await self.att.exchange_mtu(wishes.mtu)
        await self._discover()

    async def _discover(self) -> None:
        """Find the services, unless the server says that they are those of an earlier connection.

        The hash is read first: a server then takes the next request as a sign that this client knows the new table.
        """
        self._hash = await self.att.read_hash()
        known = self._tables.find(self._address, self._hash)
        self._found = await self.att.discover() if known is None else known
        self._tables.note(self._address, self._hash, self._found)

    async def subscribe(self, service: str, characteristic: str, sink: Sink) -> None:
        """Write the CCC and hand notifications to `sink`."""
        found = self._characteristic(service, characteristic)
        value = CCC_NOTIFY if found.properties & Property.NOTIFY else CCC_INDICATE
        self._sinks[found.handle] = sink
        try:
            await self.att.write(await self._ccc(found), struct.pack("<H", value))
        except RemoteError as error:
            if not (isinstance(error, GattRefused) and error.not_authorized):
                self._tables.forget(self._address, self._hash)  # it may not lie where it lay
            raise

    async def _ccc(self, found: FoundCharacteristic) -> int:
        ccc = await self.att.find_ccc(found)
        if ccc is None:
            raise RemoteError(f"characteristic {found.uuid} has no configuration to subscribe with")
        return ccc

    async def read(self, service: str, characteristic: str) -> bytes:
        """Read a value."""
        return await self.att.read(self._characteristic(service, characteristic).handle)

    async def write(self, service: str, characteristic: str, data: bytes) -> None:
        """Write without response; returns when the link took it."""
        await self.write_handle(self._characteristic(service, characteristic).handle, data)

    def handle_of(self, service: str, characteristic: str) -> int:
        """The value handle of a characteristic in the table that was found."""
        return self._characteristic(service, characteristic).handle

    def is_free(self, handle: int) -> bool:
        """Whether no service of the table that was found has this handle."""
        return all(not found.start <= handle <= found.end for found in self._found)

    async def write_handle(self, handle: int, data: bytes) -> None:
        """Write without response to a handle, whatever lies there; returns when the link took it."""
        if len(data) > self.max_write:
            raise LocalError(f"a write of {len(data)} bytes: at most {self.max_write} on this link")
        async with self._order:
            outflow = self._radio.host.outflow
            if self._closed is None and outflow is not None and not await outflow.room(self._handle, ROOM):
                raise LinkLostError("the link is gone")
            self.att.write_command(handle, data)

    async def request(self, service: str, characteristic: str, data: bytes) -> None:
        """Write with response."""
        await self.request_handle(self._characteristic(service, characteristic).handle, data)

    async def request_handle(self, handle: int, data: bytes) -> None:
        """Write with response to a handle, whatever lies there."""
        await self.att.write(handle, data)

    async def ccc_of(self, service: str, characteristic: str) -> int:
        """Handle of a characteristic's configuration, asked for now."""
        return await self._ccc(self._characteristic(service, characteristic))

    async def read_hash(self) -> bytes:
        """The Database Hash as it is now; empty if the server has none."""
        return await self.att.read_hash()

    async def look_anew(self) -> None:
        """Find the services again, whatever the server says of its table."""
        self._found = await self.att.discover()

    async def refresh(self) -> None:
        """Find the services again."""
        await self._discover()

    async def watch_services(self, sink: Sink) -> bool:
        """Subscribe to Service Changed; `sink` gets the range as 4 bytes. False if the server has none."""
        service = self._service_with(SERVICE_CHANGED_UUID)
        if service:
            await self.subscribe(service, SERVICE_CHANGED_UUID, sink)
        return bool(service)

    async def cache_robustly(self) -> bool:
        """Say that this client can handle Database Out Of Sync. False if the server does not take that."""
        service = self._service_with(CLIENT_FEATURES_UUID)
        if service:
            await self.request(service, CLIENT_FEATURES_UUID, bytes([_ROBUST_CACHING]))
        return bool(service)

    def _service_with(self, characteristic: str) -> str:
        found = (each.uuid for each in self._found if any(own.uuid == characteristic for own in each.characteristics))
        return next(found, "")

    async def pair(self) -> None:
        """Pair, or encrypt with the keys of an earlier pairing."""
        if self._closed is not None:
            raise LinkLostError(self._closed)
        known = self._bonds.has(str(self._connection.peer_address))
        working = asyncio.ensure_future(self._connection.encrypt() if known else self._connection.pair())
        ending = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((working, ending), timeout=PAIR_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
            if self._closed is not None:
                raise LinkLostError(self._closed)
            if not working.done():
                raise LinkLostError(f"pairing did not end within {PAIR_WITHIN_S:g} s")
            working.result()
            if not known:
                # The last keys are ours and may arrive with our next request: a device says only afterwards what the
                # pairing was worth. The hash is readable without any, so that its answer tells that they are there. If
                # the device ends the link for it instead, the pairing was done all the same.
                with contextlib.suppress(LinkLostError):
                    await self.att.read_hash()
        except (core.BaseBumbleError, hci.HCI_Error) as error:
            raise _pairing_error(error, known=known) from error
        finally:
            for task in (working, ending):
                task.cancel()
            await asyncio.gather(working, ending, return_exceptions=True)

    async def close(self) -> None:
        """End the connection."""
        if self._closed is not None:
            return
        reason = hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
        with contextlib.suppress(Exception):
            async with asyncio.timeout(DISCONNECT_WITHIN_S):
                await self._radio.command(hci.HCI_Disconnect_Command(connection_handle=self._handle, reason=reason))
                await self._ended.wait()
        self.lose("ended here")

    # --- events ---

    def receive(self, pdu: bytes) -> None:
        """An ATT PDU of the peer's."""
        self.att.receive(pdu)

    def lose(self, reason: str) -> None:
        """The link is gone."""
        if self._closed is None:
            self._closed = reason
            self._ended.set()
            self.att.lose(reason)

    def _on_disconnection(self, reason: int) -> None:
        self.lose(reason_words(reason))

    def _on_value(self, handle: int, value: bytes) -> None:
        sink = self._sinks.get(handle)
        if sink is not None:
            sink(value)

    def _send(self, pdu: bytes) -> None:
        self._radio.host.send_att(self._handle, pdu)

    def _characteristic(self, service: str, uuid: str) -> FoundCharacteristic:
        if self._closed is not None:
            raise LinkLostError(self._closed)
        for found in self._found:
            if found.uuid == service:
                for characteristic in found.characteristics:
                    if characteristic.uuid == uuid:
                        return characteristic
        raise RemoteError(f"the peer has no characteristic {uuid} in a service {service}")

    async def _ask_for_speed(self) -> None:
        """Wishes: a controller that does not know them, or refuses, changes nothing."""
        for wish in _speed_commands(self._handle):
            with contextlib.suppress(hci.HCI_Error):
                await self._radio.command(wish)


def _speed_commands(handle: int) -> tuple[Any, ...]:
    commands: Any = hci  # Bumble makes its command classes with a decorator that types do not survive
    return (
        commands.HCI_LE_Set_Data_Length_Command(
            connection_handle=handle, tx_octets=MAX_DATA_LENGTH, tx_time=air_us(Phy.LE_1M, MAX_DATA_LENGTH)
        ),
        commands.HCI_LE_Set_PHY_Command(
            connection_handle=handle, all_phys=0, tx_phys=hci.PhyBit.LE_2M, rx_phys=hci.PhyBit.LE_2M, phy_options=0
        ),
    )


def _pairing_error(error: Exception, *, known: bool) -> PairingError:
    code = getattr(error, "error_code", None)
    if known and code == hci.HCI_ErrorCode.PIN_OR_KEY_MISSING_ERROR:
        return PairingError(PairingFailure.FORGOTTEN)
    failure = _PAIRING_FAILURES.get(code or 0)
    return PairingError(PairingFailure.OTHER, str(error)) if failure is None else PairingError(failure)


_PAIRING_FAILURES: dict[int, PairingFailure] = {
    smp.ErrorCode.PASSKEY_ENTRY_FAILED: PairingFailure.NO_PASSKEY,
    smp.ErrorCode.AUTHENTICATION_REQUIREMENTS: PairingFailure.UNMET,
    smp.ErrorCode.CONFIRM_VALUE_FAILED: PairingFailure.WRONG_PASSKEY,
    smp.ErrorCode.PAIRING_NOT_SUPPORTED: PairingFailure.NOT_NOW,
    smp.ErrorCode.REPEATED_ATTEMPTS: PairingFailure.TOO_OFTEN,
}
"""Core spec Vol 3 Part H 3.5.5."""
