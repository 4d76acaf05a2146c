"""A device and its operators in one process, on one modelled air: for tests and simulations, in virtual or real time.

The device is the whole one: policy, gate, bootloader, GATT server and runtime. Only its flash and its documents are in
memory, and its random bytes come from a seed, so that a run in virtual time repeats exactly.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from keyswitch.device.process.factory import install_first_images
from keyswitch.device.process.process import build, check_loader_gated
from keyswitch.device.runtime.runtime import Runtime
from keyswitch.device.server.components import Components
from keyswitch.device.storage.store import MemoryStore
from keyswitch.device.transport.gatt_profile import gatt_profile
from keyswitch.device.transport.ports import DeviceTransport
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import AirSettings
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.peripheral import BumblePeripheral
from keyswitch.link.bumble.radio import on_air
from keyswitch.mcuboot.flash import NO_TIMES, Flash, FlashTimes, RamFlash
from keyswitch.policy.bootloader import boot_config_of
from keyswitch.policy.model import Policy
from keyswitch.terms import Transport

DEVICE_ADDRESS = "C4:00:00:00:00:07"
SECOND_ADDRESS = "C4:00:00:00:00:08"
OPERATOR_ADDRESS = "C8:00:00:00:00:0{}"


class VirtualWorld:
    """One device on one air. Use it as an async context manager; it powers the device up and down.

    If the device itself fails meanwhile, leaving the context manager raises what it failed by.

    Args:
        policy: the device's rules; its key files are read.
        image: a signed image for the primary slot.
        loader: a signed firmware loader for the other, where the policy's bootloader has one.
        secret: for entry by challenge.
        issuers: Ed25519 public keys that may issue permits.
        air: what the air is like.
        flash_times: what flash work costs.
        parts: what the device is made of; plant faults here.
        report: told what happens at the device.
        seed: of the device's random bytes.
        more_images: those of the further image pairs, where the policy has several.
        others: the device's transports besides its radio.
    """

    def __init__(
        self,
        policy: Policy,
        image: bytes,
        *,
        secret: bytes | None = None,
        issuers: tuple[bytes, ...] = (),
        air: AirSettings | None = None,
        flash_times: FlashTimes = NO_TIMES,
        parts: Components | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
        seed: int = 0,
        more_images: Sequence[bytes] = (),
        others: Mapping[Transport, DeviceTransport] | None = None,
        loader: bytes | None = None,
    ) -> None:
        self.policy = policy
        self.air = AirLink(air)
        self.store = MemoryStore()
        config = boot_config_of(policy)
        self.layout = config.layout
        self.flash: Flash = RamFlash(config.layout.geometry, flash_times)
        check_loader_gated(policy)
        install_first_images(self.flash, config.layout, (image, *more_images), loader=loader)
        name = policy.device.name
        table = gatt_profile(policy, DEVICE_ADDRESS, SECOND_ADDRESS).tables[False]
        self.passkeys: list[str] = []
        """What the device has shown for pairing, oldest first."""
        self.peripheral = BumblePeripheral(
            on_air(self.air, name),
            address=DEVICE_ADDRESS,
            table=table,
            name=name,
            show_passkey=self.passkeys.append,
            server=(parts or Components()).gatt_server,
        )
        self.device: Runtime = build(
            policy,
            flash=self.flash,
            boot_config=config,
            store=self.store,
            secret=secret,
            issuers=issuers,
            peripheral=self.peripheral,
            second_address=SECOND_ADDRESS,
            others=others,
            random=random.Random(seed).randbytes,  # noqa: S311 - runs must repeat
            report=report,
            parts=parts,
        )
        self._adapters: list[BumbleAdapter] = []
        self._failing: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        await self.device.start()
        self._failing = asyncio.ensure_future(self.device.failed())
        return self

    async def __aexit__(self, *_: object) -> None:
        for adapter in self._adapters:
            await adapter.close()
        await self.device.close()
        if self._failing is not None and not self._failing.cancel():
            self._failing.result()

    def adapter(self, **options: Any) -> BumbleAdapter:
        """Another operator's radio on the same air; `options` are `BumbleAdapter`'s."""
        number = len(self._adapters) + 1
        options.setdefault("address", OPERATOR_ADDRESS.format(number))
        adapter = BumbleAdapter(on_air(self.air, f"operator {number}"), **options)
        self._adapters.append(adapter)
        return adapter

    def endpoint(self) -> BleEndpoint:
        """A way to the device that knows nothing but its name, on a radio of its own."""
        name = self.policy.device.name
        return BleEndpoint(self.adapter(), target=f"air:{name}", name=name)
