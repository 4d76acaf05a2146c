"""The demo's device: a process of its own, run by the same command that a person would type.

Rules: it is ended when the demo ends, however that happens; what it says to stderr is kept and shown if it fails.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any, Final, Self

from keyswitch.errors import KeyswitchError
from keyswitch.exits import Exit
from keyswitch.panel.client import ask

ENDS_WITHIN_MS: Final = 5_000


class DeviceProcessError(KeyswitchError):
    """The device process ended by itself; says what it said last."""

    exit_code = Exit.FAULT


class DeviceProcess:
    """A running `keyswitch device`; use it as an async context manager."""

    def __init__(self, process: asyncio.subprocess.Process, state: Path, ready: dict[str, Any]) -> None:
        self._process = process
        self._state = state
        self.ready = ready

    @classmethod
    async def start(cls, *, policy: Path, state: Path, image: Path, air: str) -> Self:
        """Start it and wait until it is ready, or has ended: how long that takes is the machine's business.

        Raises:
            DeviceProcessError: it ended instead.
        """
        command = [sys.executable, "-m", "keyswitch", "device", str(policy), "--state", str(state)]
        command += ["--image", str(image), "--ble", "virtual", "--air", air, "--virtual-time", "--json"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            ready = await _ready(process)
        except BaseException:
            if process.returncode is None:
                process.kill()
            await process.wait()
            raise
        return cls(process, state, ready)

    async def __aenter__(self) -> Self:
        self._reading = asyncio.get_running_loop().create_task(_drain(self._process), name="device's output")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), ENDS_WITHIN_MS / 1000)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def panel(self, request: dict[str, Any]) -> dict[str, Any]:
        """Turn a knob of the device's panel."""
        return await asyncio.to_thread(ask, self._state, request)


async def _ready(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    assert process.stderr is not None  # noqa: S101 - it was opened as a pipe
    while line := await process.stdout.readline():
        event: dict[str, Any] = json.loads(line)
        if event["event"] == "ready":
            return event
    said = (await process.stderr.read()).decode(errors="replace").strip()
    raise DeviceProcessError(said.splitlines()[-1] if said else f"the device ended with {await process.wait()}")


async def _drain(process: asyncio.subprocess.Process) -> None:
    """Read on, so that the device never waits for a reader."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    assert process.stderr is not None  # noqa: S101 - it was opened as a pipe
    await asyncio.gather(_read_all(process.stdout), _read_all(process.stderr))


async def _read_all(stream: asyncio.StreamReader) -> None:
    while await stream.read(65_536):
        pass
