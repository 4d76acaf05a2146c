"""A button on a pin, by gpiozero's own mock pins; without the library only its absence can be shown."""

import asyncio
import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tests.policy.samples import pump, small

from keyswitch.device.process.gpio import GpioButton, longest_hold_ms
from keyswitch.errors import InputError


def test_the_longest_hold_of_a_policy() -> None:
    assert longest_hold_ms(pump()) == 5_000
    assert longest_hold_ms(small()) == 0


def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiozero", None)

    async def start() -> None:
        GpioButton(17, 5_000, lambda _ms: None).start()

    with pytest.raises(
        InputError, match=r"entry.button.gpio: pin 17: gpiozero is not installed: install keyswitch\[gpio\]"
    ):
        asyncio.run(start())


@pytest.fixture
def pin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pin 17 of a board that is not there."""
    gpiozero = importlib.import_module("gpiozero")
    factory = importlib.import_module("gpiozero.pins.mock").MockFactory()
    monkeypatch.setattr(gpiozero.Device, "pin_factory", factory)
    yield factory.pin(17)
    factory.reset()


def told(pin: Any, act: Callable[[Any], Any], longest_ms: int = 400) -> list[int]:
    """What a button tells while `act` plays with its pin."""
    holds: list[int] = []

    async def play() -> None:
        button = GpioButton(17, longest_ms, holds.append)
        button.start()
        await act(pin)
        await asyncio.sleep(0.1)
        button.close()

    asyncio.run(play())
    return holds


async def press(pin: Any, seconds: float) -> None:
    pin.drive_low()
    await asyncio.sleep(seconds)
    pin.drive_high()
    await asyncio.sleep(0.05)


def test_a_short_press_is_told_when_it_ends(pin: Any) -> None:
    (hold_ms,) = told(pin, lambda pin: press(pin, 0.1))
    assert 90 <= hold_ms < 400


def test_a_long_press_is_told_once_and_at_once(pin: Any) -> None:
    assert told(pin, lambda pin: press(pin, 0.5)) == [400]


def test_two_presses_are_two(pin: Any) -> None:
    async def twice(pin: Any) -> None:
        await press(pin, 0.05)
        await press(pin, 0.05)

    assert len(told(pin, twice)) == 2


def test_a_pin_that_is_in_use(pin: Any) -> None:
    other = importlib.import_module("gpiozero").LED(17)
    with pytest.raises(InputError, match="pin 17: cannot be used"):
        told(pin, lambda pin: press(pin, 0.1))
    other.close()
