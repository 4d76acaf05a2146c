"""Real Zephyr with real MCUboot on emulated boards: the only servers here that have images to update.

* `microbit`: Cortex-M0, MCUboot with swap using offset, test, confirm and revert. Packets of at most 256 bytes, and
  nothing before it has booted: else the emulated board hangs.
* `mps2`: Cortex-M3, MCUboot in RAM-load mode (the reset alone activates the higher version; no state write), serial
  recovery with `boot_mode`.

Traps, built in here:

* QEMU's loader writes flash again at *every* reset of the guest, so nothing seen after a second reset would be true. So
  a board is booted once, stopped and saved; every test starts from the saved state, without the loader.
* A UART on a pseudo-terminal holds a frame's last byte back until more comes, one on a Unix socket loses bytes (each is
  a whole buffer there), and one on a TCP socket waits 40 ms for an acknowledgement if it may: it is on a TCP socket
  that may not. Clients that want a path get a pseudo-terminal of ours.
* Bytes that reach a UART while a saved state is being loaded, or between a reset and the end of the boot, can block it
  for ever: QEMU is asked to say when a state is loaded, and a board that resets stands still until we let it go on.

Readiness is an answered echo, not a time. QEMU says itself when a state is saved or loaded and when a board has reset.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

from tests.rigs import places
from tests.rigs.process import Process, running
from tests.rigs.smp import wait_until_up
from tests.rigs.wire import StreamWire, socket_wire

_START_MS: Final = 30_000
_MONITOR_MS: Final = 10_000
_ERASED: Final = b"\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A program for a board.

    Attributes:
        machine: QEMU's name of the board.
        cpu: option for the processor, where the board's own is not right.
        loader: files put into memory at power-up: name, and address where the file does not say it.
        image: the signed image that runs, as imgtool made it.
        second_slot: addresses of the second slot.
        second_begin: where in it an image begins.
        up: what it says on its serial line when it has booted; None if it says nothing there.
    """

    machine: str
    cpu: str | None
    loader: tuple[tuple[str, int | None], ...]
    image: str
    second_slot: range
    second_begin: int
    up: bytes | None = None

    def image_file(self) -> Path:
        """The running image's file."""
        return places.server_file(self.image)


def _mps2(name: str) -> Build:
    signed = f"{name}.signed.bin"
    return Build(
        machine="mps2-an385",
        cpu="cortex-m3",
        loader=((f"{name}.hex", None), (signed, 0x2005_0000)),
        image=signed,
        second_slot=range(0x2009_0000, 0x200D_0000),
        second_begin=0,
    )


_M0: Final = "zephyr_4.4.0_smp_server_0eae053d_qemu_cortex_m0_serial"
MICROBIT: Final = Build(
    machine="microbit",
    cpu=None,
    loader=((f"{_M0}.merged.hex", None),),
    image=f"{_M0}.signed.bin",
    second_slot=range(0x2_2000, 0x3_C000),
    second_begin=0x400,  # swap using offset leaves the slot's first sector free
    up=b"smp_sample: build time",
)
"""Buffers 384 x 4; slots of 106,496 bytes, sectors of 1,024; groups os, image, stat, enum."""
MPS2: Final = _mps2("zephyr_4.4.0_smp_server_0eae053d_mps2_an385_serial_recovery_buf2048")
"""Buffers 2048 x 4; RAM load; most groups."""
MPS2_RECOVERY: Final = _mps2("zephyr_f33aa2bc4a43_smp_server_27c54835_mps2_an385_serial_recovery")
"""Buffers 384 x 4; a bootloader that answers for its parameters in recovery."""


class Monitor:
    """QEMU's own control line (QMP): one command at a time, and events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._events: list[dict[str, Any]] = []

    @classmethod
    @asynccontextmanager
    async def listen(cls, path: Path) -> AsyncIterator[asyncio.Future[Self]]:
        """Listen where QEMU is told to come to; the monitor is there when it has come, and so is all of QEMU."""
        came: asyncio.Future[Self] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_unix_server(lambda *line: came.set_result(cls(*line)), path)
        try:
            yield came
        finally:
            server.close()
            if came.done():
                came.result()._writer.close()

    async def begin(self) -> None:
        """Leave QEMU's greeting behind and be allowed to command."""
        await self._read()
        await self.execute("qmp_capabilities")

    async def execute(self, command: str, **arguments: object) -> Any:
        """Run a command; what it returns.

        Raises:
            RuntimeError: QEMU refuses it.
        """
        self._writer.write(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            said = await self._read()
            if "error" in said:
                raise RuntimeError(f"QEMU refuses {command}: {said['error']}")
            if "return" in said:
                return said["return"]
            self._events.append(said)

    async def event(self, name: str, *, timeout_ms: int = _MONITOR_MS, **data: object) -> dict[str, Any]:
        """The next event of that name whose data has these values."""
        while True:
            said = self._events.pop(0) if self._events else await self._read(timeout_ms)
            if said.get("event") == name and said.get("data", {}).items() >= data.items():
                return said

    async def begin_move(self, command: str, uri: str) -> None:
        """Begin to save or load the board's state by `migrate` or `migrate-incoming`; `moved` waits for its end."""
        await self.execute("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        await self.execute(command, uri=uri)

    async def moved(self) -> None:
        """Wait until what `begin_move` began is complete."""
        await self.event("MIGRATION", status="completed")

    async def _read(self, timeout_ms: int = _MONITOR_MS) -> dict[str, Any]:
        async with asyncio.timeout(timeout_ms / 1000):
            line = await self._reader.readline()
        if not line:
            raise EOFError("QEMU has gone")
        said: dict[str, Any] = json.loads(line)
        return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A running board.

    Attributes:
        build: what runs on it.
        port: TCP port on 127.0.0.1 that stands for its serial line. One client at a time.
        folder: for its sockets.
        monitor: QEMU's control line.
        process: QEMU.
    """

    build: Build
    port: int
    folder: Path
    monitor: Monitor
    process: Process

    def wire(self) -> AbstractAsyncContextManager[StreamWire]:
        """A conversation over its serial line."""
        return socket_wire(self.port)

    async def has_reset(self, wire: StreamWire) -> None:
        """Wait until the board has reset, has booted and answers.

        Raises:
            TimeoutError: it did not reset, or did not say that it is up.
            NoAnswerError: it is up and silent.
        """
        await self.resetting()
        await self.restart()
        await self.up(wire)

    async def resetting(self, timeout_ms: int = _MONITOR_MS) -> None:
        """Wait until the board wants to reset. It stands still then."""
        await self.monitor.event("SHUTDOWN", timeout_ms=timeout_ms, guest=True)

    async def restart(self) -> None:
        """Let a board reset that wants to. Nothing may be sent to it before it is up."""
        await self.monitor.execute("set-action", reboot="reset")
        await self.monitor.execute("system_reset")
        await self.monitor.event("RESET")
        await self.monitor.execute("set-action", reboot="shutdown")
        await self.monitor.execute("cont")

    async def up(self, wire: StreamWire) -> None:
        """Wait until a board that has just been started has booted and answers."""
        if self.build.up is not None:
            await wire.text(self.build.up, _START_MS)
        await wait_until_up(wire, _START_MS)


def _argv(build: Build, folder: Path, extra: Sequence[str]) -> list[str]:
    cpu = ["-cpu", build.cpu] if build.cpu else []
    return [
        *("qemu-system-arm", "-machine", build.machine, *cpu, "-display", "none", "-monitor", "none"),
        *("-chardev", "socket,id=uart,host=127.0.0.1,port=0,server=on,wait=off,nodelay=on", "-serial", "chardev:uart"),
        *("-action", "reboot=shutdown,shutdown=pause"),  # a guest that resets waits for us: see `Board.restart`
        *("-qmp", f"unix:{folder / 'monitor'},server=off", *extra),
    ]


@asynccontextmanager
async def _running(build: Build, extra: Sequence[str]) -> AsyncIterator[Board]:
    places.need(places.why_no_qemu())
    with TemporaryDirectory(prefix="board-") as name:  # not pytest's folder: a socket's path has at most 107 bytes
        async with _running_in(build, Path(name), extra) as board:
            yield board


@asynccontextmanager
async def _running_in(build: Build, folder: Path, extra: Sequence[str]) -> AsyncIterator[Board]:
    async with (
        Monitor.listen(folder / "monitor") as coming,
        running(*_argv(build, folder, [*extra, "-S"])) as process,
    ):
        async with asyncio.timeout(_START_MS / 1000):
            monitor = await coming
        await monitor.begin()
        lines = {line["label"]: line["filename"] for line in await monitor.execute("query-chardev")}
        port = int(lines["uart"].partition(",")[0].rpartition(":")[2])
        yield Board(build=build, port=port, folder=folder, monitor=monitor, process=process)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A board that has booted and answered, stopped.

    Attributes:
        build: what runs on it.
        data: memory, flash and all, in QEMU's form.
    """

    build: Build
    data: bytes


def _loaded(build: Build, second: bytes | None, folder: Path) -> list[str]:
    """QEMU's options that fill a board's flash at power-up."""
    loader = [
        f"loader,file={places.server_file(name)}" + (f",addr={address:#x}" if address is not None else "")
        for name, address in build.loader
    ]
    if second is not None:
        # The whole slot as an upload leaves it: QEMU's flash is 0, not erased, where nothing is loaded.
        slot = (_ERASED * build.second_begin + second).ljust(len(build.second_slot), _ERASED)
        (folder / "slot").write_bytes(slot)
        loader.append(f"loader,file={folder / 'slot'},addr={build.second_slot.start:#x},force-raw=on")
    return [part for device in loader for part in ("-device", device)]


async def save(build: Build, *, second: bytes | None = None) -> State:
    """Boot a board once with its flash loaded, wait until it answers, and save its state.

    Args:
        build: what to boot.
        second: an image to put where an upload would; the rest of its slot is erased.
    """
    with TemporaryDirectory() as folder:
        async with _running(build, _loaded(build, second, Path(folder))) as board:
            async with board.wire() as wire:
                await board.monitor.execute("cont")
                await board.up(wire)
            await board.monitor.execute("stop")
            return State(build=build, data=await _migrated(board))


async def _migrated(board: Board) -> bytes:
    """The whole state of a stopped board, taken off a socket: QEMU calls it complete before a file of its would be."""
    taken: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.set_result(await reader.read())
        writer.close()

    path = board.folder / "state"
    async with await asyncio.start_unix_server(take, path):
        await board.monitor.begin_move("migrate", f"unix:{path}")
        await board.monitor.moved()
        return await taken


@asynccontextmanager
async def board(state: State) -> AsyncIterator[Board]:
    """A board as it was when saved, answering. What it does to its flash is gone when the block ends."""

    async with _running(state.build, ["-incoming", "defer"]) as started:
        path = started.folder / "state"
        await started.monitor.begin_move("migrate-incoming", f"unix:{path}")
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(state.data)
        await writer.drain()
        await started.monitor.moved()
        writer.close()
        await started.monitor.execute("cont")
        async with started.wire() as wire:
            await wait_until_up(wire, _START_MS)
        yield started
