"""A device behind a socket or a serial port: its address is the device, and one packet link carries everything."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from keyswitch.errors import LinkLostError, SilenceError
from keyswitch.host.connect.endpoint import CONNECT_MS, Connection, DeviceIdentity
from keyswitch.host.smp.client import ANSWER_MS, SmpClient
from keyswitch.link.ports import PacketLink
from keyswitch.smp.groups import image
from keyswitch.smp.header import SmpVersion

KNOCK_MS = 250
"""First wait for an answer on a socket or serial port; doubled until `ANSWER_MS`."""

SURE_KNOCKS = 2
"""How often a server that answered in version 1 is asked in version 2 again, before it is said not to know that."""

SURE_MS = 500
"""The wait for each of those: it has just answered sooner."""


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
            mode=None if client.old_server else client,  # our mode group is younger than version 2
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
    """Ask for the list of images until it is answered in any way; the caller bounds it.

    Every SMP server has that list, or says that it has not. MCUboot's serial recovery of before mid-2023 takes the
    version's bits for a part of the operation, and drops what it does not know: it is asked in version 1 as well.
    """
    wait_ms = KNOCK_MS
    try:
        while not (await _answers(client, SmpVersion.V2, wait_ms) or await _is_old(client, wait_ms)):
            wait_ms = min(2 * wait_ms, ANSWER_MS)
    except BaseException:
        await client.close()
        raise


async def _is_old(client: SmpClient, wait_ms: int) -> bool:
    """Whether somebody answers in version 1; `client.old_server` says whether in that alone: it may only be slow."""
    if not await _answers(client, SmpVersion.V1, wait_ms):
        return False
    for _ in range(SURE_KNOCKS):
        if await _answers(client, SmpVersion.V2, SURE_MS):
            return True
    client.version = SmpVersion.V1
    client.old_server = True
    return True


async def _answers(client: SmpClient, version: SmpVersion, wait_ms: int) -> bool:
    client.version = version
    with suppress(SilenceError):
        await client.read(image.ID, image.Id.STATE, timeout_ms=wait_ms)
        return True
    return False


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
