"""How one device is reached, again and again: the endpoint, and one connection to it.

A connection is what was seen when it was made. A service that was not there then is not believed to be there now; one
that was there and refused can be asked for again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from keyswitch.errors import RemoteError
from keyswitch.host.smp.client import SmpClient
from keyswitch.link.ports import GattLink

CONNECT_MS = 10_000
"""Bound for finding and connecting once: tens of advertisements of the slowest usual kind."""


@dataclass(frozen=True, slots=True)
class SmpChannel:
    """Firmware commands over a link: the client, and how its subscription is made again."""

    client: SmpClient
    heal: Callable[[], Awaitable[None]]


class Connection:
    """One connection to the device, and what can be asked over it.

    Attributes:
        smp: for firmware commands; None where the device did not show them when the connection was made, or refused
            them so far (`open_smp`).
        mode: for the mode group; None where the device has none.
        token: correlation token, empty if the device told none.
        gatt: the link below, where there is one.
        trouble: why `smp` is None although its service is there: the peer's last refusal.
        announced_end: whether the link itself tells when the device is gone (a datagram socket does not).
    """

    def __init__(
        self,
        *,
        smp: SmpClient | None,
        mode: SmpClient | None,
        close: Callable[[], Awaitable[None]],
        closed: Callable[[], str | None],
        wait_closed: Callable[[int], Awaitable[str | None]],
        heal: Callable[[], Awaitable[None]] | None = None,
        gatt: GattLink | None = None,
        token: bytes = b"",
        trouble: RemoteError | None = None,
        announced_end: bool = True,
        subscribe_smp: Callable[[], Awaitable[SmpChannel]] | None = None,
    ) -> None:
        self._subscribe_smp = subscribe_smp
        self.smp = smp
        self.mode = mode
        self.token = token
        self.trouble = trouble
        self.announced_end = announced_end
        self.close = close
        self.wait_closed = wait_closed
        self.heal = heal
        self.gatt = gatt
        self._closed = closed

    @property
    def closed(self) -> str | None:
        """Why the connection has ended; None while it is up."""
        return self._closed()

    async def open_smp(self) -> bool:
        """Ask again for firmware commands that the device shows and has refused; whether they can be sent now.

        Raises:
            LinkLostError: the link is gone or did not answer in time.
        """
        if self.smp is None and self.trouble is not None and self._subscribe_smp is not None:
            try:
                channel = await self._subscribe_smp()
            except RemoteError as error:
                self.trouble = error
            else:
                self.smp, self.heal, self.trouble = channel.client, channel.heal, None
        return self.smp is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """Who the device becomes for a while.

    Attributes:
        name: its name then; or
        next_address: its address is the one of before plus one.
    """

    name: str | None = None
    next_address: bool = False


class Endpoint(Protocol):
    """A way to one device."""

    @property
    def target(self) -> str:
        """As people write it: `ble:Pump 7`, `udp:192.0.2.1`."""
        ...

    @property
    def known_by(self) -> str:
        """What the device is known by now, in words."""
        ...

    @property
    def radio(self) -> bool:
        """Whether it is Bluetooth LE."""
        ...

    @property
    def pair(self) -> bool:
        """Whether each connection is paired."""
        ...

    async def connect(self, *, timeout_ms: int = CONNECT_MS, smp_shown: bool = False, ours: bool = False) -> Connection:
        """Connect and see what is there.

        Args:
            timeout_ms: bound for hearing the device, and again for connecting to it.
            smp_shown: wait for an advertisement that shows the SMP service; an older one is not believed.
            ours: the device that is meant has our mode service, and no other would be worked with.

        Raises:
            LinkLostError: not reached in time.
            InputError: the target names several devices.
        """
        ...

    def learn(self, *, token: bytes = b"", address: str | None = None) -> None:
        """Remember what the device will be known by after the next disconnect."""
        ...

    def visit(self, identity: DeviceIdentity) -> None:
        """Look for the device as somebody else from now on, until `go_home`."""
        ...

    def go_home(self) -> None:
        """Look for the device as before `visit`; nothing to do if there was none."""
        ...

    async def close(self) -> None:
        """Give the radio or port back."""
        ...

    async def connect_elsewhere(self) -> Connection | None:
        """Connect to the only device that has the device's name now, and another address; None if there is none.

        Nothing is learned by it: a name proves nothing. Who finds a proof that it is the device calls `learn`.
        """
        ...
