"""A device behind a socket or a serial port: its address is the device, and one packet link carries everything."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from keyswitch.errors import LinkLostError, SilenceError
from keyswitch.host.connect.endpoint import CONNECT_MS, Connection, DeviceIdentity
from keyswitch.host.smp.client import ANSWER_MS, SmpClient
from keyswitch.link.ports import PacketLink
from keyswitch.smp.groups import os

KNOCK_MS = 250
"""First wait for an answer on a socket or serial port; doubled until `ANSWER_MS`."""


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
