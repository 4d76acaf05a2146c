"""BlueZ and our device, on one air."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tests.bluez.bluez import Bluez, bluez
from tests.rigs.vhci import Vhci, vhci

from keyswitch.testing.device import DeviceUnderTest

NAME: Final = "Pump 7"


@asynccontextmanager
async def stack(device: DeviceUnderTest) -> AsyncIterator[tuple[Bluez, Vhci]]:
    """BlueZ with hci0 on the device's air."""
    _, host, port = device.hci.split(":")
    async with bluez() as here:
        async with vhci(host, int(port)) as air:
            await here.powered()
            yield here, air
        await here.without_adapter()
