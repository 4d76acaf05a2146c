"""Legacy advertising on a controller: one change at a time, always the latest wish."""

import asyncio
from collections.abc import Callable

from bumble import hci

from keyswitch.errors import LinkLostError, LocalError
from keyswitch.link.bumble.radio import HciRadio
from keyswitch.link.peripheral import Advertisement
from keyswitch.timing.rules import ADVERTISING_UNIT_US

MAX_DATA = 31
"""Core spec Vol 3 Part C 11."""
_ALL_CHANNELS = 7
_CONNECTABLE = 0
"""ADV_IND: Vol 4 Part E 7.8.5."""


def check(advertisement: Advertisement) -> None:
    """Raise `LocalError` if it cannot be sent."""
    longest = max(len(advertisement.data), len(advertisement.scan_response))
    if longest > MAX_DATA:
        raise LocalError(f"{longest} bytes of advertising data: at most {MAX_DATA}")


class Advertiser:
    """Advertising of one radio.

    Attributes:
        on: whether the controller advertises.
    """

    def __init__(self, radio: HciRadio) -> None:
        self.on = False
        self._radio = radio
        self._turn = asyncio.Lock()

    def stopped(self) -> None:
        """The controller has stopped by itself: it was connected to."""
        self.on = False

    async def apply(self, wanted: Callable[[], Advertisement | None], *, connected: Callable[[], bool]) -> None:
        """Advertise what is wanted when it is this call's turn.

        A controller that cannot advertise while it is connected stays silent: the end of the connection is the next
        occasion.

        Raises:
            LinkLostError: the controller is gone, or refuses without being connected.
        """
        async with self._turn:
            if self.on:
                self.on = False
                await self._radio.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=0))
            advertisement = wanted()
            if advertisement is None:
                return
            try:
                await self._set(advertisement)
                await self._radio.command(hci.HCI_LE_Set_Advertising_Enable_Command(advertising_enable=1))
                self.on = True
            except hci.HCI_Error as error:
                if not connected():
                    raise LinkLostError(f"the controller refuses to advertise: {error}") from error

    async def _set(self, wanted: Advertisement) -> None:
        interval = max(1, wanted.interval_ms * 1000 // ADVERTISING_UNIT_US)
        await self._radio.command(
            hci.HCI_LE_Set_Advertising_Parameters_Command(
                advertising_interval_min=interval,
                advertising_interval_max=interval,
                advertising_type=_CONNECTABLE,
                own_address_type=hci.OwnAddressType.RANDOM,
                peer_address_type=hci.AddressType.PUBLIC_DEVICE,
                peer_address=hci.Address.ANY,
                advertising_channel_map=_ALL_CHANNELS,
                advertising_filter_policy=0,
            )
        )
        await self._radio.command(hci.HCI_LE_Set_Advertising_Data_Command(advertising_data=wanted.data))
        await self._radio.command(hci.HCI_LE_Set_Scan_Response_Data_Command(scan_response_data=wanted.scan_response))
