"""Our operator against real Zephyr and MCUboot: whole updates in one command, and what else its client can ask."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.rigs import images, native_sim, qemu
from tests.rigs.images import Image
from tests.rigs.line import line
from tests.rigs.process import run
from tests.rigs.qemu import State

from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer, Refusal, Reply
from keyswitch.link.serial_port import SerialLink
from keyswitch.link.udp import UdpLink

pytestmark = [pytest.mark.peers, pytest.mark.timeout(180)]

MPS2_BAUD = 1_000_000


async def keyswitch(*arguments: str | Path, inside: tuple[str, ...] = ()) -> tuple[int, list[dict[str, Any]]]:
    """Run one of our commands in a process of its own: its exit code and its JSON lines."""
    code, said = await run(*inside, sys.executable, "-m", "keyswitch", *arguments, "--json", timeout_ms=150_000)
    return code, [json.loads(text) for text in said.splitlines() if text.startswith("{")]


def written(image: Image, directory: Path) -> Path:
    path = directory / f"{image.version}.bin"
    path.write_bytes(image.data)
    return path


def runs(told: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(slot["version"], slot["confirmed"]) for slot in told["after"] if slot["active"]]


async def reset(path: Path) -> None:
    """Reset the board on this line, and wait until it answers again."""
    client = SmpClient(await SerialLink.open(str(path), 115_200))
    assert await client.write(0, 5) == Answer(values={})
    await asyncio.sleep(1)
    assert isinstance(await client.read(0, 6, timeout_ms=10_000), Answer)
    await client.close()


def test_a_board_that_swaps(microbit_saved: State, microbit_image: Image, tmp_path: Path) -> None:
    async def story() -> None:
        file = written(microbit_image, tmp_path)
        async with qemu.board(microbit_saved) as board, line(board) as path:
            target = f"serial:{path}"
            code, (plan,) = await keyswitch("update", target, file, "--dry-run")
            assert code == 0
            assert [step["step"] for step in plan["steps"] if step["skipped"] is None][-1] == "confirm"
            assert "test" not in [step["step"] for step in plan["steps"] if step["skipped"]]
            code, told = await keyswitch("update", target, file)
            assert (code, told[-1]["outcome"]) == (0, "confirmed"), told[-1]
            assert runs(told[-1]) == [("1.1.0", True)]
            code, told = await keyswitch("update", target, file)
            assert (code, told[-1]["outcome"]) == (0, "already running")
            code, (verdict,) = await keyswitch("status", target)
            assert (code, verdict["gate"], verdict["image_group"]) == (0, "open", True)

    asyncio.run(story())


def test_a_trial_that_nobody_confirms(microbit_saved: State, microbit_image: Image, tmp_path: Path) -> None:
    async def story() -> None:
        file = written(microbit_image, tmp_path)
        async with qemu.board(microbit_saved) as board, line(board) as path:
            target = f"serial:{path}"
            code, told = await keyswitch("update", target, file, "--only", "test")
            assert (code, told[-1]["outcome"]) == (0, "on trial"), told[-1]
            assert runs(told[-1]) == [("1.1.0", False)]
            await reset(path)
            code, told = await keyswitch("update", target, file, "--only", "confirm")
            assert (code, told[-1]["outcome"]) == (1, "failed"), told[-1]
            assert "the device runs 0.0.0" in told[-1]["detail"]

    asyncio.run(story())


def test_a_board_that_loads_into_ram(mps2_saved: State, tmp_path: Path) -> None:
    async def story() -> None:
        file = written(images.make(qemu.MPS2, "1.1.0"), tmp_path)
        async with qemu.board(mps2_saved) as board, line(board, baud=MPS2_BAUD) as path:
            target = f"serial:{path}"
            code, (plan,) = await keyswitch("update", target, file, "--dry-run")
            assert code == 0
            skipped = {step["step"]: step["skipped"] for step in plan["steps"] if step["skipped"]}
            assert "a reset alone" in skipped["test"]
            code, told = await keyswitch("update", target, file)
            assert (code, told[-1]["outcome"]) == (0, "confirmed"), told[-1]
            assert runs(told[-1]) == [("1.1.0", True)]

    asyncio.run(story())


def test_a_board_in_serial_recovery(mps2_recovery_saved: State, tmp_path: Path) -> None:
    async def story() -> None:
        file = written(images.make(qemu.MPS2_RECOVERY, "1.1.0"), tmp_path)
        async with qemu.board(mps2_recovery_saved) as board, line(board, baud=MPS2_BAUD) as path:
            code, told = await keyswitch("update", f"serial:{path}", file, "--recipe", "boot-mode")
            assert (code, told[-1]["outcome"]) == (0, "confirmed"), told[-1]
            assert [version for version, _ in runs(told[-1])] == ["1.1.0"]
            done = [event["step"] for event in told if event["event"] == "step_done"]
            assert done.index("enter") < done.index("reconnect") < done.index("upload")

    asyncio.run(story())


async def ask_around(client: SmpClient) -> dict[str, Reply]:
    """Commands of the groups that native_sim serves, our operator's own among them."""
    return {
        "echo": await client.write(0, 0, {"d": "x" * 200}),
        "params": await client.read(0, 6),
        "no image group": await client.read(1, 0),
        "no such setting": await client.read(3, 0, {"name": "none/such"}),
        "setting": await client.write(3, 0, {"name": "none/such", "val": b"1"}),
        "settings applied": await client.write(3, 2),
        "no such file": await client.read(8, 0, {"name": "/none", "off": 0}),
        "file": await client.write(8, 0, {"name": "/lfs1/k.txt", "off": 0, "len": 5, "data": b"hello"}),
        "file again": await client.read(8, 0, {"name": "/lfs1/k.txt", "off": 0}),
    }


def check(told: dict[str, Reply]) -> None:
    echo, params, again = told["echo"], told["params"], told["file again"]
    assert isinstance(echo, Answer)
    assert echo.values["r"] == "x" * 200
    assert isinstance(params, Answer)
    assert set(params.values) == {"buf_size", "buf_count"}
    assert str(told["no image group"]) == "ENOTSUP: the device does not have this command"
    setting, file = told["no such setting"], told["no such file"]
    assert isinstance(setting, Refusal)
    assert setting.name.startswith("settings ")
    assert str(told["setting"]) == "settings ROOT_KEY_NOT_FOUND"  # this build has no setting that could be written
    assert isinstance(told["settings applied"], Answer)
    assert isinstance(file, Refusal)
    assert file.name.startswith("fs ")
    assert isinstance(told["file"], Answer), told["file"]
    assert isinstance(again, Answer)
    assert again.values["data"] == b"hello"


def test_commands_over_a_terminal() -> None:
    async def story() -> None:
        async with native_sim.serial_server() as server:
            client = SmpClient(await SerialLink.open(str(server.path), 115_200))
            check(await ask_around(client))
            await client.close()

    asyncio.run(story())


def test_commands_over_udp() -> None:
    """Over a socket that was made in the server's own network namespace."""

    async def story() -> None:
        async with native_sim.udp_server() as server:
            there = server.make_socket()
            there.setblocking(False)
            there.connect((server.host, server.port))
            _, link = await asyncio.get_running_loop().create_datagram_endpoint(UdpLink, sock=there)
            client = SmpClient(link)
            check(await ask_around(client))
            await client.close()

    asyncio.run(story())


def test_status_over_udp() -> None:
    """The server is in a network namespace of its own, so our command goes there."""

    async def story() -> None:
        async with native_sim.udp_server() as server:
            code, (verdict,) = await keyswitch("status", f"udp:{server.host}", inside=tuple(server.inside))
        assert (code, verdict["gate"], verdict["reason"], verdict["image_group"]) == (
            1,
            "shut",
            "no image group",
            False,
        )

    asyncio.run(story())
