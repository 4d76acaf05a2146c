"""The device's side of the radio: what a peripheral does for us, whatever stack it stands on.

Rules that every implementation keeps:

* A connection has a number that is never used again, not even after a restart of the radio.
* Properties and security of the table are enforced below this port: what reaches `written` was permitted. Where the
  table asks for authorization, the sink is asked at each access and its answer is never kept; without a sink it is no.
* The sink is called from the event loop, in order, and must not block. Nothing reaches it after `close`.
* `disconnected` follows each `connected` exactly once.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from keyswitch.gatt.table import GattTable
from keyswitch.terms import Security

ADVERTISING_INTERVAL_MS = 100
"""Between advertisements: a device is found in well under a second, and an idle one costs nothing."""

AWAITED_INTERVAL_MS = 30
"""The same while somebody is about to connect: TGAP(adv_fast_interval1), for what a person has begun (Core spec Vol 3
Part C Appendix A)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advertisement:
    """What is sent while waiting for centrals.

    Attributes:
        data: advertising data, at most 31 bytes (Core spec Vol 3 Part C 11).
        scan_response: scan response data, at most 31 bytes.
        interval_ms: time between advertisements.
    """

    data: bytes
    scan_response: bytes = b""
    interval_ms: int = ADVERTISING_INTERVAL_MS


class Pace(Enum):
    """How fast a connection should be: connection interval, least and most, in units of 1.25 ms.

    The first is what Zephyr's SMP transport asks for while requests come (7.5 to 11.25 ms); the second leaves a
    battery alone.
    """

    UPLOAD = (6, 9)
    IDLE = (24, 40)


class PeripheralSink(Protocol):
    """What happens on the radio. `connection` is the number of the connection."""

    def connected(self, connection: int, address: str) -> None:
        """A central has connected."""
        ...

    def disconnected(self, connection: int, reason: str) -> None:
        """The connection is gone; the reason in words."""
        ...

    def written(self, connection: int, characteristic: str, value: bytes) -> None:
        """A permitted write of a whole value, with or without response, to the characteristic of this UUID."""
        ...

    def subscribed(self, connection: int, characteristic: str, on: bool) -> None:  # noqa: FBT001 - an event's value
        """The central has switched notifications of a characteristic on or off."""
        ...

    def may_access(self, connection: int, characteristic: str) -> bool:
        """Whether this central may access a characteristic that needs authorization; asked at each access."""
        ...

    def secured(self, connection: int, security: Security) -> None:
        """The link's security has changed. Just Works is `ENCRYPTED`, never `AUTHENTICATED`."""
        ...


class Peripheral(Protocol):
    """A radio in the peripheral role."""

    @property
    def address(self) -> str:
        """The address that is advertised, `AA:BB:CC:DD:EE:FF`."""
        ...

    @property
    def connections(self) -> tuple[int, ...]:
        """Connections that are up, oldest first."""
        ...

    async def start(self, sink: PeripheralSink) -> None:
        """Switch the radio on. Raises `LinkLostError` when there is none, or it does not answer in time."""
        ...

    async def close(self) -> None:
        """Stop advertising, end connections (bounded) and give the radio back."""
        ...

    async def power_off(self) -> None:
        """Be gone at once, as when the power fails: nobody is told, centrals run into their supervision timeout.

        Nothing reaches the sink any more until `start` is called again, which gives a radio without connections and
        without advertisement, at the same address.
        """
        ...

    async def advertise(self, advertisement: Advertisement | None) -> None:
        """Advertise this from now on, also while connected and again after each connection; None: stop."""
        ...

    async def set_address(self, address: str) -> None:
        """Change the static random address. Raises `LocalError` while advertising or connected."""
        ...

    def set_table(self, table: GattTable, *, live: bool = False) -> None:
        """Show this table.

        With `live` false nobody may be connected (`LocalError`). With `live` true connected centrals are treated as
        the specification says: Service Changed to those who subscribed to it, Database Out Of Sync, and so on. Values
        set by `set_value` are kept for characteristics that both tables have.
        """
        ...

    def set_value(self, characteristic: str, value: bytes) -> None:
        """Set what reading the characteristic returns; notifies nobody. Unknown UUIDs are `LocalError`."""
        ...

    def max_notification(self, connection: int) -> int:
        """Largest value in bytes for one notification to this central: ATT MTU - 3, at most 512."""
        ...

    def is_subscribed(self, connection: int, characteristic: str) -> bool:
        """Whether the central gets notifications of the characteristic."""
        ...

    async def notify(self, connection: int, characteristic: str, value: bytes) -> bool:
        """Send a notification; returns when the link has taken it (back-pressure).

        Returns:
            False if the central has not subscribed, or the table does not have the characteristic.

        Raises:
            LinkLostError: the connection is gone.
        """
        ...

    async def delivered(self, connection: int, timeout_ms: int) -> bool:
        """Wait until the peer's link layer has acknowledged all that was sent; False: not in time, or gone."""
        ...

    async def ask_for(self, connection: int, pace: Pace) -> None:
        """Ask the central for this pace; it may do as it likes. No error if the connection is gone."""
        ...

    async def disconnect(self, connection: int) -> None:
        """End the connection (bounded); no error if it is gone already."""
        ...
