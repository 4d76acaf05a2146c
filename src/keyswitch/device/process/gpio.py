"""A real button, on a pin of a Linux board (gpiozero; the extra `gpio`).

    pressed                       the time is noted
    let go                        the hold is told as long as it was
    held for the longest hold     told at once, so that a person sees when it was enough; letting go tells nothing more

Rules kept here: gpiozero calls from a thread of its own; everything is handed over to the event loop first. A button
that bounces is one press.
"""

import asyncio
import importlib
from collections.abc import Callable
from typing import Any, Final

from keyswitch.errors import InputError
from keyswitch.extras import need
from keyswitch.policy.model import OnButton, Policy

BOUNCE_S: Final = 0.02
"""Contacts of push buttons settle within some milliseconds."""


def longest_hold_ms(policy: Policy) -> int:
    """The longest hold that a transition asks for; 0: no transition is taken by button."""
    holds = (way.trigger.hold_ms for way in policy.transitions if isinstance(way.trigger, OnButton))
    return max(holds, default=0)


class GpioButton:
    """A push button between a pin and ground.

    Args:
        pin: as gpiozero numbers them (Broadcom numbers on a Raspberry Pi).
        longest_ms: told as soon as it is reached.
        held: told how long the button was held, in milliseconds; called from the event loop.
    """

    def __init__(self, pin: int, longest_ms: int, held: Callable[[int], None]) -> None:
        self._pin = pin
        self._longest_ms = longest_ms
        self._held = held
        self._button: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._since_s: float | None = None
        self._enough: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to listen; call it from the event loop.

        Raises:
            InputError: the library is missing, or the pin cannot be used.
        """
        where = f"entry.button.gpio: pin {self._pin}"
        need("gpiozero", where)
        gpiozero = importlib.import_module("gpiozero")
        loop = self._loop = asyncio.get_running_loop()
        try:
            self._button = gpiozero.Button(self._pin, bounce_time=BOUNCE_S)
        except (gpiozero.GPIOZeroError, OSError) as error:
            raise InputError(where, f"cannot be used: {error}", "a free input pin") from error
        self._button.when_pressed = lambda: loop.call_soon_threadsafe(self._pressed)
        self._button.when_released = lambda: loop.call_soon_threadsafe(self._released)

    def close(self) -> None:
        """Give the pin back."""
        if self._enough is not None:
            self._enough.cancel()
        if self._button is not None:
            self._button.close()
            self._button = None

    def _pressed(self) -> None:
        if self._loop is None or self._since_s is not None:
            return
        self._since_s = self._loop.time()
        self._enough = self._loop.call_later(self._longest_ms / 1000, self._reached)

    def _reached(self) -> None:
        if self._since_s is not None:
            self._since_s = None
            self._held(self._longest_ms)

    def _released(self) -> None:
        if self._loop is None or self._since_s is None:
            return
        hold_ms = int((self._loop.time() - self._since_s) * 1000)
        self._since_s = None
        if self._enough is not None:
            self._enough.cancel()
        self._held(hold_ms)
