"""Servers in conversation: who can be talked to, and how it is known that they have restarted."""

from dataclasses import dataclass

from tests.rigs.qemu import Board
from tests.rigs.wire import StreamWire, Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverResets:
    """A server in sequences without a reset."""

    wire: Wire
    loses_lines: bool = False

    async def has_reset(self) -> None:
        raise AssertionError("this sequence resets the server")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBoard:
    """A board in conversation over its serial line."""

    board: Board
    wire: StreamWire
    loses_lines: bool = True

    async def has_reset(self) -> None:
        await self.board.has_reset(self.wire)
