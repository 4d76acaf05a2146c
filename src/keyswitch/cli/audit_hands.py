"""Whoever is at the device under audit: a person who is asked, or the panel of a device of ours."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from keyswitch.audit.target import NotReachedError
from keyswitch.cli.output import echo
from keyswitch.cli.prompt import line_typed
from keyswitch.errors import KeyswitchError
from keyswitch.panel.client import ask
from keyswitch.policy.model import Value, value_text


class AskedPerson:
    """A person at the device, who does what is asked and presses Enter."""

    async def set_input(self, name: str, value: Value) -> None:
        """Ask for an input."""
        await self._ask(f"make {name} {value_text(value)}")

    async def hold_button(self, hold_ms: int) -> None:
        """Ask for the button."""
        await self._ask(f"hold the button for {hold_ms / 1000:g} s")

    async def power_cycle(self) -> None:
        """Ask for the power."""
        await self._ask("take the power away, and give it back")

    async def bring(self, mode: str) -> None:
        """Ask for a mode."""
        await self._ask(f"bring the device into mode {mode}")

    async def _ask(self, what: str) -> None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise NotReachedError(f"somebody has to {what}, and there is no terminal to ask at")
        echo(f"please {what}, then press Enter (n: it cannot be done) ", err=True, end=False)
        answer = await line_typed(sys.stdin.fileno())
        if not answer or answer.strip().lower().startswith(b"n"):
            raise NotReachedError(f"the person at the device could not {what}")


class PanelHand:
    """The panel of a device of ours. Args: state: its state directory."""

    def __init__(self, state: Path) -> None:
        self._state = state

    async def set_input(self, name: str, value: Value) -> None:
        """As `keyswitch panel DIR set`."""
        await self._do({"do": "set", "name": name, "value": value_text(value)})

    async def hold_button(self, hold_ms: int) -> None:
        """As `keyswitch panel DIR press`."""
        await self._do({"do": "press", "hold_ms": hold_ms})

    async def power_cycle(self) -> None:
        """As `keyswitch panel DIR power-cycle`."""
        await self._do({"do": "power-cycle"})

    async def bring(self, mode: str) -> None:
        """A device of ours tells its mode."""
        raise NotReachedError(f"the device tells no mode, and a panel cannot bring it into mode {mode}")

    async def _do(self, request: dict[str, Any]) -> None:
        try:
            await asyncio.to_thread(ask, self._state, request)
        except KeyswitchError as error:
            raise NotReachedError(f"the panel could not {request['do']}: {error}") from error
