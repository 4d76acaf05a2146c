"""What is near: a radio named as people write it, and what it hears."""

from typing import Final

from keyswitch.errors import InputError
from keyswitch.host.connect.scan import FoundDevice, listen
from keyswitch.link.targets import BleTarget, open_adapter, parse

LISTEN_MS: Final = 5_000
"""A device that advertises every two seconds, the slowest that is usual, is heard even if one packet is lost."""


async def scan(radio: str = "ble:", *, listen_ms: int = LISTEN_MS, everything: bool = False) -> tuple[FoundDevice, ...]:
    """The devices that `radio` hears, strongest first. Nothing is connected.

    Args:
        radio: `ble:`, this computer's own adapter, or `hci:TRANSPORT`.
        listen_ms: how long to listen.
        everything: also devices that show no update service.

    Raises:
        InputError: it is no radio.
        LinkLostError: the radio cannot be used.
    """
    target = parse(radio, anyone=True)
    if not isinstance(target, BleTarget):
        raise InputError(radio, "no radio", "ble: or hci:TRANSPORT")
    adapter = open_adapter(target)
    try:
        return await listen(adapter, listen_ms, everything=everything)
    finally:
        await adapter.close()
