"""The panel: how a person at the device (or a test) reaches what no radio may: inputs, button, power.

A Unix socket in the state directory, open to its owner alone. One JSON object a line each way:

    {"do": "set", "name": "motion", "value": true}   ->  {"ok": true, …}
    anything that cannot be done                      ->  {"ok": false, "error": "what, where, why", "exit": 1 or 2}

Rules:

* A line is bounded (`MAX_LINE`), and so is every wait of the client.
* What a request means is the runtime's business; this module carries it.
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from keyswitch import private_files
from keyswitch.device.state_dir import PANEL
from keyswitch.errors import InputError, KeyswitchError, LinkLostError
from keyswitch.exits import Exit

MAX_LINE = 65_536
"""Bytes in one request or answer; a status of a device with many slots and inputs is far below."""

MAX_ERROR = 1_000
"""Characters of an error; six bytes each at most in JSON."""

ANSWER_WITHIN_MS = 10_000
"""A power cycle with a swap of the largest images is done by then."""

MAX_SOCKET_PATH = 100
"""Bytes; the kernel's limit for a socket's path is 107 (unix(7), sun_path)."""

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class DeviceNotRunningError(LinkLostError):
    """No device process serves this state directory."""

    exit_code = Exit.UNREACHABLE


class RefusedByDeviceError(KeyswitchError):
    """The device said no (`Exit.NO`), or the request made no sense to it (`Exit.USAGE`)."""

    def __init__(self, said: str, exit_code: Exit) -> None:
        super().__init__(said)
        self.exit_code = exit_code


class _Address:
    """The socket's path, made short where the kernel could not take it as it is."""

    def __init__(self, path: Path) -> None:
        self._directory = -1
        self.text = str(path)
        if len(os.fsencode(self.text)) > MAX_SOCKET_PATH:
            self._directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self.text = f"/proc/self/fd/{self._directory}/{path.name}"

    def close(self) -> None:
        if self._directory >= 0:
            os.close(self._directory)


class Panel:
    """The device's side. `answer` gets each request and returns what goes back."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket left by a process that was killed is replaced: the state directory's lock is ours."""
        self._path.unlink(missing_ok=True)
        address = _Address(self._path)
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, address.text, limit=MAX_LINE)
        finally:
            os.umask(mask)
            address.close()

    async def close(self) -> None:
        """Stop listening and take the socket away."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._reply(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError, asyncio.CancelledError):
            pass  # the client or the device has gone, or the line was longer than MAX_LINE: nothing to say
        finally:
            writer.close()

    async def _reply(self, line: bytes) -> dict[str, Any]:
        try:
            request: object = json.loads(line)
        except (ValueError, RecursionError) as error:
            return _no(f"a request is a JSON object: {error}", Exit.USAGE)
        if not isinstance(request, dict):
            return _no("a request is a JSON object", Exit.USAGE)
        try:
            return {"ok": True, **await self._answer(cast("dict[str, Any]", request))}
        except KeyswitchError as error:
            return _no(str(error), error.exit_code)
        except ValueError as error:
            return _no(str(error), Exit.USAGE)


def _no(why: str, code: Exit) -> dict[str, Any]:
    # What was asked for is quoted in it, and may be as long as a line itself.
    return {"ok": False, "error": why[:MAX_ERROR], "exit": code}


def ask(state: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request to the device that serves `state` and wait for its answer, at most `ANSWER_WITHIN_MS`.

    Raises:
        InputError: `state` is no state directory, or not this user's.
        DeviceNotRunningError: nobody serves it, or there was no answer in time.
        RefusedByDeviceError: the device refused the request; says why.
    """
    try:
        line = _exchange(state, json.dumps(request).encode() + b"\n")
    except PermissionError as error:
        raise InputError(str(state), "Permission denied", "the user who runs the device") from error
    except OSError as error:
        raise DeviceNotRunningError(f"{state}: no running device answers here ({error})") from error
    if not line.endswith(b"\n"):
        raise DeviceNotRunningError(f"{state}: the device ended before it answered")
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok"):
        raise RefusedByDeviceError(str(answer["error"]), Exit(answer["exit"]))
    return answer


def _exchange(state: Path, line: bytes) -> bytes:
    try:
        os.close(
            private_files.open_directory(state)
        )  # in another user's directory, another user's program would answer
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(str(state), "no such state directory", "the DIR of `keyswitch device … --state DIR`") from None
    address = _Address(state / PANEL)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_WITHIN_MS / 1000)
            connection.connect(address.text)
            connection.sendall(line)
            return connection.makefile("rb").readline(MAX_LINE)
    finally:
        address.close()
