"""The device's radio, for a device process that has one: all that such a process needs Bumble for stands here.

It is imported where a radio is asked for, and nowhere else: a device behind UDP or a serial line runs without Bumble.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyswitch.device.events import CaptureEnded, to_json
from keyswitch.device.process.options import virtual_port
from keyswitch.device.runtime.passkey import PasskeyDisplay
from keyswitch.device.storage.identity import RadioIdentity
from keyswitch.device.transport.gatt_profile import gatt_profile
from keyswitch.link.air.hub import Hub
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import AirSettings
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.bumble.capture import Capture
from keyswitch.link.bumble.peripheral import BumblePeripheral
from keyswitch.link.bumble.radio import Opener, on_air, transport
from keyswitch.policy.model import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """A radio before a device is on it.

    Attributes:
        name: HCI transport by which others reach it.
        opener: where the device's own controller is.
        capture: takes what passes between the device and its controller; None: nothing does.
    """

    name: str
    opener: Opener
    capture: Capture | None

    def peripheral(self, policy: Policy, identity: RadioIdentity, display: PasskeyDisplay) -> BumblePeripheral:
        """The device on this radio.

        Raises:
            InputError: the identity's bonds are none.
        """
        return BumblePeripheral(
            self.opener,
            address=identity.address,
            table=gatt_profile(policy, identity.address, identity.second_address).tables[False],
            name=policy.device.name,
            bonds=Bonds(identity.address, identity.bonds, save=identity.save_bonds, origin=identity.origin),
            show_passkey=display.show,
            capture=self.capture,
        )


async def open_radio(
    ble: str,
    *,
    air: AirSettings,
    name: str,
    capture: Path | None,
    report: Callable[[dict[str, Any]], None],
    stack: AsyncExitStack,
) -> Radio:
    """Open a radio, and its capture file, for as long as `stack` is open.

    Args:
        ble: `virtual[:PORT]`, or an HCI transport as Bumble names it.
        air: what the virtual air is like.
        name: the device's name.
        capture: file for what passes between the device and its controller (btsnoop); None: none.
        report: told if the capture ends early.
        stack: closes it all.

    Raises:
        InputError: the capture file cannot be made, or the port cannot be used.
    """
    captured = None if capture is None else stack.enter_context(_open_capture(capture, report))
    port = virtual_port(ble)
    if port is None:
        return Radio(name=ble, opener=transport(ble), capture=captured)
    link = AirLink(air)
    hub = Hub(link)
    stack.push_async_callback(hub.close)
    await hub.start(port)
    return Radio(name=hub.name, opener=on_air(link, name), capture=captured)


def _open_capture(path: Path, report: Callable[[dict[str, Any]], None]) -> Capture:
    def failed(why: str) -> None:
        report(to_json(CaptureEnded(file=str(path), why=why)))

    return Capture(path, failed)
