"""Legacy advertising on the modelled air: real intervals, a random delay, scan responses."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from bumble import controller, hci

from keyswitch.timing.rules import ADVERTISING_DELAY_US, ADVERTISING_UNIT_US

_ADV_IND, _ADV_SCAN_IND, _ADV_NONCONN_IND = 0, 2, 3
"""Advertising types: Vol 4 Part E 7.8.5. Only the first takes connections, the last has no scan response."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One advertising event as it is heard."""

    address: hci.Address
    data: bytes
    scan_response: bytes | None
    connectable: bool


class AirAdvertiser(controller.LegacyAdvertiser):
    """Legacy advertising with its real interval, its random delay, and a scan response.

    Args:
        owner: whose it is.
        chance: where the random delay comes from.
        broadcast: takes each advertising event.
    """

    def __init__(self, owner: controller.Controller, chance: random.Random, broadcast: Callable[[Heard], None]) -> None:
        super().__init__(owner)
        self._chance = chance
        self._broadcast = broadcast

    def _on_timer_fired(self) -> None:
        self.send_advertising_data()
        delay_us = self._chance.randrange(ADVERTISING_DELAY_US + 1)
        after_us = self.advertising_interval_min * ADVERTISING_UNIT_US + delay_us
        self.timer_handle = asyncio.get_running_loop().call_later(after_us / 1_000_000, self._on_timer_fired)

    def send_advertising_data(self) -> None:
        """One advertising event."""
        if self.enabled and self.advertising_type in (_ADV_IND, _ADV_SCAN_IND, _ADV_NONCONN_IND):
            response = None if self.advertising_type == _ADV_NONCONN_IND else bytes(self.scan_response_data)
            connectable = self.advertising_type == _ADV_IND
            self._broadcast(Heard(self.address, bytes(self.advertising_data), response, connectable))
