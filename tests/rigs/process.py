"""Programs of others, run as long as a block and never longer.

Rules: each program leads its own process group and the whole group is killed at the end; what it says is kept, bounded,
and shown when something fails; a wait for a line of it is bounded.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

KEPT_BYTES: Final = 65_536
"""How much of a program's last words is kept."""


class ProcessError(Exception):
    """A program ended early, or did not say what was waited for. Carries its last words."""


class Process:
    """A running program, its standard output and error read all the time."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._said = bytearray()
        self._more = asyncio.Condition()
        self._over = False
        self._reader = asyncio.create_task(self._read())

    @property
    def said(self) -> str:
        """What the program has said lately."""
        return self._said.decode(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it is still there."""
        return self._process.returncode is None

    async def wait_for(self, pattern: str, timeout_ms: int) -> re.Match[str]:
        """The first match of `pattern` in what the program has said or says within `timeout_ms`.

        Raises:
            ProcessError: it did not say so in time, or ended before.
        """
        compiled = re.compile(pattern, re.MULTILINE)
        try:
            async with asyncio.timeout(timeout_ms / 1000), self._more:
                while (found := compiled.search(self.said)) is None:
                    if self._over:
                        raise ProcessError(f"{self.name} ended before it said {pattern!r}:\n{self.said}")
                    await self._more.wait()
        except TimeoutError:
            raise ProcessError(f"{self.name} did not say {pattern!r} in {timeout_ms} ms:\n{self.said}") from None
        return found

    async def wait(self, timeout_ms: int) -> int:
        """The exit code, once the program has ended and all its words are read.

        Raises:
            ProcessError: it is still running after `timeout_ms`.
        """
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._reader
                return await self._process.wait()
        except TimeoutError:
            raise ProcessError(f"{self.name} was not done in {timeout_ms} ms:\n{self.said}") from None

    async def stop(self) -> None:
        """Kill the whole group; no error if it is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader

    async def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while data := await stream.read(4096):
            async with self._more:
                self._said += data
                del self._said[:-KEPT_BYTES]
                self._more.notify_all()
        async with self._more:
            self._over = True
            self._more.notify_all()


@asynccontextmanager
async def running(
    *argv: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncIterator[Process]:
    """Run a program for as long as the block lasts.

    Args:
        argv: the program and its arguments.
        cwd: where it runs.
        env: variables in addition to this process's.
    """
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    started = Process(Path(argv[0]).name, process)
    try:
        yield started
    finally:
        await started.stop()


async def run(*argv: str | Path, timeout_ms: int, env: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a program to its end: exit code, and what it said."""
    async with running(*argv, env=env) as process:
        code = await process.wait(timeout_ms)
        return code, process.said
