"""The computer's own adapter, by bleak: Windows, macOS, Linux. `Adapter` and `GattLink` of `link.ports`.

Rules kept here beyond those of `link.ports`:

* No stack below bleak shows a table that changes within a connection: its list of services is a snapshot, so
  `can_rediscover` is false and the only refresh is another connection. Windows is told not to use its cache.
* Whatever bleak or the system raises becomes one of our errors, with the ATT error code where there is one.
* Some stacks take writes and lose what does not fit: callers bound what is outstanding by answers, not by writes.
* Connection attempts of one adapter are made one after another.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakError, BleakGATTProtocolError

from keyswitch.errors import LinkLostError, LocalError, RemoteError
from keyswitch.link.local_advice import bluetooth_step
from keyswitch.link.ports import GattRefused, PairingError, PairingFailure, Sighting, Sink
from keyswitch.link.sightings import Sightings
from keyswitch.terms import Security

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

OPERATION_WITHIN_S = 31.0
"""A GATT procedure's own limit is 30 s (Core spec Vol 3 Part F 3.3.3): the stack below should say so first."""
PAIR_WITHIN_S = 60.0
"""A person may have to type six digits into a window of the system's."""
CLOSE_WITHIN_S = 6.0
"""BlueZ waits two seconds before it disconnects."""
MAX_VALUE = 512
"""Core spec Vol 3 Part F 3.2.9."""
SMALLEST_WRITE = 20
"""What any link carries: ATT MTU 23."""


class BleakLink:
    """One connection (`link.ports.GattLink`).

    Args:
        address: of the peer, as this system names it.
        make: makes bleak's client, given what to call when the connection ends.
    """

    can_rediscover = False

    def __init__(self, address: str, make: Callable[[Callable[[BleakClient], None]], BleakClient]) -> None:
        self._address = address
        self._client = make(self._on_disconnected)
        self._closed: str | None = None
        self._subscribed: set[str] = set()
        self._closing = False
        self._ended = asyncio.Event()
        self._order = asyncio.Lock()

    @property
    def address(self) -> str:
        """The peer's address; on macOS an identifier of the system's."""
        return self._address

    @property
    def services(self) -> frozenset[str]:
        """UUIDs of the services found at connection time."""
        if self._closed is not None:
            return frozenset()
        return frozenset(service.uuid.lower() for service in self._client.services)

    @property
    def security(self) -> Security | None:
        """Not known: no system below says it."""
        return None

    @property
    def max_write(self) -> int:
        """Largest value for one write without response; asked anew each time, because some systems learn it late."""
        sizes = [
            characteristic.max_write_without_response_size
            for service in (self._client.services if self._closed is None else ())
            for characteristic in service.characteristics
            if "write-without-response" in characteristic.properties
        ]
        return max(SMALLEST_WRITE, min([*sizes, MAX_VALUE])) if sizes else SMALLEST_WRITE

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

    async def open(self) -> None:
        """Connect and discover."""
        await self._bounded(self._client.connect(), OPERATION_WITHIN_S)

    async def subscribe(self, service: str, characteristic: str, sink: Sink) -> None:
        """Write the CCC and hand notifications to `sink`."""
        found = self._characteristic(service, characteristic)

        def heard(_sender: Any, value: bytearray) -> None:
            sink(bytes(value))

        if found.uuid in self._subscribed:
            # The stack refuses to subscribe twice, and the point of doing so is the Request.
            await self._bounded(self._client.stop_notify(found), OPERATION_WITHIN_S)
        await self._bounded(self._client.start_notify(found, heard), OPERATION_WITHIN_S)
        self._subscribed.add(found.uuid)

    async def read(self, service: str, characteristic: str) -> bytes:
        """Read a value."""
        found = self._characteristic(service, characteristic)
        return bytes(await self._bounded(self._client.read_gatt_char(found), OPERATION_WITHIN_S))

    async def write(self, service: str, characteristic: str, data: bytes) -> None:
        """Write without response."""
        if len(data) > self.max_write:
            raise LocalError(f"a write of {len(data)} bytes: at most {self.max_write} on this link")
        found = self._characteristic(service, characteristic)
        async with self._order:
            await self._bounded(self._client.write_gatt_char(found, data, response=False), OPERATION_WITHIN_S)

    async def request(self, service: str, characteristic: str, data: bytes) -> None:
        """Write with response."""
        found = self._characteristic(service, characteristic)
        async with self._order:
            await self._bounded(self._client.write_gatt_char(found, data, response=True), OPERATION_WITHIN_S)

    async def refresh(self) -> None:
        """Not possible here."""
        raise LocalError("this stack does not discover again within a connection: connect anew")

    async def pair(self) -> None:
        """Pair by means of the system; macOS does so by itself when it is needed."""
        try:
            await self._bounded(self._client.pair(), PAIR_WITHIN_S)
        except NotImplementedError:
            return
        except RemoteError as error:
            raise PairingError(PairingFailure.OTHER, str(error)) from error

    async def close(self) -> None:
        """End the connection."""
        if self._closed is not None:
            return
        self._closing = True
        with contextlib.suppress(LinkLostError, RemoteError):
            await self._bounded(self._client.disconnect(), CLOSE_WITHIN_S)
        self._lose("ended here")

    # --- below ---

    def _on_disconnected(self, _client: BleakClient) -> None:
        self._lose("ended here" if self._closing else "the connection was lost, or ended by the peer")

    def _lose(self, reason: str) -> None:
        if self._closed is None:
            _log.info("%s: %s", self._address, reason)
            self._closed = reason
            self._ended.set()

    def _characteristic(self, service: str, uuid: str) -> Any:
        if self._closed is not None:
            raise LinkLostError(self._closed)
        found = self._client.services.get_service(service)
        characteristic = None if found is None else found.get_characteristic(uuid)
        if characteristic is None:
            raise RemoteError(f"the peer has no characteristic {uuid} in a service {service}")
        return characteristic

    async def _bounded(self, call: Awaitable[_T], within_s: float) -> _T:
        """Wait for the system, until it answers, the link ends, or the time is over."""
        working = asyncio.ensure_future(call)
        ending = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait((working, ending), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise LinkLostError(self._closed or f"the system did not answer within {within_s:g} s")
        except (BleakError, OSError, EOFError) as error:
            raise self._translated(error) from error
        finally:
            for task in (working, ending):
                task.cancel()
            await asyncio.gather(working, ending, return_exceptions=True)

    def _translated(self, error: Exception) -> Exception:
        if self._closed is not None:
            return LinkLostError(self._closed)
        if isinstance(error, BleakGATTProtocolError):
            return GattRefused(f"the peer refuses: {error}", int(error.args[0]))  # its `code` knows only some
        if not self._client.is_connected or not isinstance(error, BleakError):
            return LinkLostError(_words(error))
        return RemoteError(_words(error))


class BleakAdapter:
    """The computer's adapter (`link.ports.Adapter`).

    Args:
        client_backend: bleak's for this system, unless another is given.
        scanner_backend: likewise.
    """

    def __init__(
        self,
        *,
        client_backend: type[BaseBleakClient] | None = None,
        scanner_backend: type[BaseBleakScanner] | None = None,
    ) -> None:
        self._client_backend = client_backend
        self._scanner_backend = scanner_backend
        self._seen: dict[str, BLEDevice] = {}
        self._links: list[BleakLink] = []
        self._connecting = asyncio.Lock()

    @property
    def hears_while_connecting(self) -> bool:
        """No: Linux stops its scan for each connection attempt, and the other systems do not say."""
        return False

    async def scan(self, timeout_ms: int) -> AsyncGenerator[Sighting, None]:
        """Sightings as they are heard, until the time is over or the iterator is closed."""
        heard = Sightings(timeout_ms)

        def hear(device: BLEDevice, data: AdvertisementData) -> None:
            self._seen[device.address.upper()] = device
            heard.put(_sighting(device, data))

        scanner = await self._scanning(hear)
        try:
            while (sighting := await heard.next()) is not None:
                yield sighting
        finally:
            with contextlib.suppress(BleakError, OSError, EOFError, TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await scanner.stop()

    async def _scanning(self, heard: Callable[[BLEDevice, AdvertisementData], None]) -> BleakScanner:
        try:
            scanner = BleakScanner(heard, backend=self._scanner_backend)
            async with asyncio.timeout(OPERATION_WITHIN_S):
                await scanner.start()
        except BleakBluetoothNotAvailableError as error:
            raise _not_available(error, error.reason.name.lower().replace("_", " ")) from error
        except (BleakError, OSError, EOFError) as error:
            raise _not_available(error) from error
        return scanner

    async def connect(self, address: str, timeout_ms: int) -> BleakLink:
        """Connect and discover."""
        _log.info("connecting to %s", address)
        known = self._seen.get(address.upper())

        def make(ended: Callable[[BleakClient], None]) -> BleakClient:
            return BleakClient(
                known or address,
                ended,
                timeout=timeout_ms / 1000,
                winrt={"use_cached_services": False},
                backend=self._client_backend,
            )

        try:
            link = BleakLink(address, make)
        except (BleakError, OSError) as error:
            raise _not_available(error) from error
        try:
            async with asyncio.timeout(timeout_ms / 1000), self._connecting:
                await link.open()
        except BaseException as error:
            await link.close()
            if isinstance(error, TimeoutError):
                raise LinkLostError(f"{address}: not connected within {timeout_ms} ms") from None
            if isinstance(error, RemoteError):
                raise LinkLostError(f"{address}: {error}") from error
            raise
        _log.info("connected to %s: %s", address, ", ".join(sorted(link.services)))
        self._links = [*(other for other in self._links if other.closed is None), link]
        return link

    async def close(self) -> None:
        """End all connections."""
        for link in self._links:
            await link.close()
        self._links.clear()


def _sighting(device: BLEDevice, data: AdvertisementData) -> Sighting:
    manufacturer = next(iter(data.manufacturer_data.items()), None)
    return Sighting(
        address=device.address.upper(),
        name=data.local_name or "",
        services=frozenset(uuid.lower() for uuid in data.service_uuids),
        manufacturer=manufacturer,
        rssi_dbm=data.rssi,
    )


def _not_available(error: Exception, reason: str = "") -> LinkLostError:
    line = f"Bluetooth is not available on this computer: {reason or _words(error)}"
    return LinkLostError(line, next_step=bluetooth_step(error, reason))


def _words(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
