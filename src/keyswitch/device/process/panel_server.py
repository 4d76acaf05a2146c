"""The device's side of its panel (`keyswitch.panel`): serves the socket.

Rule: what a request means is the runtime's business; this module carries it.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

from keyswitch.errors import KeyswitchError
from keyswitch.exits import Exit
from keyswitch.panel.protocol import MAX_LINE, SocketAddress, done, refused

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Panel:
    """The device's side. `answer` gets each request and returns what goes back."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. A socket left by a process that was killed is replaced: the state directory's lock is ours."""
        self._path.unlink(missing_ok=True)
        address = SocketAddress(self._path)
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
            return refused(f"a request is a JSON object: {error}", Exit.USAGE)
        if not isinstance(request, dict):
            return refused("a request is a JSON object", Exit.USAGE)
        try:
            return done(await self._answer(cast("dict[str, Any]", request)))
        except KeyswitchError as error:
            return refused(str(error), error.exit_code)
        except ValueError as error:
            return refused(str(error), Exit.USAGE)
