"""Real servers and ours, side by side, on requests drawn by chance. Every difference has a reason, in docs/peers.md."""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from tests.peers.drawn import SMALL_GROUPS, draw, draw_images
from tests.peers.ours import Ours
from tests.peers.partners import NeverResets, OnBoard
from tests.peers.talk import Answer, Ask, Step, Talk, play
from tests.peers.talks_image import Images
from tests.rigs import images, native_sim, qemu
from tests.rigs.images import Image
from tests.rigs.qemu import State

from keyswitch.errors import RemoteError
from keyswitch.smp import cbor
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import image

pytestmark = pytest.mark.peers

SLOT_SIZE: Final = 106_496

NOT_BUILT: Final = {(0, 3), (0, 4), (0, 8)}
"""Memory pools, date-time, bootloader information: this native_sim was built without them."""
OF_THE_SYSTEM: Final = {(0, 2), (0, 7), (2, 1), (10, 0), (10, 1), (10, 2), (10, 3)}
"""What is in these answers differs from system to system: only their keys are compared."""
LATER: Final = {"match", "max_image_size"}
"""Keys that newer builds of Zephyr have, and ours."""


def comparable(answer: Answer) -> tuple[object, ...]:
    """What two servers should agree on."""
    body: Mapping[str, Any] = answer.body
    kind = answer.header[2:]
    if kind in OF_THE_SYSTEM and not body.keys() & {"rc", "err"}:
        return (*answer.header, answer.stray, sorted(body.keys() - {"end"}))
    return (*answer.header, answer.stray, without_later(body))


def without_later(value: object) -> object:
    """A body without the keys that only newer builds have."""
    if isinstance(value, Mapping):
        return {key: without_later(inner) for key, inner in value.items() if key not in LATER}
    return [without_later(inner) for inner in value] if isinstance(value, list) else value


def is_cut_short(ask: Ask) -> bool:
    """Whether the payload ends in the middle. Zephyr's decoder passes over such an end in a value that nobody reads."""
    try:
        cbor.loads(ask.payload if isinstance(ask.payload, bytes) else b"")
    except RemoteError:
        return True
    return False


async def small_groups_differ(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    found: list[str] = []
    ours = Ours()
    async with native_sim.serial_server() as server, server.wire() as wire:
        for _ in range(count):
            ask = draw(chance, SMALL_GROUPS)
            if (ask.group, ask.command) in NOT_BUILT:
                continue
            # The answer that is stated is never compared: stating one makes `play` wait for it.
            talk = Talk(number=0, name="drawn", steps=(Step(asks=(ask,), answers=({},)),))
            (theirs,) = await play(talk, NeverResets(wire=wire))
            (mine,) = await play(talk, ours)
            same = [comparable(each) for each in theirs] == [comparable(each) for each in mine]
            if not same and not (mine[0].body == {"rc": 3} and is_cut_short(ask)):
                found.append(f"{ask}\n  native_sim: {theirs}\n  ours: {mine}")
    return found


@pytest.mark.timeout(120)
def test_small_groups_answer_as_native_sim_does() -> None:
    found = asyncio.run(small_groups_differ(400, seed=1))
    assert not found, "\n".join(found)


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_small_groups_answer_as_native_sim_does_at_length(tell: Callable[[str], None]) -> None:
    found = asyncio.run(small_groups_differ(5_000, seed=2))
    tell(f"5,000 requests, {len(found)} answered differently without a reason")
    assert not found, "\n".join(found)


STEPS: Final = 12
HASH_NOT_FOUND: Final = int(image.Err.HASH_NOT_FOUND)
Bodies = Sequence[Mapping[str, Any]]


@pytest.fixture(scope="module")
def prepared(microbit_image: Image) -> Images:
    return Images(
        running=images.running(qemu.MICROBIT),
        new=microbit_image,
        small=images.make(qemu.MICROBIT, "1.2.3+4", payload=bytes(range(256)) * 2),
        slot_size=SLOT_SIZE,
    )


def asks(talk: Talk, upto: int) -> list[Ask]:
    return [one.asks[0] for one in talk.steps[:upto]]


ERASED_LATE: Final = "erased as the data arrives"
HASHED_FIRST: Final = "marked for the next boot only if the content is what its hash says"
ERASE_REFUSED: Final = "a refused erase ends no upload"


def why(
    talk: Talk, index: int, their_body: Mapping[str, Any], my_body: Mapping[str, Any], before: Bodies
) -> str | None:
    """Why two servers differ at a step, if that is meant: for what each of them says, not for any answer of either."""
    earlier = list(zip(asks(talk, index), before, strict=False))
    begun = any((ask.group, ask.command) == (1, 1) and "off" in body for ask, body in earlier)
    if begun and (slots_in(their_body), slots_in(my_body)) == ([0], [0, 1]):
        return ERASED_LATE
    if begun and str(my_body.get("rsn", "")).startswith("image: "):
        if their_body in ({"err": {"group": 1, "rc": HASH_NOT_FOUND}}, {"rc": Rc.EUNKNOWN}):
            return ERASED_LATE
        if slots_in(their_body) == [0, 1] and their_body["images"][1]["pending"]:
            return HASHED_FIRST
    erase_refused = any((ask.group, ask.command) == (1, 5) and body for ask, body in earlier)
    if erase_refused and their_body == {"off": 0} and my_body.get("off", 0) > 0:
        return ERASE_REFUSED
    return None


def slots_in(body: Mapping[str, Any]) -> list[int]:
    return [entry["slot"] for entry in body.get("images", []) if "slot" in entry]


def together_again(reason: str, ask: Ask, body: Mapping[str, Any]) -> bool:
    """Whether two servers that `reason` has led into different states show by this same answer that they are in one."""
    if reason == HASHED_FIRST:
        return bool(slots_in(body))  # nothing is marked, or the same
    return ask.command == 1 and isinstance(ask.payload, dict) and ask.payload.get("off") == 0 and "off" in body


@dataclass(slots=True)
class Seen:
    """What comparing gave.

    Attributes:
        same: steps answered the same.
        meant: differently, with a reason.
        apart: steps after such a difference, while the two were in different states: these say nothing.
        wrong: differences without a reason, in words.
    """

    same: int = 0
    meant: int = 0
    apart: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def sequence(self, name: str, talk: Talk, theirs: list[list[Answer]], mine: list[list[Answer]]) -> None:
        """Compare the answers of two servers, step by step, to the end."""
        (bodies, my_bodies) = ([answer.body for (answer,) in each] for each in (theirs, mine))
        reason: str | None = None
        for index, ask in enumerate(asks(talk, len(talk.steps))):
            same = [comparable(each) for each in theirs[index]] == [comparable(each) for each in mine[index]]
            if reason is not None:
                if not (same and together_again(reason, ask, bodies[index])):
                    self.apart += 1
                    continue
                reason = None
            if same:
                self.same += 1
                continue
            found = why(talk, index, bodies[index], my_bodies[index], bodies[:index])
            if found is None:
                said = "\n".join(f"    {each}" for each in asks(talk, index + 1))
                self.wrong.append(f"{name}\n{said}\n  microbit: {theirs[index]}\n  ours: {mine[index]}")
                return
            self.meant += 1
            reason = None if found == ERASED_LATE else found

    def __str__(self) -> str:
        return (
            f"{self.same} steps answered the same, {self.meant} differently with a reason, {self.apart} not comparable "
            f"after one, {len(self.wrong)} differently without a reason"
        )


async def compare_images(state: State, prepared: Images, count: int, seed: int) -> Seen:
    """Put `count` drawn sequences to the board and to our server."""
    seen = Seen()
    for number in range(seed, seed + count):
        talk = draw_images(random.Random(number), prepared, STEPS)
        async with qemu.board(state) as board, board.wire() as wire:
            theirs = await play(talk, OnBoard(board=board, wire=wire))
        seen.sequence(f"sequence {number}", talk, theirs, await play(talk, Ours(prepared)))
    return seen


@pytest.mark.timeout(120)
def test_the_image_group_answers_as_a_microbit_does(
    microbit_loaded: State, prepared: Images, tell: Callable[[str], None]
) -> None:
    seen = asyncio.run(compare_images(microbit_loaded, prepared, 30, seed=1_000))
    tell(f"30 sequences of {STEPS}: {seen}")
    assert not seen.wrong, "\n".join(seen.wrong)
    assert seen.same >= 300


@pytest.mark.deep
@pytest.mark.timeout(1_200)
def test_the_image_group_answers_as_a_microbit_does_at_length(
    microbit_loaded: State, prepared: Images, tell: Callable[[str], None]
) -> None:
    seen = asyncio.run(compare_images(microbit_loaded, prepared, 300, seed=2_000))
    tell(f"300 sequences of {STEPS}: {seen}")
    assert not seen.wrong, "\n".join(seen.wrong)
    assert seen.same >= 3_000
