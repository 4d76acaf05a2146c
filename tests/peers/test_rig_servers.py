"""The rigs themselves: each real server comes up, answers our codec, and goes away without a trace."""

import asyncio
import os
from typing import Any

import pytest
from tests.rigs import native_sim, qemu
from tests.rigs.qemu import State
from tests.rigs.smp import Asker

pytestmark = pytest.mark.peers


@pytest.mark.parametrize(
    ("build", "buf_size"), [("serial", 384), ("serial_bigrx", 384), ("serial_buf2048", 2048), ("serial_raw", 384)]
)
def test_a_native_sim_server_answers_on_its_pseudo_terminal(build: str, buf_size: int) -> None:
    async def talk() -> None:
        async with native_sim.serial_server(build) as server, server.wire() as wire:
            asker = Asker(wire)
            assert await asker.write(0, 0, {"d": "hi"}) == {"r": "hi"}
            assert await asker.read(0, 6) == {"buf_size": buf_size, "buf_count": 4}
            pid = server.process.pid
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(talk())


def test_a_native_sim_server_answers_over_udp_in_its_own_network() -> None:
    async def talk() -> None:
        async with (
            native_sim.udp_server() as one,
            native_sim.udp_server() as two,
            one.wire() as wire,
            two.wire() as other,
        ):
            assert await Asker(wire).write(0, 0, {"d": "one"}) == {"r": "one"}
            assert await Asker(other).write(0, 0, {"d": "x" * 1000}) == {"r": "x" * 1000}

    asyncio.run(talk())


def test_a_microbit_starts_each_time_from_the_saved_state(microbit_saved: State) -> None:
    async def talk() -> dict[str, Any]:
        async with qemu.board(microbit_saved) as board, board.wire() as wire:
            asker = Asker(wire, loses_lines=True)
            before = await asker.read(1, 0)
            assert await asker.write(1, 5, {}) == {}
            assert await asker.read(0, 6) == {"buf_size": 384, "buf_count": 4}
            return before

    first = asyncio.run(talk())
    assert [image["version"] for image in first["images"]] == ["0.0.0"]
    assert asyncio.run(talk()) == first


def test_an_mps2_answers(mps2_saved: State) -> None:
    async def talk() -> None:
        async with qemu.board(mps2_saved) as board, board.wire() as wire:
            asker = Asker(wire, loses_lines=True)
            assert await asker.read(0, 6) == {"buf_size": 2048, "buf_count": 4}
            assert await asker.write(0, 0, {"d": "x" * 1500}) == {"r": "x" * 1500}
            assert len((await asker.read(1, 0))["images"]) == 1

    asyncio.run(talk())
