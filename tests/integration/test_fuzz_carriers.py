"""Mutated frames through every carrier of a whole device: radio, serial line, datagrams, cut and mutated on their way.

Outside maintenance nothing may change (checked by hash), whatever must be answered is, and memory does not grow. The
bounded run takes some thousands of frames, the deep one a million.
"""

import asyncio
import gc
import random
import sys
from collections.abc import Callable

import pytest
from tests.device.test_server_fuzz import frames, mutate
from tests.integration.places import WAYS, Place, place

from keyswitch.demo.workshop import Workshop
from keyswitch.host.client import Client
from keyswitch.host.reply import Answer, Refusal
from keyswitch.link.air import clock
from keyswitch.smp.framing import PIECE_LIMIT_MS, ble, console
from keyswitch.smp.groups import mode

BATCH = 25
"""Frames between two looks at what may not change."""
BATCHES_BEFORE_COUNTING = 8
"""Until whatever is made once is there: log lines, caches, buffers."""
MOST_BLOCKS = 3_000
"""Of Python's memory that a run may hold beyond that at its end. A frame that is kept costs five or more."""
SECONDS_OF_A_YEAR = 365 * 24 * 3600
MAX_WRITE = 240


def pieces(way: str, frame: bytes, chance: random.Random) -> list[bytes]:
    """The frame as it travels, with something of that changed now and then."""
    if way == "net":
        return [frame]
    cut = ble.pieces(frame, chance.choice((20, 60, MAX_WRITE))) if way == "ble" else console.pieces(frame)
    changed: list[bytes] = []
    for piece in cut:
        part = bytearray(piece)
        if chance.random() < 0.05:
            mutate(chance, part)
        if chance.random() < 0.98:  # else it is lost
            changed.append(bytes(part[:MAX_WRITE]))
    return changed


async def answers(client: Client) -> bool:
    """Whether the device answers, and what it must."""
    reply = await client.read(mode.ID, mode.Id.STATE)
    unknown = await client.read(5, 5)
    return isinstance(reply, Answer) and isinstance(unknown, Refusal) and unknown.code == 8


async def batch(here: Place, way: str, client: Client, chance: random.Random) -> None:
    got: list[bytes] = []
    sink = client._received
    client.link.on_packet(got.append)
    for frame in frames(chance.getrandbits(32), BATCH):
        for piece in pieces(way, frame[: here.world.policy.smp.buf_size], chance):
            await here.write(client, piece)
        if way == "net":
            await asyncio.sleep(0.01)
            assert bool(got) is (len(frame) >= 8), frame.hex()
            got.clear()
    await asyncio.sleep(PIECE_LIMIT_MS / 1000 + 1)
    client.link.on_packet(sink)


def fuzz(pump: Workshop, way: str, *, moving: bool, batches: int, seed: int) -> int:
    """How many blocks of memory there are more at the end than after the first batches."""

    async def story() -> int:
        chance = random.Random(seed)
        blocks = 0
        async with place(pump) as here:
            await here.move(moving=moving)
            client = await here.client(way)
            before = here.unchanged()
            for number in range(batches):
                if number == BATCHES_BEFORE_COUNTING:
                    gc.collect()
                    blocks = sys.getallocatedblocks()
                if client.link.closed is not None:
                    here.centrals.clear()
                    client = await here.client(way)
                await batch(here, way, client, chance)
                assert here.unchanged() == before
                assert await answers(client)
            gc.collect()
            return sys.getallocatedblocks() - blocks

    return clock.run(story(), limit_s=SECONDS_OF_A_YEAR)


@pytest.mark.parametrize("moving", [False, True], ids=["normal", "active"])
@pytest.mark.parametrize("way", WAYS)
def test_mutated_frames_through_every_carrier(pump: Workshop, way: str, moving: bool) -> None:  # noqa: FBT001
    assert fuzz(pump, way, moving=moving, batches=16, seed=1) < MOST_BLOCKS


@pytest.mark.deep
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("moving", [False, True], ids=["normal", "active"])
@pytest.mark.parametrize("way", WAYS)
def test_a_million_mutated_frames_through_every_carrier(
    pump: Workshop,
    tell: Callable[[str], None],
    way: str,
    moving: bool,  # noqa: FBT001
) -> None:
    batches = 1_000_000 // BATCH // 6 + 1
    grown = fuzz(pump, way, moving=moving, batches=batches, seed=2)
    tell(f"{batches * BATCH:,} frames; nothing changed, {grown:,} blocks of memory more than at the beginning")
    assert grown < MOST_BLOCKS
