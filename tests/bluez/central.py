"""A central on real BlueZ, by bleak, with an application's habits: it looks at the services once per connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from bleak import BleakClient, BleakScanner
from bleak.exc import BleakGATTProtocolError
from tests.rigs.smp import Asker
from tests.rigs.wire import LARGEST

from keyswitch.smp.framing import ble
from keyswitch.smp.framing.raw import StreamReceiver
from keyswitch.smp.header import Op

SCAN_S: Final = 15.0
CONNECT_S: Final = 30.0

NO_SERVICE: Final = "sees no SMP service"
DISCONNECTED: Final = "disconnected"
ANSWERED: Final = "answered"
REFUSED: Final = "refused"
NOT_AUTHORIZED: Final = "error 0x08"


class BleakWire:
    """Packets by bleak, as `tests.rigs.wire.Wire`."""

    def __init__(self, client: BleakClient) -> None:
        self._client = client
        self._packets: asyncio.Queue[bytes] = asyncio.Queue()
        self._receiver = StreamReceiver(LARGEST)

    async def begin(self) -> None:
        """Subscribe to answers."""
        await self._client.start_notify(ble.CHARACTERISTIC_UUID, self._heard)

    async def end(self) -> None:
        """Take the subscription back."""
        await self._client.stop_notify(ble.CHARACTERISTIC_UUID)

    async def send(self, packet: bytes) -> None:
        characteristic = self._client.services.get_characteristic(ble.CHARACTERISTIC_UUID)
        assert characteristic is not None
        for piece in ble.pieces(packet, min(characteristic.max_write_without_response_size, ble.MAX_VALUE)):
            await self.send_bytes(piece)

    async def send_bytes(self, data: bytes) -> None:
        await self._client.write_gatt_char(ble.CHARACTERISTIC_UUID, data, response=False)

    async def receive(self, timeout_ms: int) -> bytes | None:
        try:
            return await asyncio.wait_for(self._packets.get(), timeout_ms / 1000)
        except TimeoutError:
            return None

    def _heard(self, _characteristic: object, value: bytearray) -> None:
        now_ms = int(asyncio.get_running_loop().time() * 1000)
        for packet in self._receiver.receive(bytes(value), now_ms).packets:
            self._packets.put_nowait(packet)


class Central:
    """One connection of an application's."""

    def __init__(self, client: BleakClient, ended: asyncio.Event) -> None:
        self.client = client
        self._ended = ended

    @property
    def services(self) -> set[str]:
        """What the application was shown when it connected."""
        return {service.uuid for service in self.client.services}

    async def ended(self, timeout_ms: int) -> bool:
        """Whether the connection has ended or ends within `timeout_ms`."""
        try:
            await asyncio.wait_for(self._ended.wait(), timeout_ms / 1000)
        except TimeoutError:
            return False
        return True

    async def sees(self) -> str:
        """What it meets when it asks for slot information, which only maintenance allows, as docs/gatt.md puts it."""
        if self._ended.is_set():
            return DISCONNECTED
        if ble.SERVICE_UUID not in self.services:
            return NO_SERVICE
        wire = BleakWire(self.client)
        try:
            await wire.begin()
        except BleakGATTProtocolError as error:
            return f"error {int(error.args[0]):#04x}"
        answer: dict[str, Any] = await Asker(wire).ask(Op.READ, 1, 6, {}, timeout_ms=10_000)
        await wire.end()
        return ANSWERED if "images" in answer else REFUSED if answer.get("rc") == 11 else f"{answer}"


@asynccontextmanager
async def connected(name: str) -> AsyncIterator[Central]:
    """Find a device by its name and connect to it."""
    found = await BleakScanner.find_device_by_name(name, timeout=SCAN_S)
    assert found is not None, f"{name} was not heard"
    ended = asyncio.Event()
    async with BleakClient(found, disconnected_callback=lambda _: ended.set(), timeout=CONNECT_S) as client:
        yield Central(client, ended)
