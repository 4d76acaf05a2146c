import asyncio
import os
import pty
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyswitch.app.endpoints import open_endpoint
from keyswitch.cli.prompt import ask_passkey
from keyswitch.errors import InputError


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal that stdin is; what is written here is typed there."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stdin", terminal)
        yield ours
    os.close(ours)


def test_a_passkey_is_asked_for_on_stderr(keyboard: int, capsys: pytest.CaptureFixture[str]):
    os.write(keyboard, b"012345\n")
    assert asyncio.run(ask_passkey()) == 12_345
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "passkey that the device shows: "


def test_what_is_no_passkey_is_asked_for_again(keyboard: int, capsys: pytest.CaptureFixture[str]):
    async def type_twice() -> int | None:
        asked = asyncio.ensure_future(ask_passkey())
        for word in (b"pump\n", b"1000000\n", b"7\n"):
            os.write(keyboard, word)
            await asyncio.sleep(0.05)
        return await asked

    assert asyncio.run(type_twice()) == 7
    assert capsys.readouterr().err.count("six digits were expected") == 2


def test_the_end_of_input_gives_up(keyboard: int):
    os.write(keyboard, b"\x04")
    assert asyncio.run(ask_passkey()) is None


@pytest.mark.timeout(10)
def test_a_prompt_that_nobody_answers_holds_nothing_up_and_takes_nothing_of_the_next(keyboard: int):
    async def give_up() -> int | None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask_passkey()
        os.write(keyboard, b"123456\n")
        return await ask_passkey()

    assert asyncio.run(give_up()) == 123_456


def test_where_the_loop_cannot_watch_a_terminal_a_thread_reads(keyboard: int, monkeypatch: pytest.MonkeyPatch):
    def cannot(*_arguments: object) -> None:
        raise NotImplementedError

    async def ask() -> int | None:
        monkeypatch.setattr(asyncio.get_running_loop(), "add_reader", cannot)
        return await ask_passkey()

    os.write(keyboard, b"000007\n")
    assert asyncio.run(ask()) == 7


def test_without_a_terminal_nobody_is_asked(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert asyncio.run(ask_passkey()) is None
    assert "use --passkey" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["a directory", "text"])
def test_bonds_that_are_none_are_bad_input(tmp_path: Path, kind: str):
    path = tmp_path / "bonds"
    if kind == "text":
        path.write_text("{}", encoding="utf-8")
    else:
        path.mkdir()
    with pytest.raises(InputError, match="bonds"):
        open_endpoint("hci:tcp-client:127.0.0.1:1#Pump 7", pair=True, bonds=path)
