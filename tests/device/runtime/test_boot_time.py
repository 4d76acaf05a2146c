"""What the bootloader writes takes its time, and takes it once."""

import asyncio
from typing import Any

from tests.integration.test_first_light import run

from keyswitch.demo.workshop import Workshop
from keyswitch.device.server.components import Components
from keyswitch.mcuboot.bootloader import BootReport
from keyswitch.mcuboot.flash import TIMES_BY_PROFILE, Flash
from keyswitch.policy.bootloader import boot_config_of
from keyswitch.testing.world import VirtualWorld

TIMES = TIMES_BY_PROFILE["nrf52840"]
SECTORS = 10


def test_a_boot_costs_its_flash_time_once(pump: Workshop) -> None:
    secondary = boot_config_of(pump.policy).layout.pairs[0].secondary

    def slow(flash: Flash, *config: Any, **named: Any) -> BootReport:
        for number in range(SECTORS):
            flash.erase(secondary.offset + number * 4096, 4096)
        return Components().boot(flash, *config, **named)

    async def story() -> float:
        began = asyncio.get_running_loop().time()
        async with VirtualWorld(
            pump.policy, pump.old.read_bytes(), flash_times=TIMES, parts=Components(boot=slow)
        ) as here:
            await here.device.settled()
            return asyncio.get_running_loop().time() - began

    erased_s = SECTORS * TIMES.erase_us_per_sector / 1_000_000
    assert erased_s <= run(story()) < 1.5 * erased_s
