"""A device's radio and hosts' radios for tests, whole, on one modelled air."""

import asyncio
from typing import Any, Self

from keyswitch.gatt.services import device_table
from keyswitch.gatt.table import GattTable
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import parse_air
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.peripheral import BumblePeripheral
from keyswitch.link.bumble.radio import on_air
from keyswitch.link.peripheral import Advertisement
from keyswitch.smp.framing import ble
from keyswitch.terms import Security

ADDRESS = "F0:00:00:00:00:07"
ADVERTISEMENT = Advertisement(data=bytes.fromhex("020106"), scan_response=b"\x07\x09Pump 7")
SMP = (ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID)


def table(*, smp: bool = True, security: Security = Security.NONE) -> GattTable:
    return device_table("Pump 7", smp=smp, smp_security=security)


class Device:
    """A peripheral that answers every `size` bytes written to a characteristic with 20, and keeps what it saw.

    Attributes:
        seen: events, as tuples.
        written_to: characteristic and value of each write.
    """

    def __init__(self, air: AirLink, *, size: int = 1, shown: GattTable | None = None, **options: Any) -> None:
        self.radio = BumblePeripheral(on_air(air, "device"), address=ADDRESS, table=shown or table(), **options)
        self.size, self.got = size, 0
        self.seen: list[tuple[Any, ...]] = []
        self.written_to: list[tuple[str, bytes]] = []
        self.tasks: list[asyncio.Future[bool]] = []

    async def start(self) -> "Device":
        await self.radio.start(self)
        await self.radio.advertise(ADVERTISEMENT)
        return self

    def connected(self, connection: int, address: str) -> None:
        self.seen.append(("connected", connection, address))

    def disconnected(self, connection: int, reason: str) -> None:
        self.seen.append(("disconnected", connection, reason, asyncio.get_running_loop().time()))

    def written(self, connection: int, characteristic: str, value: bytes) -> None:
        self.written_to.append((characteristic, value))
        self.got += len(value)
        while self.got >= self.size:
            self.got -= self.size
            self.tasks.append(asyncio.ensure_future(self.radio.notify(connection, characteristic, bytes(20))))

    def subscribed(self, connection: int, characteristic: str, on: bool) -> None:
        self.seen.append(("subscribed", connection, characteristic, on))

    def may_access(self, connection: int, characteristic: str) -> bool:
        return False

    def secured(self, connection: int, security: Security) -> None:
        self.seen.append(("secured", connection, security))

    def words(self) -> list[str]:
        return [entry[0] for entry in self.seen]

    def levels(self) -> list[Security]:
        return [entry[2] for entry in self.seen if entry[0] == "secured"]


class World:
    """An air with one device; hosts as they are needed. Everything is given back at the end.

    Args:
        air: settings, as for `--air`.
        options: of the `Device`.
    """

    def __init__(self, air: str = "interval_ms=15,phy=2M,dle=251", **options: Any) -> None:
        self._settings, self._options = air, options
        self._adapters: list[BumbleAdapter] = []

    async def __aenter__(self) -> Self:
        self.air = AirLink(parse_air(self._settings))
        self.device = await Device(self.air, **self._options).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for adapter in self._adapters:
            await adapter.close()
        await self.device.radio.close()
        await asyncio.gather(*self.device.tasks, return_exceptions=True)

    def adapter(self, **options: Any) -> BumbleAdapter:
        number = len(self._adapters) + 1
        options.setdefault("address", f"C0:00:00:00:00:{number:02X}")
        adapter = BumbleAdapter(on_air(self.air, f"host {number}"), **options)
        self._adapters.append(adapter)
        return adapter


def person(shown: list[str]) -> Any:
    """Somebody who types what the device shows, once it shows something new."""
    known = len(shown)

    async def read() -> int | None:
        while len(shown) <= known:  # noqa: ASYNC110 - people look now and then
            await asyncio.sleep(0.1)
        return int(shown[-1])

    return read


def bonds(address: str = ADDRESS, **options: Any) -> Bonds:
    """A store of bonds with its own, repeatable, random bytes."""
    return Bonds(address, draw=lambda size: bytes(range(1, size + 1)), **options)
