"""Whoever uses the library is asked as whoever uses the commands: for digits, and to compare numbers."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.mcuboot import imgtool_images

import keyswitch
from keyswitch.link.targets import BleTarget, Pairing

TARGET = "ble:Pump 7"


class Opened(Exception):  # noqa: N818 - what stops the test where the radio would be opened
    """The radio is asked for."""


class Person:
    """Somebody who compares numbers."""

    async def same(self, number: str) -> bool:
        return number == "123456"

    def show(self, number: str) -> None:
        del number


async def digits() -> int | None:
    return 123_456


Call = Callable[..., Coroutine[Any, Any, object]]


def status(_directory: Path, **asked: Any) -> Coroutine[Any, Any, object]:
    return keyswitch.status(TARGET, pair=True, **asked)


def update(directory: Path, **asked: Any) -> Coroutine[Any, Any, object]:
    image = directory / "1.1.0.bin"
    image.write_bytes(imgtool_images.signed("1.1.0"))
    request = keyswitch.UpdateRequest(target=TARGET, image=image, unchecked=True, pair=True)
    return keyswitch.update(request, **asked)


@pytest.mark.parametrize("call", [status, update])
@pytest.mark.parametrize("asked", [{}, {"ask_passkey": digits}, {"numbers": Person()}])
def test_who_is_asked_while_we_pair(
    call: Call, asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairings: list[Pairing | None] = []

    def opened(target: BleTarget, pairing: Pairing | None = None, *_: object) -> None:
        assert target.name == "Pump 7"
        pairings.append(pairing)
        raise Opened

    monkeypatch.setattr("keyswitch.app.endpoints.open_adapter", opened)
    with pytest.raises(Opened):
        asyncio.run(call(tmp_path, **asked))
    assert pairings == [Pairing(**asked)]
