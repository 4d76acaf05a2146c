"""The host's radio on Bumble: `Adapter` and `GattLink` of `link.ports` over any HCI transport.

Rules kept here beyond those of `link.ports`:

* One connection attempt at a time; one that is given up is cancelled in the controller too, and what comes of it all
  the same is disconnected.
* Each connection asks for what makes an upload fast: 15 ms, 2M, 251 octets, an MTU whose writes fill two packets.
* A lost link is `LinkLostError` for everybody who waits, never a cancellation.
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

from bumble import core, hci

from keyswitch.errors import LinkLostError, LocalError, RemoteError
from keyswitch.gatt.att import CCC_INDICATE, CCC_NOTIFY, MAX_VALUE, PREFERRED_MTU, VALUE_OVERHEAD, uuid_string
from keyswitch.gatt.services import DATABASE_HASH_UUID, SERVICE_CHANGED_UUID
from keyswitch.gatt.table import Property
from keyswitch.link.air.rules import MAX_DATA_LENGTH, Phy, air_us
from keyswitch.link.bumble.att_client import AttClient, AttRefused, FoundCharacteristic, FoundService
from keyswitch.link.bumble.radio import Opener, Radio, switch_on
from keyswitch.link.bumble.reasons import reason_words
from keyswitch.link.bumble.stack import QuietHost
from keyswitch.link.ports import Sighting, Sink

ROOM = 40
"""Packets that may wait before `write` waits: more than an event of 50 ms carries (35 of 251 octets at 2M)."""
CANCEL_WITHIN_S = 1.0
DISCONNECT_WITHIN_S = 3.0
_ACTIVE_SCANNING, _UNFILTERED = 1, 0
"""Vol 4 Part E 7.8.10."""
_SCAN_INTERVAL = 0x0060
"""60 ms in units of 0.625 ms, listened to all the time."""


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
    """

    can_rediscover = True

    def __init__(self, radio: Radio, connection: Any) -> None:
        self._radio = radio
        self._connection = connection
        self._handle: int = connection.handle
        self._address: str = connection.peer_address.to_string(False)
        self._closed: str | None = None
        self._ended = asyncio.Event()
        self._found: tuple[FoundService, ...] = ()
        self._sinks: dict[int, Sink] = {}
        self._order = asyncio.Lock()
        self.att = AttClient(self._send, self._on_value)
        connection.on("disconnection", self._on_disconnection)

    # --- what it is ---

    @property
    def address(self) -> str:
        """The peer's address."""
        return self._address

    @property
    def services(self) -> frozenset[str]:
        """UUIDs of the services found last."""
        return frozenset(service.uuid for service in self._found)

    @property
    def found(self) -> tuple[FoundService, ...]:
        """The services found last, with handles."""
        return self._found

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
        self._found = await self.att.discover()

    async def subscribe(self, service: str, characteristic: str, sink: Sink) -> None:
        """Write the CCC and hand notifications to `sink`."""
        found = self._characteristic(service, characteristic)
        ccc = await self.att.find_ccc(found)
        if ccc is None:
            raise RemoteError(f"characteristic {characteristic} has no configuration to subscribe with")
        value = CCC_NOTIFY if found.properties & Property.NOTIFY else CCC_INDICATE
        self._sinks[found.handle] = sink
        await self.att.write(ccc, struct.pack("<H", value))

    async def read(self, service: str, characteristic: str) -> bytes:
        """Read a value."""
        return await self.att.read(self._characteristic(service, characteristic).handle)

    async def write(self, service: str, characteristic: str, data: bytes) -> None:
        """Write without response; returns when the link took it."""
        if len(data) > self.max_write:
            raise LocalError(f"a write of {len(data)} bytes: at most {self.max_write} on this link")
        handle = self._characteristic(service, characteristic).handle
        async with self._order:
            outflow = self._radio.host.outflow
            if self._closed is None and outflow is not None and not await outflow.room(self._handle, ROOM):
                raise LinkLostError("the link is gone")
            self.att.write_command(handle, data)

    async def refresh(self) -> None:
        """Discover the services again.

        The hash is read first: a server then takes the next request as a sign that this client knows the new table.
        """
        with contextlib.suppress(AttRefused, RemoteError):
            await self.read_by_uuid(DATABASE_HASH_UUID)
        self._found = await self.att.discover()

    async def read_by_uuid(self, uuid: str) -> bytes:
        """The first value of a characteristic, wherever it is."""
        for service in self._found:
            for characteristic in service.characteristics:
                if characteristic.uuid == uuid:
                    return await self.att.read(characteristic.handle)
        raise RemoteError(f"no characteristic {uuid}")

    async def watch_services(self, sink: Sink) -> None:
        """Subscribe to Service Changed; `sink` gets the range as 4 bytes. No error if the server has none."""
        for service in self._found:
            if any(characteristic.uuid == SERVICE_CHANGED_UUID for characteristic in service.characteristics):
                await self.subscribe(service.uuid, SERVICE_CHANGED_UUID, sink)

    async def pair(self) -> None:
        """Pair, or encrypt with the keys of an earlier pairing."""
        try:
            async with asyncio.timeout(30):
                await self._connection.pair()
        except TimeoutError:
            raise LinkLostError("pairing did not end within 30 s") from None
        except (core.ProtocolError, core.BaseBumbleError, hci.HCI_Error, asyncio.CancelledError) as error:
            if self._closed is not None:
                raise LinkLostError(self._closed) from error
            if isinstance(error, asyncio.CancelledError):
                raise
            raise RemoteError(f"pairing failed: {error}") from error

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
    return (
        hci.HCI_LE_Set_Data_Length_Command(
            connection_handle=handle, tx_octets=MAX_DATA_LENGTH, tx_time=air_us(Phy.LE_1M, MAX_DATA_LENGTH)
        ),
        hci.HCI_LE_Set_PHY_Command(
            connection_handle=handle, all_phys=0, tx_phys=hci.PhyBit.LE_2M, rx_phys=hci.PhyBit.LE_2M, phy_options=0
        ),
    )


class BumbleAdapter:
    """A radio of the host's (`link.ports.Adapter`), switched on at first use.

    Args:
        opener: where the controller is (`radio.transport`, `radio.on_air`).
        address: static random address of this central.
        wishes: what is asked for on each connection.
    """

    def __init__(self, opener: Opener, *, address: str = "C0:00:00:00:00:01", wishes: Wishes | None = None) -> None:
        self._opener = opener
        self._address = address
        self._wishes = wishes or Wishes()
        self._radio: Radio | None = None
        self._starting = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._links: dict[int, BumbleLink] = {}
        self._types: dict[str, hci.Address] = {}
        self._heard: dict[str, Sighting] = {}
        self._scans: set[asyncio.Queue[Sighting]] = set()

    # --- scanning ---

    async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        """Sightings as they are heard, until the time is over or the iterator is closed."""
        radio = await self._on()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_ms / 1000
        queue: asyncio.Queue[Sighting] = asyncio.Queue()
        self._scans.add(queue)
        try:
            if len(self._scans) == 1:
                await self._set_scanning(radio, on=True)
            while (left := deadline - loop.time()) > 0:
                try:
                    async with asyncio.timeout(left):
                        sighting = await queue.get()
                except TimeoutError:
                    return
                yield sighting
        finally:
            self._scans.discard(queue)
            if not self._scans:
                self._heard.clear()
                with contextlib.suppress(LinkLostError):
                    await self._set_scanning(radio, on=False)

    async def _set_scanning(self, radio: Radio, *, on: bool) -> None:
        if on:
            await self._command(
                radio,
                hci.HCI_LE_Set_Scan_Parameters_Command(
                    le_scan_type=_ACTIVE_SCANNING,
                    le_scan_interval=_SCAN_INTERVAL,
                    le_scan_window=_SCAN_INTERVAL,
                    own_address_type=hci.OwnAddressType.RANDOM,
                    scanning_filter_policy=_UNFILTERED,
                ),
            )
        await self._command(radio, hci.HCI_LE_Set_Scan_Enable_Command(le_scan_enable=int(on), filter_duplicates=0))

    def _on_report(self, report: Any) -> None:
        address = report.address.to_string(False)
        self._types[address] = report.address
        before = self._heard.get(address, Sighting(address=address))
        self._heard[address] = sighting = _merged(before, report)
        for queue in self._scans:
            queue.put_nowait(sighting)

    # --- connecting ---

    async def connect(self, address: str, timeout_ms: int) -> BumbleLink:
        """Connect and discover."""
        radio = await self._on()
        link: BumbleLink | None = None
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                async with self._connecting:
                    link = await self._establish(radio, address)
                await link.set_up(self._wishes)
                return link
        except BaseException as error:
            if link is not None:
                await link.close()
            if isinstance(error, TimeoutError):
                raise LinkLostError(f"{address}: not connected within {timeout_ms} ms") from None
            raise

    async def _establish(self, radio: Radio, address: str) -> BumbleLink:
        device: Any = radio.device
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def on_connection(connection: Any) -> None:
            if not done.done():
                done.set_result(connection)

        def on_failure(error: Any) -> None:
            if not done.done():
                done.set_exception(LinkLostError(f"{address}: {error}"))

        device.on("connection", on_connection)
        device.on("connection_failure", on_failure)
        device.connect_own_address_type = hci.OwnAddressType.RANDOM
        try:
            await self._command(radio, self._create_connection(address))
            try:
                connection = await asyncio.shield(done)
            except asyncio.CancelledError:
                await self._cancel(radio, done)
                raise
        finally:
            device.remove_listener("connection", on_connection)
            device.remove_listener("connection_failure", on_failure)
        link = BumbleLink(radio, connection)
        self._links[connection.handle] = link

        def forget(_reason: int) -> None:
            self._links.pop(connection.handle, None)

        connection.on("disconnection", forget)
        return link

    def _create_connection(self, address: str) -> hci.HCI_LE_Create_Connection_Command:
        peer = self._types.get(address) or hci.Address(address, hci.Address.RANDOM_DEVICE_ADDRESS)
        return hci.HCI_LE_Create_Connection_Command(
            le_scan_interval=_SCAN_INTERVAL,
            le_scan_window=_SCAN_INTERVAL,
            initiator_filter_policy=0,
            peer_address_type=peer.address_type,
            peer_address=peer,
            own_address_type=hci.OwnAddressType.RANDOM,
            connection_interval_min=self._wishes.interval,
            connection_interval_max=self._wishes.interval,
            max_latency=0,
            supervision_timeout=self._wishes.supervision,
            min_ce_length=0,
            max_ce_length=0,
        )

    async def _cancel(self, radio: Radio, done: "asyncio.Future[Any]") -> None:
        """Give an attempt up; if a connection came of it all the same, end it."""
        with contextlib.suppress(LinkLostError, RemoteError, TimeoutError):
            async with asyncio.timeout(CANCEL_WITHIN_S):
                with contextlib.suppress(LinkLostError):
                    await self._command(radio, hci.HCI_LE_Create_Connection_Cancel_Command())
                connection = await done
                await BumbleLink(radio, connection).close()
        if not done.done():
            done.cancel()

    async def close(self) -> None:
        """End connections and give the radio back."""
        for link in list(self._links.values()):
            await link.close()
        radio, self._radio = self._radio, None
        if radio is not None:
            await radio.close()

    # --- the radio ---

    async def _on(self) -> Radio:
        async with self._starting:
            if self._radio is None:
                self._radio = await switch_on(
                    self._opener, name="keyswitch", address=self._address, prepare=self._prepare
                )
            return self._radio

    def _prepare(self, device: Any, host: QuietHost) -> None:
        del device
        host.att_sink = self._on_att
        host.on("advertising_report", self._on_report)
        host.on("flush", self._on_transport_lost)

    def _on_att(self, handle: int, pdu: bytes) -> None:
        link = self._links.get(handle)
        if link is not None:
            link.receive(pdu)

    def _on_transport_lost(self) -> None:
        for link in list(self._links.values()):
            link.lose("the controller is gone")

    async def _command(self, radio: Radio, command: Any) -> None:
        try:
            await radio.command(command)
        except hci.HCI_Error as error:
            raise LinkLostError(f"the controller refuses: {error}") from error


def _merged(before: Sighting, report: Any) -> Sighting:
    """What is known of an advertiser after one more report: the name is in the scan response, the rest is not."""
    data = core.AdvertisingData.from_bytes(report.data)
    name = data.get(core.AdvertisingData.Type.COMPLETE_LOCAL_NAME, raw=True)
    if report.event_type == hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP:
        return replace(before, name=_text(name) or before.name, rssi_dbm=report.rssi)
    manufacturer = data.get(core.AdvertisingData.Type.MANUFACTURER_SPECIFIC_DATA, raw=True)
    company = None
    if isinstance(manufacturer, bytes) and len(manufacturer) >= 2:  # noqa: PLR2004 - the company id
        company = (int.from_bytes(manufacturer[:2], "little"), manufacturer[2:])
    return Sighting(
        address=before.address,
        name=_text(name) or before.name,
        services=_services(data),
        manufacturer=company,
        rssi_dbm=report.rssi,
        connectable=report.event_type == hci.HCI_LE_Advertising_Report_Event.EventType.ADV_IND,
    )


def _text(raw: Any) -> str:
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""


_UUID_FIELDS: dict[int, int] = {
    core.AdvertisingData.Type.INCOMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    core.AdvertisingData.Type.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS: 2,
    core.AdvertisingData.Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
    core.AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS: 16,
}


def _services(data: core.AdvertisingData) -> frozenset[str]:
    found: set[str] = set()
    for kind, raw in data.ad_structures:
        size = _UUID_FIELDS.get(kind)
        if size:
            found |= {uuid_string(raw[at : at + size]) for at in range(0, len(raw) - size + 1, size)}
    return frozenset(found)
