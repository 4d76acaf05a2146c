"""Requests drawn by chance, near enough to good ones to get past the first check: for two servers side by side.

Rules: the same seed draws the same requests. What is answered to one hardly ever depends on those before; with images
it does, so they come in sequences.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.peers.talk import Ask, Step, Talk, step
from tests.peers.talks_image import Images

from keyswitch.smp import cbor
from keyswitch.smp.header import Op

Draw = Callable[[random.Random], dict[str, Any]]

WORDS: Final = ("", "hi", "s", "sn", "a", "?", "no/such", "no such", "app", "id/serial", "x" * 40, "ä")
WRONG: Final[tuple[object, ...]] = (None, True, 5, -1, 2**33, 1.5, b"bytes", "text", [], [1], {}, {"d": 1})


def _words(key: str) -> Draw:
    return lambda chance: {key: chance.choice(WORDS)}


def _nothing(_chance: random.Random) -> dict[str, Any]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that requests are drawn for.

    Attributes:
        group: its group.
        command: its id.
        ops: the operations it knows.
        body: draws a body of the kind that it expects.
    """

    group: int
    command: int
    ops: tuple[int, ...]
    body: Draw = _nothing


SMALL_GROUPS: Final = (
    Command(group=0, command=0, ops=(0, 2), body=_words("d")),
    Command(group=0, command=2, ops=(0,)),
    Command(group=0, command=6, ops=(0,)),
    Command(group=0, command=7, ops=(0,), body=_words("format")),
    Command(group=0, command=8, ops=(0,), body=_words("query")),
    Command(group=2, command=0, ops=(0,), body=_words("name")),
    Command(group=2, command=1, ops=(0,)),
    Command(group=3, command=0, ops=(0, 2), body=lambda chance: {"name": chance.choice(WORDS), "val": b"v"}),
    Command(group=3, command=1, ops=(2,), body=_words("name")),
    Command(group=3, command=2, ops=(2,)),
    Command(group=10, command=0, ops=(0,)),
    Command(group=10, command=1, ops=(0,)),
    Command(group=10, command=2, ops=(0,), body=lambda chance: {"index": chance.choice((0, 1, 2, 3, 4, 5, 99))}),
    Command(group=10, command=3, ops=(0,)),
)
"""os, stat, settings, enum, as far as native_sim has them. Settings are not saved: that would change later answers."""


CHUNK: Final = 64


def draw_images(chance: random.Random, images: Images, steps: int) -> Talk:
    """A sequence of requests about images, with a restart now and then."""
    return Talk(number=0, name="drawn", steps=tuple(_image_step(chance, images) for _ in range(steps)))


def _image_step(chance: random.Random, images: Images) -> Step:
    kind = chance.random()
    version = 0 if chance.random() < 0.25 else 1
    if kind < 0.05:
        return step(Op.WRITE, 0, 5, {}, {}, resets=True)
    if kind < 0.2:
        return step(Op.READ, 1, 0, {}, {}, version=version)
    if kind < 0.25:
        return step(Op.READ, 1, 6, {}, {}, version=version)
    if kind < 0.35:
        slot = chance.choice((None, None, {}, {"slot": 0}, {"slot": 1}, {"slot": 2}, {"slot": -1}, {"slot": "1"}))
        return step(Op.WRITE, 1, 5, slot, {}, version=version)
    if kind < 0.6:
        return step(Op.WRITE, 1, 0, _marking(chance, images), {}, version=version)
    return step(Op.WRITE, 1, 1, _chunk(chance, images), {}, version=version)


def _marking(chance: random.Random, images: Images) -> dict[str, object]:
    body: dict[str, object] = {}
    hashes = (images.running.hash, images.new.hash, images.new.hash, images.small.hash, bytes(32), images.new.hash[:31])
    if chance.random() < 0.8:
        body["hash"] = chance.choice(hashes)
    if chance.random() < 0.5:
        body["confirm"] = chance.choice((True, True, False, 1))
    return body


def _chunk(chance: random.Random, images: Images) -> dict[str, object]:
    data = chance.choice((images.small.data, images.small.data, images.new.data))
    start = chance.choice((0, 0, 0, CHUNK, CHUNK, 2 * CHUNK, 3 * CHUNK, 10))
    body: dict[str, object] = {"off": start, "data": data[start : start + CHUNK]}
    if start == 0 or chance.random() < 0.1:
        body["len"] = chance.choice((len(data), len(data), len(data), images.slot_size + 1, CHUNK))
    if start == 0 and chance.random() < 0.5:
        body["sha"] = chance.choice((hashlib.sha256(data).digest(), bytes(32), bytes(33), b""))
    if chance.random() < 0.15:
        body[chance.choice(("upgrade", "image", "zz"))] = chance.choice((True, False, 0, 1, 3, -1))
    if chance.random() < 0.1:
        del body[chance.choice(list(body))]
    if chance.random() < 0.05:
        body["data"] = chance.choice((b"", data[:31], bytes(CHUNK)))
    return body


def draw(chance: random.Random, commands: Sequence[Command]) -> Ask:
    """One request."""
    known = chance.choice(commands)
    op = chance.choice(known.ops) if chance.random() < 0.8 else chance.choice((0, 2, 2, chance.randrange(8)))
    version = 1 if chance.random() < 0.6 else chance.choice((0, 0, 0, 2, 3))
    command = known.command if chance.random() < 0.92 else chance.randrange(12)
    group = known.group
    if op == Op.WRITE and (group, command) in _NOT_WRITTEN:
        op = Op.READ
    payload = _payload(chance, known.body(chance))
    length = None if chance.random() < 0.93 else chance.randrange(len(payload or b"") + 4)
    return Ask(op=op, group=group, command=command, payload=payload, version=version, length=length)


_NOT_WRITTEN: Final = frozenset({(0, 5), (3, 3)})
"""Reset, and saving of settings."""


def _payload(chance: random.Random, body: dict[str, Any]) -> bytes | None:
    kind = chance.random()
    if kind < 0.06:
        return None
    if kind < 0.3 and body:
        body[chance.choice(list(body))] = chance.choice(WRONG)
    elif kind < 0.38:
        body[chance.choice(("zz", "rc", "d", "name"))] = chance.choice(WRONG)
    elif kind < 0.42 and body:
        del body[chance.choice(list(body))]
    data = cbor.dumps(body)
    if kind > 0.97:
        return bytes(chance.randrange(256) for _ in range(chance.randrange(1, 12)))
    if kind > 0.93:
        return data[: chance.randrange(len(data))]
    if kind > 0.9:
        return b"\xbf" + data[1:] + b"\xff"
    if kind > 0.88:
        return bytes([data[0] * 2 & 0x1F | 0xA0]) + data[1:] * 2
    return data
