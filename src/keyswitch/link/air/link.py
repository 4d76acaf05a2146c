"""The air itself: who is there, who hears an advertisement, which connections there are. Bumble's bus, with our rules.

Rules kept here:

* Only controllers that scan or want to connect hear advertisements: a thousand idle devices cost nothing.
* A connection belongs to its two controllers, not to addresses: what the peer calls itself decides nothing.
* A controller that goes away does so without a word; its peers find out by supervision timeout.
"""

import asyncio
import random
from typing import Any, Protocol

from bumble import hci
from bumble.link import LocalLink

from keyswitch.link.air.advertising import Heard
from keyswitch.link.air.connection import AirConnection
from keyswitch.link.air.connection_events import Air, Parameters
from keyswitch.link.air.settings import AirSettings
from keyswitch.timing.rules import (
    INTERVAL_UNIT_US,
    MIN_DATA_LENGTH,
    SUPERVISION_UNIT_US,
    TRANSMIT_WINDOW_DELAY_US,
    Phy,
)


class Member(Protocol):
    """What the air asks of a controller on it."""

    @property
    def listening(self) -> bool:
        """Whether it scans, or waits for somebody to connect to."""
        ...

    def hear(self, heard: Heard, sender: "Member") -> None:
        """An advertising event of `sender`."""
        ...

    def open(self, air: AirConnection, *, self_address: hci.Address, peer_address: hci.Address) -> None:
        """One end of a new connection is its own."""
        ...

    def vanish(self) -> None:
        """It loses power: everything is dropped without a word."""
        ...


class AirLink(LocalLink):
    """The air between controllers of one process.

    Args:
        settings: what the air is like.
    """

    def __init__(self, settings: AirSettings | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Bumble annotates no __init__ without arguments
        self.settings = settings or AirSettings()
        self.chance = random.Random(self.settings.seed)  # noqa: S311 - losses must repeat
        self.connections: list[AirConnection] = []
        self._members: list[Member] = []
        self._named = 0

    @property
    def now_us(self) -> int:
        """The time of the running loop."""
        return round(asyncio.get_running_loop().time() * 1_000_000)

    def new_public_address(self) -> str:
        """A public address that nobody else on this air has."""
        self._named += 1
        return ":".join(f"{byte:02X}" for byte in (0x02_0000_000000 + self._named).to_bytes(6, "big"))

    def add_controller(self, controller: Any) -> None:
        """Bumble's hook: a controller appears."""
        super().add_controller(controller)
        self._members.append(controller)

    def remove_controller(self, controller: Any) -> None:
        """A controller disappears without a word."""
        if controller in self._members:
            controller.vanish()
            super().remove_controller(controller)
            self._members.remove(controller)

    def broadcast(self, sender: Member, heard: Heard) -> None:
        """An advertisement and its scan response go out; who listens hears both."""
        for member in self._members:
            if member is not sender and member.listening:
                member.hear(heard, sender)

    def connect(
        self,
        central: Member,
        peripheral: Member,
        *,
        central_address: hci.Address,
        peripheral_address: hci.Address,
        interval: int,
        supervision: int,
        latency: int,
    ) -> None:
        """Make a connection; interval and supervision timeout in their HCI units (1.25 ms and 10 ms)."""
        settings = self.settings
        parameters = Parameters(
            interval_us=settings.interval_us or interval * INTERVAL_UNIT_US,
            latency=latency,
            supervision_us=supervision * SUPERVISION_UNIT_US,
            phy=settings.phy or Phy.LE_1M,
            data_length=settings.data_length or MIN_DATA_LENGTH,
        )
        air = Air(
            parameters=parameters,
            anchor_us=self.now_us + TRANSMIT_WINDOW_DELAY_US,
            host_us=settings.host_us,
            loss=settings.loss,
            pdus_per_event=settings.pdus_per_event,
            chance=self.chance,
        )
        connection = AirConnection(air, now_us=lambda: self.now_us, ended=self.connections.remove)
        central.open(connection, self_address=central_address, peer_address=peripheral_address)
        peripheral.open(connection, self_address=peripheral_address, peer_address=central_address)
        self.connections.append(connection)
        connection.begin()
