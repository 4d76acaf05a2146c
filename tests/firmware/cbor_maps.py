"""Requests' bytes, right ones and wrong ones, and what becomes of them: the core reads them by itself."""

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import cbor2

from keyswitch.errors import RemoteError
from keyswitch.smp import cbor

KEYS: Final = ("to", "proof", "mac", "step")
MOST: Final = 2**32 - 1
"""Stands for itself and for every larger number."""
MAX_KEYS: Final = 16
"""`KS_MAX_KEYS`."""
_ABSENT, _UNSIGNED, _BYTES, _TEXT, _NEGATIVE, _OTHER = range(6)


def told(data: bytes) -> bytes:
    """What the core has to make of them: what Python does; but maps and lists inside and too many keys are refused."""
    try:
        read = cbor.loads_request(data)
    except RemoteError:
        return b"\0"
    if len(read) > MAX_KEYS or any(isinstance(each, dict | list) for each in read.values()):
        return b"\0"
    return b"\1" + b"".join(_field(read, key) for key in KEYS)


def _field(read: dict[str, Any], key: str) -> bytes:
    if key not in read:
        return bytes([_ABSENT])
    match read[key]:
        case bool() | None | float():
            return bytes([_OTHER])
        case int() as value:
            return bytes([_NEGATIVE]) if value < 0 else bytes([_UNSIGNED]) + min(value, MOST).to_bytes(4, "little")
        case bytes() as value:
            return bytes([_BYTES]) + len(value).to_bytes(2, "little") + value
        case str() as value:
            data = value.encode()
            return bytes([_TEXT]) + len(data).to_bytes(2, "little") + data
        case _:
            return bytes([_OTHER])


def edges() -> Iterator[bytes]:
    """Every first byte, cut at every place behind it; every two bytes of a text; as many keys as there may be."""
    step = b"\x64step"
    for first in range(256):
        for size in (*range(10), 16, 32, 64):
            for filler in (b"\x00", b"\x20", b"\xff"):
                yield b"\xa1" + step + bytes([first]) + filler * size
                yield bytes([first]) + filler * size
    for first in range(0x7F, 256):
        for second in (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF):
            for rest in (b"", b"\x80", b"\xbf\x80", b"\x80\xc0", b"\xbf\xbf", b"\x7f\x80", b"a\x80\x80"):
                text = bytes([first, second]) + rest
                yield b"\xa1\x62to" + bytes([0x60 + len(text)]) + text
    for value in (2**24 - 1, 2**24, 2**31 - 1, 2**31 + 1, 2**32 - 255, 2**32 - 1, 2**32, 2**32 + 1):
        yield b"\xa1" + step + b"\x1b" + value.to_bytes(8, "big")
        yield b"\xa1" + step + b"\x1a" + value.to_bytes(8, "big")[4:]
    for cut in (b"\xa1\x62to\x62a\xc3", b"\xa1\x62to\x63ab\xe2"):
        yield cut
        yield cut + b"\x80\x80\x80"  # what lies behind the map belongs to nobody
    for count in (15, 16, 17):
        body = {f"k{each}": each for each in range(count)}
        yield cbor2.dumps(body)
        yield cbor2.dumps(body, indefinite_containers=True)
        yield cbor2.dumps({**body, "to": "x"})
    yield b"\xa2\x62to\x61a\x62to\x61b"
    yield b"\xa2\x62to\x61a\x62tp\x61b"
    yield b"\xa2\x60\x01\x60\x02"


def by_chance(chance: Random, count: int) -> Iterator[bytes]:
    """Maps of all that can be in one, some with bytes changed, put in, or left out."""
    values = (
        0,
        23,
        24,
        255,
        256,
        2**32,
        2**64 - 1,
        -1,
        -(2**64),
        True,
        None,
        1.5,
        b"",
        b"\x00" * 32,
        "x",
        "é€😀",
        [1],
        {},
    )
    for _ in range(count):
        keys = chance.sample((*KEYS, "", "é", "other", "t", "too"), chance.randrange(6))
        body = {key: chance.choice(values) for key in keys}
        data = cbor2.dumps(body, indefinite_containers=chance.random() < 0.5)
        for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
            place, kind = chance.randrange(len(data) + 1), chance.randrange(3)
            put = bytes([chance.choice((chance.randrange(256), 0xFF, 0xBF, 0x5F, 0x7F, 0xF8, 0xC0))])
            data = data[:place] + put * (kind != 1) + data[place + (kind != 2) :]
        yield data
