"""Whole updates over real BlueZ by our operator: each strategy, and what BlueZ remembers of the device before."""

import asyncio
from pathlib import Path

import pytest
from tests.bluez.central import connected
from tests.bluez.commands import finished, keyswitch
from tests.bluez.conftest import Pump
from tests.bluez.stack import NAME, stack

from keyswitch.testing.device import DeviceUnderTest, running_device

pytestmark = [pytest.mark.bluez, pytest.mark.timeout(200)]


@pytest.mark.parametrize("warm", ["cold", "warm", "bonded"])
@pytest.mark.parametrize("service", ["reconnect", "live", "always", "authorize"])
def test_our_operator_updates_by_the_computers_own_adapter(pump: Pump, tmp_path: Path, service: str, warm: str) -> None:
    policy = pump.policy_file(service, ('service = "reconnect"', f'service = "{service}"'))

    async def story(device: DeviceUnderTest) -> None:
        async with stack(device):
            if warm != "cold":
                async with connected(NAME) as central:
                    if warm == "bonded":
                        await central.client.pair()
            code, said = await keyswitch("update", f"ble:{NAME}", pump.new, "--policy", policy)
        assert (code, said[-1]["outcome"]) == (0, "confirmed"), said[-5:]
        assert finished(device) == ("normal", "1.1.0", True)

    with running_device(tmp_path / "pump", policy=policy, image=pump.old) as device:
        asyncio.run(story(device))
