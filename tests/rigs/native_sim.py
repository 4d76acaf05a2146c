"""Real Zephyr 4.4.0 SMP servers that run as Linux programs: on a pseudo-terminal, or on UDP in a network of their own.

Traps, built in here:

* The UDP server's port is fixed (1337), so each runs in its own network namespace; so do its clients.
* There is no baud rate on a pseudo-terminal, so a burst of more than two lines overruns the receive pool of most
  builds: `serial_bigrx` is the one for large packets.
* The server looks at its line every 20 ms: 50 requests a second, whoever asks.
* There is no image group, and the file system holds a few kB.

Readiness is an answered echo, not a time.
"""

import ctypes
import os
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.rigs import places
from tests.rigs.process import Process, running
from tests.rigs.smp import wait_until_up
from tests.rigs.wire import Wire, pty_wire, udp_wire

from keyswitch.smp.framing.udp import PORT

_PREFIX: Final = "zephyr_4.4.0_smp_server_0eae053d_native_sim_"
_START_MS: Final = 10_000
_CLONE_NEWNET: Final = 0x4000_0000  # linux/sched.h


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialServer:
    """A server on a pseudo-terminal.

    Attributes:
        path: the pseudo-terminal.
        bare: whether it speaks bare packets instead of console lines.
        process: the running server.
    """

    path: Path
    bare: bool
    process: Process

    def wire(self) -> AbstractAsyncContextManager[Wire]:
        """A conversation with it. One at a time."""
        return pty_wire(self.path, bare=self.bare)


@asynccontextmanager
async def serial_server(build: str = "serial_bigrx") -> AsyncIterator[SerialServer]:
    """A server on a pseudo-terminal, answering.

    Args:
        build: `serial` (buffers 384 x 4, all groups), `serial_bigrx` (the same, with room for bursts),
            `serial_buf96` to `serial_buf2048`, `serial_fs`, `serial_raw` (bare packets), `serial_noparams`, `shell`.
    """
    places.need(places.why_no_native_sim())
    program = places.server_file(f"{_PREFIX}{build}.exe")
    with TemporaryDirectory() as folder:  # its simulated flash is a file where it runs
        async with _serial_server(program, Path(folder), bare=build == "serial_raw") as server:
            yield server


@asynccontextmanager
async def _serial_server(program: Path, folder: Path, *, bare: bool) -> AsyncIterator[SerialServer]:
    async with running(program, cwd=folder) as process:
        found = await process.wait_for(r"connected to pseudotty: (\S+)", _START_MS)
        server = SerialServer(path=Path(found[1]), bare=bare, process=process)
        async with server.wire() as wire:
            await wait_until_up(wire, _START_MS)
        yield server


@dataclass(frozen=True, slots=True, kw_only=True)
class UdpServer:
    """A server on UDP in a network namespace that holds nothing but a loopback.

    Attributes:
        host: its address there.
        port: its port there.
        inside: put in front of a command line, runs the command in that namespace.
        make_socket: makes a UDP socket in that namespace, for this process to use.
        process: the running server.
    """

    host: str
    port: int
    inside: tuple[str, ...]
    make_socket: Callable[[], socket.socket]
    process: Process

    def wire(self) -> AbstractAsyncContextManager[Wire]:
        """A conversation with it. Any number at once."""
        return udp_wire(self.host, self.port, made_by=self.make_socket)


@asynccontextmanager
async def udp_server() -> AsyncIterator[UdpServer]:
    """A server on UDP (buffers 2048 x 4, all groups but image), answering."""
    places.need(places.why_no_native_sim())
    places.need(places.why_no_namespace())
    program = places.server_file(f"{_PREFIX}udp.exe")
    with TemporaryDirectory() as folder:
        async with _udp_server(program, Path(folder)) as server:
            yield server


@asynccontextmanager
async def _udp_server(program: Path, folder: Path) -> AsyncIterator[UdpServer]:
    command = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0"', program)
    async with running(*command, cwd=folder) as process:
        await process.wait_for(r"smp_udp: Started", _START_MS)
        namespace = f"/proc/{process.pid}/ns/net"

        server = UdpServer(
            host="127.0.0.1",
            port=PORT,
            inside=("nsenter", f"--net={namespace}"),
            make_socket=lambda: _make_socket_in(namespace),
            process=process,
        )
        async with server.wire() as wire:
            await wait_until_up(wire, _START_MS)
        yield server


def _make_socket_in(namespace: str) -> socket.socket:
    """A UDP socket in another network namespace: it belongs to where it was made, whoever uses it.

    A thread may visit a namespace alone (setns(2)), so one is sent there and ends.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def visit() -> socket.socket:
        descriptor = os.open(namespace, os.O_RDONLY)
        try:
            if libc.setns(descriptor, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
        finally:
            os.close(descriptor)
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    with ThreadPoolExecutor(max_workers=1) as visitor:
        return visitor.submit(visit).result()
