"""The demo's firmware: made up where nobody brings one, and spoiled where that is the story."""

import random
from pathlib import Path
from typing import Final

from keyswitch.testing.imgtool import HEADER_SIZE

PAYLOAD_SIZE: Final = 160 * 1024
"""Bytes of the firmware that the demo makes up."""


def make_payload(path: Path, seed: int) -> None:
    """Write `PAYLOAD_SIZE` bytes that look like no image; the same for the same `seed`."""
    path.write_bytes(random.Random(seed).randbytes(PAYLOAD_SIZE))  # noqa: S311 - filler, not a secret


def flip_one_bit(image: Path, to: Path) -> int:
    """Copy a signed image with one bit of its firmware changed; returns the byte offset of that bit."""
    content = bytearray(image.read_bytes())
    offset = HEADER_SIZE + (len(content) - HEADER_SIZE) // 2
    content[offset] ^= 0x10
    to.write_bytes(content)
    return offset
