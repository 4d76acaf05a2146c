"""The panel's socket, both sides together: whole path, bad requests."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from keyswitch.device.process.panel_server import Panel
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.panel.client import RefusedByDeviceError, ask
from keyswitch.panel.protocol import MAX_ERROR, MAX_LINE


async def answer(request: dict[str, Any]) -> dict[str, Any]:
    if request.get("do") != "status":
        raise InputError("panel", f"cannot do {request.get('do')!r}", "status")
    return {"mode": "normal"}


def with_panel(directory: Path, request: dict[str, Any]) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        served = Panel(directory / "panel.sock", answer)
        await served.start()
        try:
            return await asyncio.to_thread(ask, directory, request)
        finally:
            await served.close()

    return asyncio.run(run())


def test_a_request_is_answered(tmp_path: Path) -> None:
    assert with_panel(tmp_path, {"do": "status"}) == {"mode": "normal"}


def test_a_refusal_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(RefusedByDeviceError, match=r"cannot do 'dance'.*expected status"):
        with_panel(tmp_path, {"do": "dance"})


def test_a_refusal_of_something_long_is_short(tmp_path: Path) -> None:
    with pytest.raises(RefusedByDeviceError, match="cannot do") as refused:
        with_panel(tmp_path, {"do": "\n" * 30_000})
    assert len(str(refused.value)) == MAX_ERROR


def test_a_path_too_long_for_the_kernel_works_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    assert with_panel(deep, {"do": "status"}) == {"mode": "normal"}


def test_the_socket_is_for_its_owner_alone_and_goes_with_the_device(tmp_path: Path) -> None:
    async def run() -> int:
        served = Panel(tmp_path / "panel.sock", answer)
        await served.start()
        mode = (tmp_path / "panel.sock").stat().st_mode & 0o777
        await served.close()
        return mode

    assert asyncio.run(run()) == 0o600
    assert not (tmp_path / "panel.sock").exists()


def test_a_socket_left_by_a_killed_device_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "panel.sock").touch()
    assert with_panel(tmp_path, {"do": "status"}) == {"mode": "normal"}


@pytest.mark.parametrize("line", [b"{\n", b"[]\n", b'"status"\n', b"\xff\n", b"[" * 60_000 + b"\n"])
def test_garbage_is_answered_and_the_next_line_works(tmp_path: Path, line: bytes) -> None:
    async def run() -> list[dict[str, Any]]:
        served = Panel(tmp_path / "panel.sock", answer)
        await served.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "panel.sock"))
        writer.write(line + b'{"do": "status"}\n')
        answers = [json.loads(await reader.readline()) for _ in range(2)]
        writer.close()
        await served.close()
        return answers

    first, second = asyncio.run(run())
    assert first["ok"] is False
    assert first["exit"] == Exit.USAGE
    assert second == {"ok": True, "mode": "normal"}


def test_a_line_without_end_is_cut_off(tmp_path: Path) -> None:
    async def run() -> bytes:
        served = Panel(tmp_path / "panel.sock", answer)
        await served.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "panel.sock"))
        writer.write(b"x" * (MAX_LINE * 2))
        rest = await reader.read()
        writer.close()
        await served.close()
        return rest

    assert asyncio.run(run()) == b""
