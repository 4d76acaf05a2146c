"""The sequences that real Zephyr servers were heard to answer, said to the server: the same, but for what is meant.

The answers are those of a board with swap using offset, slots of 106,496 bytes and sectors of 1,024.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.device.server_rig import Rig, make_image, pump
from tests.peers import talks_image, talks_os
from tests.peers.talk import Talk, difference, play
from tests.peers.talks_image import Images
from tests.rigs.images import Image

from keyswitch.device.server.output import Output
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.layout import Algorithm, Layout
from keyswitch.policy.model import Policy
from keyswitch.smp.commands import ALL_KEYS

SLOT_SIZE = 106_496

MEANT = {
    30: "the checksum is the console's, not the server's",
    37: "the bound is the image that can be swapped: 30, before anything is erased",
    46: "a first packet longer than the image is an overrun: 31",
    49: "the last answer says whether the file arrived whole, as builds with `IMG_ENABLE_IMAGE_CHECK` do",
    50: "the same",
    60: "a file with a trailer is larger than the bound",
}
"""Sequences whose answers differ, and why."""


def image(version: str, seed: int, size: int = 5_000) -> Image:
    data = make_image(version, size=size, seed=seed)
    return Image(data=data, version=version, hash=data[-32:])


RUNNING, NEW, SMALL = image("0.0.0", 9), image("1.2.3.4", 1), image("1.2.3.4", 2, 512)
IMAGES = Images(running=RUNNING, new=NEW, small=SMALL, slot_size=SLOT_SIZE)


def open_policy() -> Policy:
    policy = pump(buf_size=384)
    modes = {**policy.modes, "maintenance": replace(policy.modes["maintenance"], allow=ALL_KEYS)}
    return replace(policy, modes=modes)


class OurServer:
    """The server as a partner in conversation; it is its own wire."""

    def __init__(self, *, loaded: bool) -> None:
        layout = Layout.for_slots(Algorithm.SWAP_OFFSET, SLOT_SIZE, sector_size=1_024)
        self.rig = Rig(open_policy(), running="0.0.0", layout=layout)
        self.peer = self.rig.in_maintenance()
        if loaded:
            self.rig.upload(self.peer, NEW.data, chunk=256)
        self._heard: deque[bytes] = deque()

    loses_lines = False

    @property
    def wire(self) -> "OurServer":
        return self

    async def send(self, packet: bytes) -> None:
        self._heard += [answer.encode() for answer in self.rig.send(self.peer, packet)]

    async def send_bytes(self, data: bytes) -> None:
        raise AssertionError(data)

    async def receive(self, timeout_ms: int) -> bytes | None:
        del timeout_ms
        return self._heard.popleft() if self._heard else None

    async def has_reset(self) -> None:
        self.rig.wait(250)
        self.peer = self.rig.peer()
        if self.rig.mode != "maintenance":
            self.rig.enter(self.peer)


async def heard_otherwise(talks: Sequence[Talk], *, loaded: bool = False) -> dict[int, str]:
    """What a fresh server answers otherwise, by the sequence's number."""
    found: dict[int, str] = {}
    for talk in talks:
        if talk.number != 30:
            told = difference(talk, await play(talk, OurServer(loaded=loaded)))
            if told is not None:
                found[talk.number] = told
    return found


ALL = {
    "core": (talks_os.CORE, False),
    "parameters": ((talks_os.parameters(384, 4),), False),
    "smaller groups": (talks_os.NATIVE_SIM, False),
    "refused uploads": (talks_image.refused_uploads(IMAGES), False),
    "upload sessions": (talks_image.sessions(IMAGES), False),
    "erase": (talks_image.erasing(IMAGES), False),
    "test and confirm": (talks_image.marking(IMAGES), True),
}


@pytest.mark.parametrize(("talks", "loaded"), ALL.values(), ids=ALL)
def test_answers_are_those_of_real_servers(talks: Sequence[Talk], loaded):
    found = asyncio.run(heard_otherwise(talks, loaded=loaded))
    assert found.keys() == {talk.number for talk in talks} & MEANT.keys() - {30}, "\n".join(found.values())


def test_the_images_are_what_the_sequences_take_them_for():
    rig = OurServer(loaded=True).rig
    assert rig.running == RUNNING.data
    assert [each.hash for each in slots.list_images(rig.flash, rig.layout)] == [RUNNING.hash, NEW.hash]
    assert SMALL.sha == hashlib.sha256(SMALL.data).digest()
    assert isinstance(rig.outputs[0], Output)
