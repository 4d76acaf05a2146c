"""The tests' device behind a real datagram socket: in this event loop, or in a thread of its own for whole commands."""

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from tests.host.smp_peer import SmpPeer


class _Server(asyncio.DatagramProtocol):
    def __init__(self, peer: SmpPeer) -> None:
        self.peer = peer
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.peer.up and not self.peer.silent:
            for answer in self.peer.serve(data, "smp", addr[1]):
                self.transport.sendto(answer, addr)


class UdpPeer:
    """Serve a device on 127.0.0.1; `port` says where."""

    def __init__(self, peer: SmpPeer) -> None:
        self.peer = peer
        self.port = 0
        self._transport: Any = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Server(self.peer), local_addr=("127.0.0.1", 0)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()


class UdpPeerThread:
    """The same in a thread, so that a command can run in this one."""

    def __init__(self, make: Callable[[], SmpPeer]) -> None:
        self._make = make
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.port = 0
        self.peer: SmpPeer

    @property
    def target(self) -> str:
        return f"udp:127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._loop is not None
        assert self._over is not None
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(5)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self.peer = self._make()
        async with UdpPeer(self.peer) as served:
            self.port = served.port
            self._ready.set()
            await self._over.wait()
