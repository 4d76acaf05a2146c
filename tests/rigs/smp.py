"""Asking a server by hand: one request, its answer, nothing clever."""

import asyncio
from collections.abc import Mapping
from itertools import count
from typing import Any, Final

from tests.rigs import lost
from tests.rigs.wire import Wire

from keyswitch.smp.frame import Frame, request
from keyswitch.smp.header import Header, Op, SmpVersion

ANSWER_MS: Final = 3_000
"""How long an ordinary answer may take: an emulated board on a busy machine."""


class NoAnswerError(Exception):
    """The server did not answer in time."""


class Asker:
    """Asks one request at a time and pairs answers by their sequence number.

    Args:
        wire: to the server.
        version: of the requests.
        loses_lines: whether the server is an emulated board: what it does not answer is asked again, once (`lost`).
    """

    def __init__(self, wire: Wire, *, version: SmpVersion = SmpVersion.V2, loses_lines: bool = False) -> None:
        self.wire = wire
        self._tries = 2 if loses_lines else 1
        self._version = version
        self._sequences = count()

    async def ask(
        self, op: Op, group: int, command: int, body: Mapping[str, object] | None, *, timeout_ms: int = ANSWER_MS
    ) -> dict[str, Any]:
        """The map in the answer to one request.

        Raises:
            NoAnswerError: none came in time.
        """
        sequence = next(self._sequences) & 0xFF
        asked = request(op=op, group=group, command=command, sequence=sequence, body=body, version=self._version)
        for number in range(self._tries):
            if number:
                lost.LOST.append(f"{op.name} {group}/{command}")
            await self.wire.send(asked.encode())
            answer = await self._answer(sequence, timeout_ms)
            if answer is not None:
                return answer
        raise NoAnswerError(f"no answer to {op.name} {group}/{command} within {timeout_ms} ms")

    async def _answer(self, sequence: int, timeout_ms: int) -> dict[str, Any] | None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_ms / 1000
        while (left_ms := int((end_s - loop.time()) * 1000)) > 0:
            packet = await self.wire.receive(left_ms)
            if packet is not None and Header.decode(packet).sequence == sequence:
                return Frame.decode(packet).body()
        return None

    async def read(self, group: int, command: int, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Ask a read request."""
        return await self.ask(Op.READ, group, command, body)

    async def write(self, group: int, command: int, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Ask a write request."""
        return await self.ask(Op.WRITE, group, command, body)


ECHO_MS: Final = 250
"""How long one echo of `wait_until_up` is waited for before the next is sent."""


async def wait_until_up(wire: Wire, timeout_ms: int) -> None:
    """Wait until the server answers an echo. Answers to earlier echoes are read away.

    Raises:
        NoAnswerError: it did not answer within `timeout_ms`.
    """
    asker = Asker(wire)
    word = "up?"
    for _ in range(max(1, timeout_ms // ECHO_MS)):
        try:
            answer = await asker.ask(Op.WRITE, 0, 0, {"d": word}, timeout_ms=ECHO_MS)
        except NoAnswerError:
            continue
        if answer.get("r") == word:
            while await wire.receive(ECHO_MS // 5) is not None:
                pass
            return
    raise NoAnswerError(f"no echo within {timeout_ms} ms")
