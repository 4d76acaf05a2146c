"""What is near: devices that could be updated, as their advertisements tell. Nothing is connected.

An advertisement authorises nothing and may be old: its gate is what the device *shows*, not what it would do.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass

from keyswitch.errors import LinkLostError
from keyswitch.host.verdict import Gate
from keyswitch.link.ports import Adapter, Sighting
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode
from keyswitch.text import plain

START_MS = 5_000
"""Bound for a radio to be switched on, beside the listening itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """One device that was heard.

    Attributes:
        address: of the advertiser.
        name: complete local name, empty if none was heard.
        rssi_dbm: signal strength when it was last heard.
        gate: open if the SMP service is advertised, shut if our mode service is; unknown otherwise.
        mode_index: place of its mode in the policy file, None if it does not tell.
        token: correlation token, empty if it has none.
    """

    address: str
    name: str
    rssi_dbm: int | None
    gate: Gate
    mode_index: int | None
    token: bytes


def seen_as(heard: Sighting) -> Near:
    """What an advertisement tells."""
    beacon = mode.Beacon.decode(heard.manufacturer[1]) if heard.manufacturer is not None else None
    gate = Gate.UNKNOWN
    if ble.SERVICE_UUID in heard.services:
        gate = Gate.OPEN
    elif mode.SERVICE_UUID in heard.services:
        gate = Gate.SHUT
    return Near(
        address=heard.address,
        name=plain(heard.name),
        rssi_dbm=heard.rssi_dbm,
        gate=gate,
        mode_index=beacon.mode_index if beacon is not None else None,
        token=beacon.token if beacon is not None else b"",
    )


async def listen(adapter: Adapter, timeout_ms: int, *, everything: bool = False) -> tuple[Near, ...]:
    """Listen for `timeout_ms`; the devices heard, strongest first, each as it was heard last.

    Args:
        adapter: the radio.
        timeout_ms: how long.
        everything: also devices that show neither of the two services.

    Raises:
        LinkLostError: the radio cannot be used.
    """
    heard: dict[str, Near] = {}
    try:
        async with asyncio.timeout((timeout_ms + START_MS) / 1000), aclosing(adapter.scan(timeout_ms)) as sightings:
            async for sighting in sightings:
                heard[sighting.address] = seen_as(sighting)
    except TimeoutError:
        raise LinkLostError(f"the radio did not answer within {timeout_ms + START_MS} ms") from None
    found = [near for near in heard.values() if everything or near.gate is not Gate.UNKNOWN]
    return tuple(sorted(found, key=lambda near: (-(near.rssi_dbm or -999), near.address)))
