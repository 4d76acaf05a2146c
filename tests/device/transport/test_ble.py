"""Whom the radio invites to connect, and when nobody."""

import asyncio
from typing import Any

import pytest
from tests.integration.files import job_image
from tests.integration.places import STATE, Place, place
from tests.integration.test_first_light import run

from keyswitch.demo.workshop import Workshop
from keyswitch.gate.session import RESET_DELAY_MS
from keyswitch.host.upload.uploader import Capacity, upload
from keyswitch.policy.enums import Visibility
from keyswitch.smp.groups import os


def now_ms() -> int:
    return round(asyncio.get_running_loop().time() * 1000)


async def heard(here: Place, within_ms: int) -> list[tuple[int, str]]:
    """When the device was heard, and which firmware it ran then."""
    device = here.world.device
    return [(now_ms(), here.running if device.powered else "none") async for _ in here.world.adapter().scan(within_ms)]


@pytest.mark.parametrize("closes", [True, False])
def test_nobody_is_invited_to_the_firmware_that_is_about_to_go(pump: Workshop, *, closes: bool) -> None:
    """With the connection closed at once, as clients do that wait for nothing, and without."""

    async def story() -> None:
        async with place(pump, service=Visibility.RECONNECT) as here:
            await here.open()
            central = await here.central(smp_shown=True)
            assert central.smp is not None
            new = job_image(pump.new)
            await upload(central.smp, new.data, Capacity(frame=1_400))
            await central.smp.write(*STATE, {"hash": new.hash})
            await central.smp.write(os.ID, os.Id.RESET)
            granted_ms = now_ms()
            if closes:
                await central.close()
            found = await heard(here, 2_000)
            assert {version for _, version in found} == {new.version}
            assert min(at_ms for at_ms, _ in found) >= granted_ms + RESET_DELAY_MS // 2

    run(story())


def test_a_granted_reset_that_is_turned_down_invites_again(pump: Workshop) -> None:
    async def story() -> None:
        async with place(pump, service=Visibility.RECONNECT) as here:
            await here.open()
            central = await here.central(smp_shown=True)
            assert central.smp is not None
            await central.smp.write(os.ID, os.Id.RESET)
            boots: list[Any] = [each for each in here.world.device.log if each["event"] == "boot"]
            await here.move(moving=True)
            found = await heard(here, 1_000)
            assert {version for _, version in found} == {"1.0.0"}
            assert [each for each in here.world.device.log if each["event"] == "boot"] == boots

    run(story())
