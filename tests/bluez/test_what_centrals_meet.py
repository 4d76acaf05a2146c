"""What a central on real BlueZ meets under each strategy, before, during and after maintenance."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.bluez.bluez import service_uuids
from tests.bluez.central import ANSWERED, DISCONNECTED, NO_SERVICE, NOT_AUTHORIZED, REFUSED, Central, connected
from tests.bluez.conftest import Pump
from tests.bluez.stack import NAME, stack
from tests.rigs.vhci import AttPacket, Vhci

from keyswitch.gatt.services import GATT_HANDLE
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode
from keyswitch.testing.device import DeviceUnderTest, running_device

pytestmark = [pytest.mark.bluez, pytest.mark.timeout(150)]

SETTLED_MS = 20_000
SERVICE_CHANGED_CCC = GATT_HANDLE + 3
WRITE_REQUEST, WRITE_RESPONSE = 0x12, 0x13


def watching(packet: AttPacket) -> bool:
    """BlueZ subscribes to Service Changed: some time after bleak has said that it is connected."""
    wanted = bytes([WRITE_REQUEST]) + SERVICE_CHANGED_CCC.to_bytes(2, "little") + b"\x02\x00"
    return packet.from_kernel and packet.data == wanted


async def is_watching(air: Vhci, since: int) -> None:
    asked = await air.until(watching, "BlueZ subscribes to Service Changed", SETTLED_MS, since=since)
    await air.until(lambda packet: packet.data == bytes([WRITE_RESPONSE]), "the device agrees", SETTLED_MS, since=asked)


@asynccontextmanager
async def watching_central(air: Vhci) -> AsyncIterator[Central]:
    """A connected central whose BlueZ has subscribed to Service Changed."""
    since = len(air.heard)
    async with connected(NAME) as central:
        await is_watching(air, since)
        yield central


EXPECTED = {
    "reconnect": [NO_SERVICE, DISCONNECTED, ANSWERED, REFUSED, NO_SERVICE],
    "live": [NO_SERVICE, NO_SERVICE, ANSWERED, NO_SERVICE, NO_SERVICE],
    "always": [REFUSED, ANSWERED, ANSWERED, REFUSED, REFUSED],
    "authorize": [NOT_AUTHORIZED, ANSWERED, ANSWERED, NOT_AUTHORIZED, NOT_AUTHORIZED],
}
"""In normal mode; when maintenance begins; connected anew; when it ends; connected anew. As docs/gatt.md says, but for
the application under `live`: bleak's list is a snapshot, and only the system below it sees the change."""


@pytest.mark.parametrize("bonded", [False, True], ids=["open", "bonded"])
@pytest.mark.parametrize("service", EXPECTED)
def test_what_a_central_meets(pump: Pump, tmp_path: Path, service: str, *, bonded: bool) -> None:
    async def story(device: DeviceUnderTest) -> list[str]:
        met: list[str] = []
        address = device.ready["address"]
        async with stack(device) as (here, air):
            async with watching_central(air) as central:
                assert mode.SERVICE_UUID in central.services
                if bonded:
                    await central.client.pair()
                met.append(await central.sees())
                device.press(5)
                if service == "reconnect":
                    assert await central.ended(SETTLED_MS)
                if service == "live":
                    await here.until(
                        lambda found: ble.SERVICE_UUID in service_uuids(found, address),
                        "BlueZ has seen the SMP service",
                        SETTLED_MS,
                    )
                met.append(await central.sees())
            async with watching_central(air) as central:
                met.append(await central.sees())
                device.advance(901)
                if service == "live":
                    await here.until(
                        lambda found: ble.SERVICE_UUID not in service_uuids(found, address),
                        "BlueZ has seen the SMP service go",
                        SETTLED_MS,
                    )
                    met.append(NO_SERVICE)
                else:
                    met.append(await central.sees())
            async with watching_central(air) as central:
                met.append(await central.sees())
        return met

    policy = pump.policy_file(service, ('service = "reconnect"', f'service = "{service}"'))
    with running_device(tmp_path / "pump", policy=policy, image=pump.old) as device:
        assert asyncio.run(story(device)) == EXPECTED[service]
