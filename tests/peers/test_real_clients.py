"""Real clients against real servers: what the rigs are trusted for when one side is ours."""

import asyncio
from pathlib import Path

import pytest
from tests.rigs import images, native_sim, qemu
from tests.rigs.clients import LIBRARIES, SMPCLIENT, TOOLKIT, Client, all_ok, smpmgr
from tests.rigs.images import Image
from tests.rigs.line import line
from tests.rigs.qemu import State

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("client", LIBRARIES, ids=lambda client: client.name)
def test_a_library_talks_to_native_sim_over_serial(client: Client) -> None:
    async def talk() -> None:
        async with native_sim.serial_server() as server:
            results = await client.do(f"serial:{server.path}", ["echo", "hi"], ["params"])
        all_ok(results)
        assert results[0]["answer"] == "hi"
        assert (results[1]["buf_size"], results[1]["buf_count"]) == (384, 4)

    asyncio.run(talk())


@pytest.mark.parametrize("client", LIBRARIES, ids=lambda client: client.name)
def test_a_library_talks_to_native_sim_over_udp(client: Client) -> None:
    async def talk() -> None:
        async with native_sim.udp_server() as server:
            results = await client.do(f"udp:{server.host}", ["echo", "x" * 500], inside=server.inside)
        all_ok(results)
        assert results[0]["answer"] == "x" * 500

    asyncio.run(talk())


def test_smpmgr_talks_to_native_sim() -> None:
    async def talk() -> None:
        async with native_sim.serial_server() as serial, native_sim.udp_server() as udp:
            over_serial = await smpmgr("--port", serial.path, "os", "echo", "hello")
            over_udp = await smpmgr("--ip", udp.host, "os", "echo", "hello", inside=udp.inside)
        for said in (over_serial, over_udp):
            assert said.code == 0, said.text
            assert "hello" in said.text

    asyncio.run(talk())


@pytest.mark.timeout(150)
def test_smpclient_updates_a_microbit(microbit_saved: State, microbit_image: Image, tmp_path: Path) -> None:
    async def talk() -> None:
        file = tmp_path / "image.bin"
        file.write_bytes(microbit_image.data)
        async with qemu.board(microbit_saved) as board, line(board) as path:
            results = await SMPCLIENT.do(
                f"serial:{path}",
                ["line", {"line_length": 128, "line_buffers": 2}],
                ["upload", str(file)],
                ["test", microbit_image.hash.hex()],
                ["reset"],
                ["running", microbit_image.version, 20],
                ["confirm"],
                ["reset"],
                ["running", microbit_image.version, 20],
                timeout_ms=120_000,
            )
        all_ok(results)
        assert len(results) == 8
        (only,) = results[-1]["images"]
        assert only["confirmed"], "the update was confirmed and is still there after another reset"

    asyncio.run(talk())


@pytest.mark.timeout(150)
def test_mcumgr_toolkit_updates_a_microbit(microbit_saved: State, microbit_image: Image, tmp_path: Path) -> None:
    async def talk() -> None:
        file = tmp_path / "image.bin"
        file.write_bytes(microbit_image.data)
        async with qemu.board(microbit_saved) as board, line(board) as path:
            results = await TOOLKIT.do(
                f"serial:{path}",
                ["frame", 180],
                ["upload", str(file)],
                ["test", microbit_image.hash.hex()],
                ["reset"],
                ["running", microbit_image.version, 20],
                ["confirm"],
                timeout_ms=120_000,
            )
        all_ok(results)
        assert [image["confirmed"] for image in results[-1]["images"]] == [True]

    asyncio.run(talk())


@pytest.mark.timeout(150)
def test_smpmgr_upgrades_a_microbit(microbit_saved: State, microbit_image: Image, tmp_path: Path) -> None:
    async def talk() -> None:
        file = tmp_path / "image.bin"
        file.write_bytes(microbit_image.data)
        async with qemu.board(microbit_saved) as board, line(board) as path:
            # Without `--slot 1` it uploads, resets, says "Upgrade complete." and has marked nothing (main.py, 0.19.1).
            upgrade = ("--port", path, "--timeout", "10", "upgrade", "--slot", "1", file)
            said = await smpmgr(*upgrade, timeout_ms=120_000)
            assert said.code == 0, said.text
            (after,) = await SMPCLIENT.do(f"serial:{path}", ["running", microbit_image.version, 20])
        all_ok([after])
        assert [image["version"] for image in after["images"]] == ["1.1.0", "0.0.0"]

    asyncio.run(talk())


@pytest.mark.timeout(150)
def test_smpclient_finds_that_a_ram_load_board_knows_no_test(mps2_saved: State, tmp_path: Path) -> None:
    async def talk() -> None:
        image = images.make(qemu.MPS2, "1.1.0")
        file = tmp_path / "image.bin"
        file.write_bytes(image.data)
        async with qemu.board(mps2_saved) as board, line(board, baud=1_000_000) as path:
            target = f"serial:{path}"
            uploaded = await SMPCLIENT.do(target, ["upload", str(file)], ["test", image.hash.hex()], timeout_ms=120_000)
            restarted = await SMPCLIENT.do(target, ["reset"], ["running", image.version, 20])
        assert [result["ok"] for result in uploaded] == [True, False]
        assert "ENOTSUP" in uploaded[1]["said"]
        all_ok(restarted)

    asyncio.run(talk())
