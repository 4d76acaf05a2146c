"""Memory of an idle device, with 1, 10 and 100 of them in one process; their flash lies in files.

    python -m bench.idle        # exit code 1 if a promise is not kept

Whole devices: server, runtime with its worker, a UDP socket, flash and documents on disk; with a radio too they have a
controller on the modelled air, Bumble's host and the GATT server, and advertise. The policy is one value for all, as in
a simulation of a fleet. Counted is what Python allocates; the code itself is there once.
"""

import asyncio
import gc
import secrets
import sys
import tempfile
import tracemalloc
from contextlib import AsyncExitStack
from pathlib import Path

from tests.device.server_rig import SECRET, make_image, pump

from keyswitch.device.process.factory import install_first_images
from keyswitch.device.process.process import build
from keyswitch.device.storage.flash_file import FlashFile
from keyswitch.device.storage.state_dir import FLASH, StateDir
from keyswitch.device.transport.udp import UdpTransport
from keyswitch.gatt.services import device_table
from keyswitch.link.air.link import AirLink
from keyswitch.link.bumble.peripheral import BumblePeripheral
from keyswitch.link.bumble.radio import on_air
from keyswitch.mcuboot.bootloader import BootConfig
from keyswitch.mcuboot.keys import VerificationKeys
from keyswitch.policy.bootloader import layout_of
from keyswitch.policy.model import Policy
from keyswitch.terms import Transport

COUNTS = (1, 10, 100)
PROMISED_BYTES = 200_000


async def _device(
    directory: Path, policy: Policy, config: BootConfig, stack: AsyncExitStack, air: AirLink | None
) -> None:
    state = stack.enter_context(StateDir.open(directory))
    flash = stack.enter_context(FlashFile(directory / FLASH, config.layout.geometry, create=True))
    install_first_images(flash, config.layout, (make_image("1.0.0"),))
    udp = UdpTransport("127.0.0.1", 0, max_packet=policy.smp.buf_size)
    name = policy.device.name
    radio = None
    if air is not None:
        address = f"C0:{secrets.token_bytes(5).hex(':').upper()}"
        radio = BumblePeripheral(on_air(air, name), address=address, table=device_table(name, smp=False), name=name)
    runtime = build(
        policy,
        flash=flash,
        boot_config=config,
        store=state,
        secret=SECRET,
        peripheral=radio,
        others={Transport.UDP: udp},
        random=secrets.token_bytes,
    )
    stack.push_async_callback(runtime.close)
    await runtime.start()


async def _bytes_per_device(count: int, *, radio: bool) -> float:
    policy = pump()
    air = AirLink() if radio else None
    config = BootConfig(layout=layout_of(policy), keys=VerificationKeys())
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        await _device(directory / "first", policy, config, stack, air)  # what is imported and cached once
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(count):
                await _device(directory / str(number), policy, config, stack, air)
            await asyncio.sleep(0.05)  # idle: every worker sleeps
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return (after - before) / count


def bytes_per_device(count: int, *, radio: bool) -> float:
    """Memory of one idle device when there are `count` of them."""
    return asyncio.run(_bytes_per_device(count, radio=radio))


def run() -> dict[str, object]:
    """The numbers as `idle`, and what fell short as `missed`."""
    found = {
        f"bytes_per_device_{count}{'_with_radio' if radio else ''}": bytes_per_device(count, radio=radio)
        for radio in (False, True)
        for count in COUNTS
    }
    for name, value in found.items():
        print(f"{name:34} {value:12,.0f}   (at most {PROMISED_BYTES:,})")
    missed = [
        f"{name} is {value:,.0f}, promised {PROMISED_BYTES:,}"
        for name, value in found.items()
        if value > PROMISED_BYTES
    ]
    return {"idle": found, "missed": missed}


if __name__ == "__main__":
    sys.exit(1 if run()["missed"] else 0)
