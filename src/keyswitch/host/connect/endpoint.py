"""How one device is reached, again and again: over Bluetooth LE by its advertisement, elsewhere by its address.

Rules:

* A device is found by name or address once. After that it is found by what only it has: the correlation token of its
  advertisement, or its address. Never again by name: several devices may have the same one.
* A name that several devices have is refused, with their addresses: better no device than the wrong one. Others are
  listened for while the first one is connected to, where the radio can do both; it is not paired with, and nobody is
  given the connection, before that time is over.
* A connection is what was seen when it was made. A service that was not there then is not believed to be there now.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Protocol

from keyswitch.errors import InputError, LinkLostError, RemoteError
from keyswitch.host.connect.heard import Heard, may_be_called
from keyswitch.host.smp.client import ANSWER_MS, SilenceError, SmpClient
from keyswitch.host.smp.gatt_channel import GattChannel
from keyswitch.link.ports import Adapter, GattLink, PacketLink, Sighting
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode, os
from keyswitch.smp.groups.mode import SLOWEST_ADVERTISING_MS
from keyswitch.timing.rules import ADVERTISING_DELAY_US

CONNECT_MS = 10_000
"""Bound for finding and connecting once: tens of advertisements of the slowest usual kind."""

OPEN_MS = 5_000
"""Bound for the subscriptions and reads after connecting: four round trips at the slowest usual interval."""

PAIR_MS = 60_000
"""Bound for pairing: a person has to read six digits and type them (Core spec Vol 3 Part H 3.4 gives 30 s a step)."""

KNOCK_MS = 250
"""First wait for an answer on a socket or serial port; doubled until `ANSWER_MS`."""

NAMESAKES_MS = 2_000
"""How long to listen for others of a name, once in a run: usual advertisers go to 1,285 ms (Apple's slowest)."""

OURS_NAMESAKES_MS = 4 * (SLOWEST_ADVERTISING_MS + ADVERTISING_DELAY_US // 1000)
"""The same where only a device with our mode service can be meant: four advertisements of the slowest."""


GAP_SERVICE_UUID = "00001800-0000-1000-8000-00805f9b34fb"
DEVICE_NAME_UUID = "00002a00-0000-1000-8000-00805f9b34fb"
"""The whole name of a device (Core spec Vol 3 Part C 12.1)."""


class NotPairedError(RemoteError):
    """The device and we could not agree on keys: a wrong passkey, or a bond that one side has forgotten."""


class Connection:
    """One connection to the device, and what can be asked over it.

    Attributes:
        smp: for firmware commands; None where the device did not show them when the connection was made.
        mode: for the mode group; None where the device has none.
        token: correlation token, empty if the device told none.
        gatt: the link below, where there is one.
        trouble: why `smp` is None although its service is there: the peer's refusal.
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
    ) -> None:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceIdentity:
    """Who the device becomes for a while.

    Attributes:
        name: its name then; or
        next_address: its address is the one of before plus one.
    """

    name: str | None = None
    next_address: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What tells the device from others.

    Attributes:
        tokens: correlation tokens that it has told.
        addresses: addresses that it has told or was heard from.
        name: used while nothing better is known; None afterwards.
    """

    tokens: frozenset[bytes] = frozenset()
    addresses: frozenset[str] = frozenset()
    name: str | None = None

    def next_addresses(self) -> frozenset[str]:
        """Each address plus one, in its last byte alone (nRF5 SDK, buttonless DFU without bonds)."""
        return frozenset(f"{address[:-2]}{(int(address[-2:], 16) + 1) & 0xFF:02X}" for address in self.addresses)

    def matches(self, heard: Sighting) -> bool:
        """Whether this advertisement is the device's."""
        if self.tokens or self.addresses:
            return heard.address in self.addresses or token_of(heard) in self.tokens
        return self.name is not None and may_be_called(heard, self.name)


def token_of(heard: Sighting) -> bytes | None:
    """The correlation token in an advertisement, None if it has none."""
    if heard.manufacturer is None:
        return None
    beacon = mode.Beacon.decode(heard.manufacturer[1])
    return None if beacon is None else beacon.token


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


class BleEndpoint:
    """A device in the air.

    Args:
        adapter: the radio.
        target: as people write it.
        name: complete local name to look for first; or
        address: address to look for.
        pair: pair, or encrypt with earlier keys, on each connection.
    """

    radio = True

    def __init__(
        self,
        adapter: Adapter,
        *,
        target: str,
        name: str | None = None,
        address: str | None = None,
        pair: bool = False,
    ) -> None:
        self.target = target
        self.wanted = Wanted(name=name, addresses=frozenset[str]({address} if address else ()))
        self.pair = pair
        self._adapter = adapter
        self._home: Wanted | None = None
        self._alone_of_its_name = ""

    @property
    def known_by(self) -> str:
        """Addresses and tokens; the name while there is nothing better."""
        tokens = [f"token {token.hex()}" for token in sorted(self.wanted.tokens)]
        return ", ".join([*sorted(self.wanted.addresses), *tokens]) or (self.wanted.name or "")

    async def connect(self, *, timeout_ms: int = CONNECT_MS, smp_shown: bool = False, ours: bool = False) -> Connection:
        """Scan, connect, discover, subscribe; see `Endpoint.connect`."""
        connection: Connection | None = None
        around = Heard(self.wanted.name)
        async with aclosing(self._heard(timeout_ms + NAMESAKES_MS, around, smp_shown=smp_shown)) as matching:
            heard = await self._first(matching, timeout_ms, around, smp_shown=smp_shown)
            if self.wanted.name is not None:
                name = self.wanted.name
                connection = await self._connect_to_the_only(heard, matching, timeout_ms, ours=ours)
                self._alone_of_its_name = name if self._home is None else ""
        if connection is None:
            connection = await self._open(heard, timeout_ms)
        self.learn(token=token_of(heard) or b"", address=heard.address)
        self.learn(token=connection.token)
        return connection

    async def _connect_to_the_only(
        self, heard: Sighting, matching: AsyncGenerator[Sighting, None], timeout_ms: int, *, ours: bool
    ) -> Connection:
        """Connect to the device of this name while others of it are listened for, if the radio can do both.

        Raises:
            InputError: there are others. The connection that was begun is ended; nothing was asked over it.
        """
        window_ms = OURS_NAMESAKES_MS if ours and token_of(heard) is not None else NAMESAKES_MS
        listening = asyncio.ensure_future(self._alone(heard, matching, window_ms))
        connection: Connection | None = None
        try:
            if self.pair or not self._adapter.hears_while_connecting:
                await listening
            connection = await self._open(heard, timeout_ms)
            await listening
        except BaseException:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            if connection is not None:
                await connection.close()
            raise
        return connection

    async def _alone(self, first: Sighting, matching: AsyncGenerator[Sighting, None], window_ms: int) -> None:
        """Listen for others of the name.

        Raises:
            InputError: there are some.
        """
        found = {first.address}
        with suppress(TimeoutError):
            async with asyncio.timeout(window_ms / 1000):
                async for other in matching:
                    found.add(other.address)
        if len(found) > 1:
            known = ", ".join(sorted(found))
            raise InputError(self.target, f"{len(found)} devices have this name: {known}", "an address")

    async def _open(self, heard: Sighting, timeout_ms: int) -> Connection:
        link = await self._adapter.connect(heard.address, timeout_ms)
        try:
            await self._check_name(link, heard)
            if self.pair:
                await _paired(link)
            async with asyncio.timeout(OPEN_MS / 1000):
                return await _open_gatt(link, self._known_token(heard))
        except TimeoutError:
            await link.close()
            raise LinkLostError(f"{self.target} connected, but was not ready in time") from None
        except BaseException:
            await link.close()
            raise

    async def _check_name(self, link: GattLink, heard: Sighting) -> None:
        """Ask a device that tells a beginning of its name for all of it.

        Raises:
            InputError: it has another name, or does not tell.
        """
        name = self.wanted.name
        if name is None or name in {heard.name, heard.short_name}:
            return
        try:
            async with asyncio.timeout(OPEN_MS / 1000):
                whole = (await link.read(GAP_SERVICE_UUID, DEVICE_NAME_UUID)).decode("utf-8", "replace")
        except RemoteError:
            whole = ""
        if whole != name:
            has = f"it calls itself {whole!r}" if whole else "it does not tell the whole"
            problem = f"only {heard.address} is near, with the shortened name {heard.short_name!r}; {has}"
            raise InputError(self.target, problem, "the shortened name, or an address")

    async def connect_elsewhere(self) -> Connection | None:
        """See `Endpoint.connect_elsewhere`: only where the name was the device's alone, and nothing better is known."""
        name = self._alone_of_its_name
        if not name or self.pair or self.wanted.tokens or self._home is not None:
            return None
        found: dict[str, Sighting] = {}
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(2 * NAMESAKES_MS / 1000),
                aclosing(self._adapter.scan(NAMESAKES_MS)) as sightings,
            ):
                async for heard in sightings:
                    if heard.name == name and heard.connectable:
                        found[heard.address] = heard
        if len(found) != 1 or found.keys() & self.wanted.addresses:
            return None
        return await self._open(next(iter(found.values())), CONNECT_MS)

    def learn(self, *, token: bytes = b"", address: str | None = None) -> None:
        """Remember a token or address of the device; its name is not used any more."""
        if not token and not address:
            return
        known = self.wanted
        tokens = known.tokens | {token} if token else known.tokens
        self.wanted = Wanted(tokens=tokens, addresses=known.addresses | {address} if address else known.addresses)

    def visit(self, identity: DeviceIdentity) -> None:
        """Look for another identity; what was known is kept for `go_home`."""
        self._home = self._home or self.wanted
        if identity.name is not None:
            self.wanted = Wanted(name=identity.name)
        elif identity.next_address:
            self.wanted = Wanted(addresses=self._home.next_addresses())

    def go_home(self) -> None:
        """Look for what was known before."""
        if self._home is not None:
            self.wanted, self._home = self._home, None

    async def close(self) -> None:
        """Give the radio back."""
        await self._adapter.close()

    def _known_token(self, heard: Sighting) -> bytes:
        """The token of this advertisement, if the device has told it before: it need not be asked for it again."""
        token = token_of(heard) or b""
        return token if token in self.wanted.tokens else b""

    async def _first(
        self, matching: AsyncGenerator[Sighting, None], timeout_ms: int, around: Heard, *, smp_shown: bool
    ) -> Sighting:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                async for heard in matching:
                    return heard
        showing = " with the SMP service" if smp_shown else ""
        raise LinkLostError(f"{self.target} was not heard{showing} within {timeout_ms} ms; {around.words}")

    async def _heard(self, timeout_ms: int, around: Heard, *, smp_shown: bool) -> AsyncGenerator[Sighting, None]:
        """Advertisements of the device, or of devices of its name; everybody's are noted in `around`.

        One that tells a beginning of the name alone counts only where nobody tells the whole one meanwhile.
        """
        loop = asyncio.get_running_loop()
        held_until = loop.time() + NAMESAKES_MS / 1000
        async with aclosing(self._adapter.scan(timeout_ms)) as sightings:
            async for heard in sightings:
                around.note(heard)
                if not self._is_it(heard, smp_shown=smp_shown):
                    continue
                if self.wanted.name is not None and heard.name == self.wanted.name:
                    held_until = float("inf")
                elif self.wanted.name is not None and loop.time() < held_until:
                    continue
                yield heard

    def _is_it(self, heard: Sighting, *, smp_shown: bool) -> bool:
        if smp_shown and ble.SERVICE_UUID not in heard.services:
            return False
        return heard.connectable and self.wanted.matches(heard)


async def _paired(link: GattLink) -> None:
    try:
        async with asyncio.timeout(PAIR_MS / 1000):
            await link.pair()
    except RemoteError as error:
        raise NotPairedError(str(error)) from error


async def _open_gatt(link: GattLink, token: bytes) -> Connection:
    mode_client = None
    if mode.SERVICE_UUID in link.services:
        control = await GattChannel.open(link, mode.SERVICE_UUID, mode.CONTROL_UUID)
        mode_client = SmpClient(control)
        token = token or mode.StateValue.decode(await link.read(mode.SERVICE_UUID, mode.STATE_UUID)).token
    smp_client: SmpClient | None = None
    heal: Callable[[], Awaitable[None]] | None = None
    trouble: RemoteError | None = None
    if ble.SERVICE_UUID in link.services:
        try:
            channel = await GattChannel.open(link, ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID)
        except RemoteError as error:
            trouble = error
        else:
            smp_client, heal = SmpClient(channel), channel.heal
    return Connection(
        smp=smp_client,
        mode=mode_client,
        close=link.close,
        closed=lambda: link.closed,
        wait_closed=link.wait_closed,
        heal=heal,
        gatt=link,
        token=token,
        trouble=trouble,
    )


class PacketEndpoint:
    """A device behind a socket or a serial port: one packet link carries everything.

    Args:
        target: as people write it.
        open_link: opens the link.
        announced_end: whether the link ends when the device is reset.
    """

    radio = False
    pair = False

    def __init__(
        self, target: str, open_link: Callable[[], Awaitable[PacketLink]], *, announced_end: bool = False
    ) -> None:
        self.target = target
        self._open_link = open_link
        self._announced_end = announced_end

    @property
    def known_by(self) -> str:
        """The target: its address is the device."""
        return self.target

    async def connect(self, *, timeout_ms: int = CONNECT_MS, smp_shown: bool = False, ours: bool = False) -> Connection:
        """Open the link and see that somebody answers: an open socket alone says nothing."""
        del smp_shown, ours
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                client = _Ending(await self._open_link())
                await _knock(client)
        except TimeoutError:
            raise LinkLostError(f"{self.target}: nobody answered within {timeout_ms} ms") from None
        link = client.link
        return Connection(
            smp=client,
            mode=client,
            close=client.close,
            closed=lambda: link.closed,
            wait_closed=client.wait_closed,
            announced_end=self._announced_end,
        )

    def learn(self, *, token: bytes = b"", address: str | None = None) -> None:
        """Nothing to learn: the address is the device."""

    def visit(self, identity: DeviceIdentity) -> None:
        """The address stays the device's, whatever it becomes."""

    def go_home(self) -> None:
        """Nothing was left."""

    async def connect_elsewhere(self) -> Connection | None:
        """Never: the address is the device."""
        return None

    async def close(self) -> None:
        """Nothing is held between connections."""


async def _knock(client: SmpClient) -> None:
    """Ask for the device's parameters until it answers anything at all; the caller bounds it."""
    wait_ms = KNOCK_MS
    try:
        while True:
            with suppress(SilenceError):
                await client.read(os.ID, os.Id.PARAMS, timeout_ms=wait_ms)
                return
            wait_ms = min(2 * wait_ms, ANSWER_MS)
    except BaseException:
        await client.close()
        raise


class _Ending(SmpClient):
    """A client that can be waited for."""

    def __init__(self, link: PacketLink) -> None:
        self._ended = asyncio.Event()
        super().__init__(link)

    async def wait_closed(self, timeout_ms: int) -> str | None:
        """Why the link has ended, or None if it is still up after `timeout_ms`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_ms / 1000):
                await self._ended.wait()
        return self.link.closed

    def _closed(self, why: str) -> None:
        super()._closed(why)
        self._ended.set()
