"""The eight bytes in front of every SMP payload (Zephyr, SMP protocol specification, "Frame").

    offset  size  field (big-endian)
    0       1     bits 7-5 reserved, bits 4-3 version, bits 2-0 op
    1       1     flags, reserved
    2       2     length of the payload, header excluded
    4       2     group
    6       1     sequence number, echoed by the server
    7       1     command id within the group

Rules kept here: reserved bits are ignored when read and 0 when written; `op` and `version` may hold values that no
specification knows, because a server must be able to answer them.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from keyswitch.errors import RemoteError
from keyswitch.frozen import quickly_made

HEADER_SIZE: Final = 8
_LAYOUT: Final = struct.Struct("!BBHHBB")
assert _LAYOUT.size == HEADER_SIZE  # noqa: S101  a layout is checked where it is written

MAX_PAYLOAD: Final = 0xFFFF
"""Largest payload in bytes that the length field can say."""


class Op(IntEnum):
    """The four operations; a response's is its request's plus one."""

    READ = 0
    READ_RESPONSE = 1
    WRITE = 2
    WRITE_RESPONSE = 3


class SmpVersion(IntEnum):
    """The protocol versions as they stand in the header: `V1` says 0."""

    V1 = 0
    V2 = 1


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header.

    Attributes:
        op: bits 2-0 of the first byte; an `Op`, or 4 to 7 in what a peer made up.
        version: bits 4-3 of the first byte; a `SmpVersion`, or the reserved 2 and 3.
        length: bytes of payload that follow.
        group: SMP group.
        sequence: 0 to 255.
        command: command id within the group.
    """

    op: int
    version: int = SmpVersion.V2
    length: int
    group: int
    sequence: int
    command: int

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The header that `data` begins with.

        Raises:
            RemoteError: fewer than eight bytes.
        """
        if len(data) < HEADER_SIZE:
            raise RemoteError(f"SMP header: {len(data)} bytes, {HEADER_SIZE} needed")
        first, _flags, length, group, sequence, command = _LAYOUT.unpack_from(data)
        return cls(
            op=first & 0x07,
            version=first >> 3 & 0x03,
            length=length,
            group=group,
            sequence=sequence,
            command=command,
        )

    def encode(self) -> bytes:
        """The eight bytes, reserved bits and flags 0."""
        return _LAYOUT.pack(self.version << 3 | self.op, 0, self.length, self.group, self.sequence, self.command)

    def answer(self, length: int) -> bytes:
        """The encoded header of the answer to this request, for a payload of `length` bytes.

        Op 1 answers op 0 and op 3 answers everything else; a version above 1 is answered with 1.
        """
        op = Op.READ_RESPONSE if self.op == Op.READ else Op.WRITE_RESPONSE
        version = min(self.version, SmpVersion.V2)
        return _LAYOUT.pack(version << 3 | op, 0, length, self.group, self.sequence, self.command)


def packet_size(data: bytes) -> int | None:
    """Bytes of the whole packet that `data` begins, header included; None while the header is not complete."""
    if len(data) < HEADER_SIZE:
        return None
    return HEADER_SIZE + int.from_bytes(data[2:4], "big")
