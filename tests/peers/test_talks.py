"""The list of sequences holds: real servers answer exactly so. What ours answers is compared with the same list."""

import asyncio
from collections.abc import Sequence

import pytest
from tests.peers import talks_image, talks_os
from tests.peers.partners import NeverResets, OnBoard
from tests.peers.talk import Partner, Talk, difference, play
from tests.peers.talks_image import Images
from tests.rigs import images, native_sim, qemu
from tests.rigs.images import Image
from tests.rigs.qemu import State

pytestmark = pytest.mark.peers

SLOT_SIZE = 106_496
SECTOR_SIZE = 1_024


@pytest.fixture(scope="module")
def prepared(microbit_image: Image) -> Images:
    return Images(
        running=images.running(qemu.MICROBIT),
        new=microbit_image,
        small=images.make(qemu.MICROBIT, "1.2.3+4", payload=bytes(range(256)) * 2),
        slot_size=SLOT_SIZE,
    )


async def said_otherwise(talks: Sequence[Talk], partner: Partner) -> list[str]:
    found = [difference(talk, await play(talk, partner)) for talk in talks]
    return [line for line in found if line is not None]


def test_native_sim_answers_as_the_list_says() -> None:
    async def talk() -> list[str]:
        talks = (*talks_os.CORE, *talks_os.NAMED_ZEPHYR, talks_os.parameters(384, 4), *talks_os.NATIVE_SIM)
        async with native_sim.serial_server() as server, server.wire() as wire:
            return await said_otherwise(talks, NeverResets(wire=wire))

    found = asyncio.run(talk())
    assert not found, "\n" + "\n".join(found)


async def on_fresh_microbit(talk: Talk, saved: State) -> list[str]:
    async with qemu.board(saved) as board, board.wire() as wire:
        return await said_otherwise([talk], OnBoard(board=board, wire=wire))


def test_a_microbit_answers_as_the_list_says(microbit_saved: State) -> None:
    async def talk() -> list[str]:
        talks = (*talks_os.CORE, *talks_os.NAMED_ZEPHYR, talks_os.parameters(384, 4))
        async with qemu.board(microbit_saved) as board, board.wire() as wire:
            return await said_otherwise(talks, OnBoard(board=board, wire=wire))

    found = asyncio.run(talk())
    assert not found, "\n" + "\n".join(found)


def test_uploads_and_erases_are_answered_as_the_list_says(microbit_saved: State, prepared: Images) -> None:
    talks = (
        *talks_image.refused_uploads(prepared),
        *talks_image.sessions(prepared),
        *talks_image.erasing(prepared),
    )
    found = [line for talk in talks for line in asyncio.run(on_fresh_microbit(talk, microbit_saved))]
    assert not found, "\n" + "\n".join(found)


def test_test_confirm_and_revert_are_answered_as_the_list_says(microbit_loaded: State, prepared: Images) -> None:
    talks = talks_image.marking(prepared)
    found = [line for talk in talks for line in asyncio.run(on_fresh_microbit(talk, microbit_loaded))]
    assert not found, "\n" + "\n".join(found)


def test_a_file_with_a_trailer_arms_itself_on_zephyr(microbit_saved: State, prepared: Images) -> None:
    padded = images.make(qemu.MICROBIT, "1.1.0", "--pad", "--confirm", "--slot-size", str(SLOT_SIZE - SECTOR_SIZE))
    talk = talks_image.armed_by_itself(prepared, padded)
    found = asyncio.run(on_fresh_microbit(talk, microbit_saved))
    assert not found, "\n" + "\n".join(found)
