"""What is near: devices that could be updated, as their advertisements tell. Nothing is connected.

An advertisement authorises nothing and may be old. It tells which services the device *shows*, not whether its gate is
open: a device that shows its update service may refuse every command (`keyswitch.host.connect.probe` asks).
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keyswitch.errors import LinkLostError
from keyswitch.host.connect.heard import called
from keyswitch.link.ports import Adapter, Sighting
from keyswitch.policy.model import Policy
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode
from keyswitch.text import plain

START_MS = 5_000
"""Bound for a radio to be switched on, beside the listening itself."""


class Shows(StrEnum):
    """Which of the two services a device advertises. The value is the word in JSON."""

    UPDATE_SERVICE = "update service"
    """The SMP service, alone or beside ours."""
    MODE_SERVICE = "mode service"
    """Ours alone: its firmware is not to be had now."""
    NEITHER = "neither"


MODE_INDEX_OR_ABOVE: Final = 15
"""What a beacon says for the sixteenth mode of a file and for each behind it (`keyswitch.smp.groups.mode.Beacon`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """One device that was heard.

    Attributes:
        address: of the advertiser.
        name: complete local name, else the shortened one; empty if none was heard.
        rssi_dbm: signal strength when it was last heard.
        shows: the service that it advertises.
        mode_index: place of its mode in its policy file, None if it does not tell.
        company_id: of its manufacturer data, None if it has none.
        token: correlation token, empty if it has none.
    """

    address: str
    name: str
    rssi_dbm: int | None
    shows: Shows
    mode_index: int | None
    token: bytes
    company_id: int | None = None

    def mode_by(self, policy: Policy) -> str | None:
        """The name of its mode, if it is the device of this policy; None where the advertisement shows that it is not.

        An advertisement does not tell which policy a device obeys: only the name and the company can be compared.
        """
        is_it = self.name == plain(policy.device.name) and self.company_id == policy.device.company_id
        modes = list(policy.modes)
        place = self.mode_index
        if not is_it or place is None or place >= len(modes):
            return None
        return None if place == MODE_INDEX_OR_ABOVE and len(modes) > place + 1 else modes[place]


def seen_as(heard: Sighting) -> FoundDevice:
    """What an advertisement tells."""
    beacon = mode.Beacon.decode(heard.manufacturer[1]) if heard.manufacturer is not None else None
    shows = Shows.NEITHER
    if ble.SERVICE_UUID in heard.services:
        shows = Shows.UPDATE_SERVICE
    elif mode.SERVICE_UUID in heard.services:
        shows = Shows.MODE_SERVICE
    return FoundDevice(
        address=heard.address,
        name=plain(called(heard)),
        rssi_dbm=heard.rssi_dbm,
        shows=shows,
        mode_index=beacon.mode_index if beacon is not None else None,
        token=beacon.token if beacon is not None else b"",
        company_id=heard.manufacturer[0] if heard.manufacturer is not None else None,
    )


async def listen(adapter: Adapter, timeout_ms: int, *, everything: bool = False) -> tuple[FoundDevice, ...]:
    """Listen for `timeout_ms`; the devices heard, strongest first, each as it was heard last.

    Args:
        adapter: the radio.
        timeout_ms: how long.
        everything: also devices that show neither of the two services.

    Raises:
        LinkLostError: the radio cannot be used.
    """
    heard: dict[str, FoundDevice] = {}
    try:
        async with asyncio.timeout((timeout_ms + START_MS) / 1000), aclosing(adapter.scan(timeout_ms)) as sightings:
            async for sighting in sightings:
                heard[sighting.address] = seen_as(sighting)
    except TimeoutError:
        raise LinkLostError(f"the radio did not answer within {timeout_ms + START_MS} ms") from None
    found = [near for near in heard.values() if everything or near.shows is not Shows.NEITHER]
    return tuple(sorted(found, key=lambda near: (-(near.rssi_dbm or -999), near.address)))
