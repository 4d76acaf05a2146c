"""A bleak backend on the modelled air: bleak as it would be if this computer's adapter were one of ours."""

import asyncio
from typing import Any, ClassVar

from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.backends.service import BleakGATTService, BleakGATTServiceCollection
from bleak.exc import BleakError, BleakGATTProtocolError

from keyswitch.errors import KeyswitchError
from keyswitch.gatt.table import Property
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.ports import GattRefused

_PROPERTIES = {
    Property.READ: "read",
    Property.WRITE_WITHOUT_RESPONSE: "write-without-response",
    Property.WRITE: "write",
    Property.NOTIFY: "notify",
    Property.INDICATE: "indicate",
}


def translated(error: KeyswitchError) -> Exception:
    if isinstance(error, GattRefused) and error.code is not None:
        return BleakGATTProtocolError(error.code)
    return BleakError(str(error))


class AirScanner(BaseBleakScanner):
    radio: ClassVar[BumbleAdapter]

    def __init__(self, callback: Any, service_uuids: Any, _mode: Any, **_options: Any) -> None:
        super().__init__(callback, service_uuids)
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.task = asyncio.ensure_future(self.run())

    async def run(self) -> None:
        async for sighting in self.radio.scan(3_600_000):
            data = AdvertisementData(
                local_name=sighting.name or None,
                manufacturer_data=dict([sighting.manufacturer] if sighting.manufacturer else []),
                service_data={},
                service_uuids=sorted(sighting.services),
                tx_power=None,
                rssi=sighting.rssi_dbm or 0,
                platform_data=(),
            )
            device = self.create_or_update_device(sighting.address, sighting.address, sighting.name, None, data)
            self.call_detection_callbacks(device, data)

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)


class AirClient(BaseBleakClient):
    radio: ClassVar[BumbleAdapter]
    link: Any = None

    @property
    def name(self) -> str:
        return self.address

    @property
    def mtu_size(self) -> int:
        return self.link.att.mtu

    @property
    def is_connected(self) -> bool:
        return self.link is not None and self.link.closed is None

    async def connect(self, pair: bool, **_options: Any) -> None:
        try:
            self.link = await self.radio.connect(self.address, int(self._timeout * 1000))
        except KeyswitchError as error:
            raise translated(error) from error
        self.services = BleakGATTServiceCollection()
        for service in self.link.found:
            ours = BleakGATTService(service, service.start, service.uuid)
            self.services.add_service(ours)
            for found in service.characteristics:
                properties = [word for flag, word in _PROPERTIES.items() if found.properties & flag]
                characteristic = BleakGATTCharacteristic(
                    found, found.handle, found.uuid, properties, lambda: self.link.max_write, ours
                )
                self.services.add_characteristic(characteristic)
        self.watching = asyncio.ensure_future(self.watch())

    async def watch(self) -> None:
        await self.link.wait_closed(10**9)
        if self._disconnected_callback:
            self._disconnected_callback()

    async def disconnect(self) -> None:
        if self.link is not None:
            await self.link.close()

    async def pair(self, *_args: Any, **_options: Any) -> None:
        await self.ask(self.link.pair())

    async def unpair(self) -> None:
        self.radio.forget(self.address)

    async def ask(self, call: Any) -> Any:
        try:
            return await call
        except KeyswitchError as error:
            raise translated(error) from error

    async def read_gatt_char(self, characteristic: Any, **_options: Any) -> bytearray:
        return bytearray(await self.ask(self.link.read(characteristic.service_uuid, characteristic.uuid)))

    async def write_gatt_char(self, characteristic: Any, data: Any, response: bool) -> None:
        assert not response
        await self.ask(self.link.write(characteristic.service_uuid, characteristic.uuid, bytes(data)))

    async def start_notify(self, characteristic: Any, callback: Any, **_options: Any) -> None:
        sink = lambda value: callback(bytearray(value))  # noqa: E731 - one line
        await self.ask(self.link.subscribe(characteristic.service_uuid, characteristic.uuid, sink))

    async def stop_notify(self, characteristic: Any) -> None:
        raise NotImplementedError

    async def read_gatt_descriptor(self, descriptor: Any, **_options: Any) -> bytearray:
        raise NotImplementedError

    async def write_gatt_descriptor(self, descriptor: Any, data: Any) -> None:
        raise NotImplementedError


def backends(adapter: BumbleAdapter) -> dict[str, Any]:
    """The two classes that bleak wants, bound to one radio."""
    bound = {"radio": adapter}
    return {
        "client_backend": type("Client", (AirClient,), dict(bound)),
        "scanner_backend": type("Scanner", (AirScanner,), dict(bound)),
    }
