"""A device in the air: found by its advertisement (`host.connect.recognition`), connected, its services opened.

A name that several devices have is refused, with their addresses: better no device than the wrong one. Others are
listened for while the first one is connected to, where the radio can do both; it is not paired with, and nobody is
given the connection, before that time is over.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from keyswitch.errors import InputError, LinkLostError, RemoteError
from keyswitch.host.connect.endpoint import CONNECT_MS, Connection, DeviceIdentity, SmpChannel
from keyswitch.host.connect.heard import Heard
from keyswitch.host.connect.recognition import Wanted, token_of
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.gatt_channel import GattChannel
from keyswitch.link.ports import Adapter, GattLink, PairingError, PairingFailure, Sighting
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode
from keyswitch.smp.groups.mode import SLOWEST_ADVERTISING_MS
from keyswitch.timing.rules import ADVERTISING_DELAY_US

OPEN_MS = 5_000
"""Bound for the subscriptions and reads after connecting: four round trips at the slowest usual interval."""

PAIR_MS = 60_000
"""Bound for pairing: a person has to read six digits and type them (Core spec Vol 3 Part H 3.4 gives 30 s a step)."""

NAMESAKES_MS = 2_000
"""How long to listen for others of a name, once in a run: usual advertisers go to 1,285 ms (Apple's slowest)."""

OURS_NAMESAKES_MS = 4 * (SLOWEST_ADVERTISING_MS + ADVERTISING_DELAY_US // 1000)
"""The same where only a device with our mode service can be meant: four advertisements of the slowest."""

GAP_SERVICE_UUID = "00001800-0000-1000-8000-00805f9b34fb"
DEVICE_NAME_UUID = "00002a00-0000-1000-8000-00805f9b34fb"
"""The whole name of a device (Core spec Vol 3 Part C 12.1)."""

_NO_NEW_PAIRING = frozenset((PairingFailure.NOT_NOW, PairingFailure.UNMET))
"""What a device answers to a Pairing Request alone: who has keys for it encrypts, and is answered otherwise."""


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
        self._paired_at: set[str] = set()

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
        self.learn(token=connection.token, address=None if connection.gatt is None else connection.gatt.address)
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
                async with asyncio.timeout(PAIR_MS / 1000):
                    await self._pair(link)
            async with asyncio.timeout(OPEN_MS / 1000):
                return await _open_gatt(link, self._known_token(heard))
        except TimeoutError:
            await link.close()
            raise LinkLostError(f"{self.target} connected, but was not ready in time") from None
        except BaseException:
            await link.close()
            raise

    async def _pair(self, link: GattLink) -> None:
        """Pair, or encrypt with earlier keys.

        Raises:
            PairingError: it came to nothing; `MOVED` where a new pairing was refused at another address than before.
        """
        try:
            await link.pair()
        except PairingError as error:
            if error.failure in _NO_NEW_PAIRING and self._paired_at and link.address not in self._paired_at:
                before = ", ".join(sorted(self._paired_at))
                said = f"the device was paired at {before}; it is at {link.address} now and takes no new pairing"
                raise PairingError(PairingFailure.MOVED, said) from error
            raise
        self._paired_at.add(link.address)

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
                if not self.wanted.is_device(heard, smp_shown=smp_shown):
                    continue
                if self.wanted.name is not None and heard.name == self.wanted.name:
                    held_until = float("inf")
                elif self.wanted.name is not None and loop.time() < held_until:
                    continue
                yield heard


async def _open_gatt(link: GattLink, token: bytes) -> Connection:
    mode_client = None
    if mode.SERVICE_UUID in link.services:
        control = await GattChannel.open(link, mode.SERVICE_UUID, mode.CONTROL_UUID)
        mode_client = SmpClient(control)
        token = token or mode.StateValue.decode(await link.read(mode.SERVICE_UUID, mode.STATE_UUID)).token
    smp: SmpChannel | None = None
    trouble: RemoteError | None = None
    if ble.SERVICE_UUID in link.services:
        try:
            smp = await _subscribe_smp(link)
        except RemoteError as error:
            trouble = error
    return Connection(
        smp=None if smp is None else smp.client,
        mode=mode_client,
        close=link.close,
        closed=lambda: link.closed,
        wait_closed=link.wait_closed,
        heal=None if smp is None else smp.heal,
        gatt=link,
        token=token,
        trouble=trouble,
        subscribe_smp=lambda: _subscribe_smp(link),
    )


async def _subscribe_smp(link: GattLink) -> SmpChannel:
    channel = await GattChannel.open(link, ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID)
    return SmpChannel(SmpClient(channel), channel.heal)
