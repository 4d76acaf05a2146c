"""The same device with a radio: its GATT table, and a modelled air between it and whoever works with it."""

from dataclasses import replace
from typing import Any, Final

from keyswitch.device.server.components import Components
from keyswitch.device.transport.gatt_profile import gatt_profile
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.endpoint import Endpoint
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import parse_air
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.gatt_link import Wishes
from keyswitch.link.bumble.peripheral import BumblePeripheral
from keyswitch.link.bumble.radio import on_air
from keyswitch.link.peripheral import Peripheral
from keyswitch.policy.model import Policy
from keyswitch.terms import Security, Transport
from keyswitch.testing.holes.device import ADDRESS, SECOND_ADDRESS, DeviceInProcess

AIR: Final = "interval_ms=15,phy=2M,dle=251"
"""As fast as phones agree to: an audit waits for answers, and not for the air."""


CALM: Final = Wishes(interval=40)
"""50 ms: most of an audit is waiting, and each connection event of it is reckoned."""


class DeviceOnAir(DeviceInProcess):
    """A device whose Bluetooth LE is a radio; arguments as of `DeviceInProcess`.

    Nobody pairs with it: what its policy asks of the security of links is left out.
    """

    def __init__(self, policy: Policy, parts: Components | None = None, **more: Any) -> None:
        modes = {name: replace(mode, security=Security.NONE) for name, mode in policy.modes.items()}
        ways = tuple(replace(way, security=Security.NONE) for way in policy.transitions)
        super().__init__(replace(policy, modes=modes, transitions=ways), parts, **more)

    def _make_radio(self, parts: Components) -> Peripheral:
        self._air = AirLink(parse_air(AIR))
        self._adapters: list[BumbleAdapter] = []
        name = self.policy.device.name
        return BumblePeripheral(
            on_air(self._air, name),
            address=ADDRESS,
            table=gatt_profile(self.policy, ADDRESS, SECOND_ADDRESS).tables[False],
            name=name,
            server=parts.gatt_server,
        )

    @property
    def ways(self) -> dict[Transport, Endpoint]:
        """A way over each transport; over Bluetooth LE on a radio of its own."""
        name = self.policy.device.name
        adapter = BumbleAdapter(on_air(self._air, "auditor"), wishes=CALM)
        self._adapters.append(adapter)
        air: dict[Transport, Endpoint] = {Transport.BLE: BleEndpoint(adapter, target=f"air:{name}", name=name)}
        return air | super().ways

    async def __aexit__(self, *about: object) -> None:
        for adapter in self._adapters:
            await adapter.close()
        await super().__aexit__(*about)
