"""What foreign clients and our other commands make of our device over real BlueZ."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.bluez.commands import finished, keyswitch, smpmgr
from tests.bluez.conftest import Pump
from tests.bluez.stack import NAME, stack

from keyswitch.testing.device import DeviceUnderTest, running_device

pytestmark = [pytest.mark.bluez, pytest.mark.timeout(200)]


@pytest.mark.parametrize("service", ["reconnect", "always"])
def test_smpmgr_updates_in_maintenance(pump: Pump, tmp_path: Path, service: str) -> None:
    policy = pump.policy_file(service, ('service = "reconnect"', f'service = "{service}"'))

    async def story(device: DeviceUnderTest) -> None:
        async with stack(device):
            device.press(5)
            await smpmgr("upgrade", "--slot", "1", pump.new)
            await smpmgr("image", "state-write", "--confirm")
        assert finished(device) == ("maintenance", "1.1.0", True)

    with running_device(tmp_path / "pump", policy=policy, image=pump.old) as device:
        asyncio.run(story(device))


def test_status_and_scan_say_what_is_near(pump: Pump, tmp_path: Path) -> None:
    async def story(device: DeviceUnderTest) -> None:
        async with stack(device):
            code, said = await keyswitch("status", f"ble:{NAME}")
            assert (code, said[0]["gate"]) == (1, "shut"), said
            code, said = await keyswitch("scan", "--seconds", "5")
            assert code == 0
            assert device.ready["address"] in json.dumps(said)

    with running_device(tmp_path / "pump", policy=pump.policy_file("plain"), image=pump.old) as device:
        asyncio.run(story(device))
