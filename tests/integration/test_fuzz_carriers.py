"""Mutated frames through every carrier of a whole device: radio, serial line, datagrams, cut and mutated on their way.

Outside maintenance nothing may change (checked by hash), whatever must be answered is, and memory does not grow: on the
line and the radio, where a change on the way may swallow the next frame, frames that travel whole and after a silence
are the ones that must be answered. The bounded run takes some thousands of frames, the deep one a million.
"""

import asyncio
import gc
import random
import sys
from collections.abc import Callable

import pytest
from tests.device.server.test_fuzz import frames, mutate
from tests.integration.places import WAYS, Place, place

from keyswitch.demo.workshop import Workshop
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer, Refusal
from keyswitch.link.air import clock
from keyswitch.smp.framing import PIECE_LIMIT_MS, ble, console
from keyswitch.smp.groups import mode
from keyswitch.smp.header import packet_size

BATCH = 25
"""Frames between two looks at what may not change."""
BATCHES_BEFORE_COUNTING = 8
"""Until whatever is made once is there: log lines, caches, buffers."""
BLOCKS_PER_FRAME = 0.5
"""Of Python's memory that a run may hold beyond that at its end. A frame that is kept costs one at least."""
MOST_BLOCKS = 3_000
"""However many frames there were. Sound runs were seen to hold 400: log lines and caches come and go."""
WHOLE = 5
"""Of the frames of a batch, one in so many travels unchanged, on a quiet link."""
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


async def answers(client: SmpClient) -> bool:
    """Whether the device answers, and what it must."""
    reply = await client.read(mode.ID, mode.Id.STATE)
    unknown = await client.read(5, 5)
    return isinstance(reply, Answer) and isinstance(unknown, Refusal) and unknown.code == 8


def must_be_answered(way: str, frame: bytes, room: int) -> bool:
    """Whether a frame that arrives as it is, alone, gets an answer."""
    announced = packet_size(frame)
    if announced is None:
        return False
    # On the radio nothing but the header says where a packet ends: one that announces more is waited for, in vain.
    return way != "ble" or announced <= len(frame) or announced > room


async def travels_whole(here: Place, way: str, client: SmpClient, frame: bytes, got: list[bytes]) -> None:
    await asyncio.sleep(PIECE_LIMIT_MS / 1000 + 1)
    got.clear()
    for piece in ble.pieces(frame, MAX_WRITE) if way == "ble" else console.pieces(frame):
        await here.write(client, piece)
    await asyncio.sleep(0.5)
    room = here.world.policy.smp.buf_size
    assert bool(got) is must_be_answered(way, frame, room), frame.hex()


async def batch(here: Place, way: str, client: SmpClient, chance: random.Random) -> None:
    got: list[bytes] = []
    sink = client._received
    client.link.on_packet(got.append)
    for number, drawn in enumerate(frames(chance.getrandbits(32), BATCH)):
        frame = drawn[: here.world.policy.smp.buf_size]
        if way != "net" and number % WHOLE == 0:
            await travels_whole(here, way, client, frame, got)
            continue
        for piece in pieces(way, frame, chance):
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


def allowed(batches: int) -> float:
    """How many blocks a run without a leak may hold at its end."""
    return min(MOST_BLOCKS, BLOCKS_PER_FRAME * BATCH * (batches - BATCHES_BEFORE_COUNTING))


@pytest.mark.parametrize("moving", [False, True], ids=["normal", "active"])
@pytest.mark.parametrize("way", WAYS)
def test_mutated_frames_through_every_carrier(pump: Workshop, way: str, moving: bool) -> None:
    batches = BATCHES_BEFORE_COUNTING + 80
    assert fuzz(pump, way, moving=moving, batches=batches, seed=1) < allowed(batches)


@pytest.mark.deep
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("moving", [False, True], ids=["normal", "active"])
@pytest.mark.parametrize("way", WAYS)
def test_a_million_mutated_frames_through_every_carrier(
    pump: Workshop,
    tell: Callable[[str], None],
    way: str,
    moving: bool,
) -> None:
    batches = 1_000_000 // BATCH // 6 + 1
    grown = fuzz(pump, way, moving=moving, batches=batches, seed=2)
    tell(f"{batches * BATCH:,} frames; nothing changed, {grown:,} blocks of memory more than at the beginning")
    assert grown < allowed(batches)
