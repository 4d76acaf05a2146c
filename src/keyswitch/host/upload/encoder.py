"""The payloads of one image's upload requests: as large as a frame allows, and not a byte larger. Pure.

The first names the whole file (length, SHA-256); the others hold an offset and bytes. Those are written by hand,
because every byte of an image passes here; all else is cbor2's.
"""

import hashlib
from typing import Final

from keyswitch.errors import LocalError
from keyswitch.host.upload.window import Piece
from keyswitch.smp import cbor
from keyswitch.smp.header import HEADER_SIZE


class Requests:
    """The payloads of one image's upload requests: as large as the frame allows.

    Raises:
        LocalError: the image has no bytes, or the frame is too small for the first request, which must hold the
            image's header of 32 bytes (Zephyr `img_mgmt_upload_inspect`).
    """

    LEAST_FIRST: Final = 32

    def __init__(self, image: bytes, *, frame: int, number: int = 0) -> None:
        if not image:
            raise LocalError("upload: an image of no bytes")
        self._image = memoryview(image)
        self._first = {
            **({"image": number} if number else {}),
            "len": len(image),
            "off": 0,
            "sha": hashlib.sha256(image).digest(),
        }
        self._most = frame - HEADER_SIZE
        self._first_room = _byte_string_room(self._most - len(cbor.dumps({**self._first, "data": b""})) + 1)
        if self._first_room < min(self.LEAST_FIRST, len(image)):
            raise LocalError(f"upload: a frame of {frame} bytes cannot hold the first request")

    def room(self, off: int) -> int:
        """How many bytes of the image fit into the request at this offset."""
        if off == 0:
            return self._first_room
        return _byte_string_room(self._most - len(_rest_head(off)))

    def payload(self, piece: Piece) -> bytes:
        """The encoded request for this piece."""
        data = bytes(self._image[piece.off : piece.end])
        if piece.off == 0:
            return cbor.dumps({**self._first, "data": data})
        return b"".join((_rest_head(piece.off), _byte_string_head(len(data)), data))


def _rest_head(off: int) -> bytes:
    """`{"off": off, "data": ` in CBOR; written by hand, because every byte of the image passes here (RFC 8949 3.1)."""
    return b"\xa2\x63off" + _uint(0x00, off) + b"\x64data"


def _byte_string_head(length: int) -> bytes:
    return _uint(0x40, length)


def _byte_string_room(most: int) -> int:
    """The longest byte string that takes at most this many bytes with its head."""
    return max(most - 3 if most > 0xFF + 2 else min(most - 2, 0xFF), min(most - 1, 23))


def _uint(major: int, value: int) -> bytes:
    if value < 24:  # noqa: PLR2004 - RFC 8949 3: values below 24 stand in the initial byte, then 1, 2 and 4 bytes follow
        return bytes([major | value])
    for additional, width in ((24, 1), (25, 2), (26, 4)):
        if value < 1 << 8 * width:
            return bytes([major | additional]) + value.to_bytes(width, "big")
    raise LocalError(f"upload: {value} is not an offset in an image")
