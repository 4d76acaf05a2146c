"""The session record as bytes, as firmware keeps it (`docs/session-record.md`); the C core writes and reads the same.

    offset  size  field (little-endian)
    0       1     version, 2
    1       1     proof: 0 nobody's, 1 sequence, 2 challenge, 3 permit, 4 button
    2       2     flags: what is there
    4       32    SHA-256 of the policy
    36      1     N, bytes of the mode's name, 1 to 32
    37      N     the mode's name
    …             entry 8, token 4, images, expected, five times of 4 bytes each (ms), others: in the order of the flags
    end-4   4     CRC-32 (zlib's) of all before

A hash is its size (32, 48 or 64) and its bytes; images are a count and hashes in rising order, each once. `expected` is
the image of pair 0; others are a count and, in rising order of their numbers, each pair's number and its image. One
record has one form: what is read must be exactly what is written here, and anything else is worth nothing.
"""

import re
import struct
import zlib
from enum import IntFlag
from typing import Final

from keyswitch.errors import LocalError
from keyswitch.gate.record import HASH_SIZES, VERSION, SessionRecord
from keyswitch.gate.state import PairImages
from keyswitch.policy.enums import ProofKind

PROOFS: Final[tuple[ProofKind | None, ...]] = (
    None,
    ProofKind.SEQUENCE,
    ProofKind.CHALLENGE,
    ProofKind.PERMIT,
    ProofKind.BUTTON,
)
"""By their number in the record."""

MAX_IMAGES: Final = 255
"""What the count can say. A device may hold fewer; to it a record that names more is worth nothing."""

MAX_PAIR: Final = 255
"""The largest number that an image pair can have here; MCUboot and policies have fewer pairs."""

DIGEST_SIZE: Final = 32
ENTRY_SIZE: Final = 8
TOKEN_SIZE: Final = 4
MAX_TIME_MS: Final = 2**32 - 2
"""The largest number stands for "no limit" in the firmware, so no record has it."""

_NAME: Final = re.compile(rb"[a-z][a-z0-9_-]{0,31}")
_HEAD: Final = struct.Struct("<BBH32sB")
_CRC: Final = struct.Struct("<I")
_TIME: Final = struct.Struct("<I")


class RecordFlag(IntFlag):
    """What a record says or has."""

    ENDING = 0x0001
    ENTRY = 0x0002
    TOKEN = 0x0004
    IMAGES = 0x0008
    EXPECTED = 0x0010
    LEASE = 0x0020
    LEASE_MAX = 0x0040
    TIMEOUT = 0x0080
    IDLE = 0x0100
    TRIAL = 0x0200
    OTHERS = 0x0400


_KNOWN: Final = 0x07FF
_TIMES: Final = (RecordFlag.LEASE, RecordFlag.LEASE_MAX, RecordFlag.TIMEOUT, RecordFlag.IDLE, RecordFlag.TRIAL)


def to_bytes(record: SessionRecord) -> bytes:
    """The record's bytes.

    Raises:
        LocalError: it holds what has no form here (a digest, hash, name or token of another size, a time too long).
    """
    times = _times(record)
    mode = record.mode.encode()
    images = () if record.images is None else sorted(record.images)
    hashes = (*images, *(image for _, image in record.expected))
    first, others = _by_pair(record.expected)
    if (
        len(record.policy) != DIGEST_SIZE
        or not _NAME.fullmatch(mode)
        or len(record.entry) not in {0, ENTRY_SIZE}
        or len(record.token) not in {0, TOKEN_SIZE}
        or len(images) > MAX_IMAGES
        or any(len(each) not in HASH_SIZES for each in hashes)
        or not _in_order(record.expected)
        or any(each is not None and not 0 <= each <= MAX_TIME_MS for each in times)
    ):
        raise LocalError("a session record that has no form in bytes")
    flags = _flags(record, times)
    parts = [_HEAD.pack(VERSION, PROOFS.index(record.proof), flags, record.policy, len(mode)), mode]
    parts += [record.entry, record.token]
    if record.images is not None:
        parts += [bytes([len(images)]), *map(_hash, images)]
    if first is not None:
        parts.append(_hash(first))
    parts += [_TIME.pack(each) for each in times if each is not None]
    if others:
        parts += [bytes([len(others)]), *(bytes([pair]) + _hash(image) for pair, image in others)]
    data = b"".join(parts)
    return data + _CRC.pack(zlib.crc32(data))


def from_bytes(data: bytes) -> SessionRecord | None:
    """The record that `to_bytes` made; None for anything else, another version first of all."""
    if len(data) < _HEAD.size + _CRC.size or _CRC.unpack_from(data, len(data) - _CRC.size)[0] != zlib.crc32(data[:-4]):
        return None
    head: tuple[int, int, int, bytes, int] = _HEAD.unpack_from(data)
    version, proof, flags, policy, size = head
    if version != VERSION or proof >= len(PROOFS) or flags & ~_KNOWN:
        return None
    rest = _Rest(data[_HEAD.size : -_CRC.size])
    try:
        mode = rest.take(size)
        entry = rest.take(ENTRY_SIZE if flags & RecordFlag.ENTRY else 0)
        token = rest.take(TOKEN_SIZE if flags & RecordFlag.TOKEN else 0)
        images = rest.images() if flags & RecordFlag.IMAGES else None
        first = rest.hash() if flags & RecordFlag.EXPECTED else None
        times = [rest.time() if flags & each else None for each in _TIMES]
        others = rest.others() if flags & RecordFlag.OTHERS else ()
    except _WrongError:
        return None
    if rest.data or not _NAME.fullmatch(mode):
        return None
    return SessionRecord(
        policy=policy,
        mode=mode.decode(),
        proof=PROOFS[proof],
        entry=entry,
        images=images,
        expected=others if first is None else ((0, first), *others),
        ending=bool(flags & RecordFlag.ENDING),
        token=token,
        lease_ms=times[0],
        lease_max_ms=times[1],
        timeout_ms=times[2],
        idle_ms=times[3],
        trial_ms=times[4],
    )


def _times(record: SessionRecord) -> tuple[int | None, ...]:
    return (record.lease_ms, record.lease_max_ms, record.timeout_ms, record.idle_ms, record.trial_ms)


def _flags(record: SessionRecord, times: tuple[int | None, ...]) -> int:
    said = (
        (record.ending, RecordFlag.ENDING),
        (bool(record.entry), RecordFlag.ENTRY),
        (bool(record.token), RecordFlag.TOKEN),
        (record.images is not None, RecordFlag.IMAGES),
        (_by_pair(record.expected)[0] is not None, RecordFlag.EXPECTED),
        *((each is not None, flag) for each, flag in zip(times, _TIMES, strict=True)),
        (bool(_by_pair(record.expected)[1]), RecordFlag.OTHERS),
    )
    return sum(int(flag) for is_so, flag in said if is_so)


def _by_pair(expected: PairImages) -> tuple[bytes | None, PairImages]:
    """The image of pair 0, and those of the other pairs."""
    return dict(expected).get(0), tuple(each for each in expected if each[0])


def _in_order(expected: PairImages) -> bool:
    pairs = [pair for pair, _ in expected]
    return pairs == sorted(set(pairs)) and all(0 <= pair <= MAX_PAIR for pair in pairs)


def _hash(image: bytes) -> bytes:
    return bytes([len(image)]) + image


class _WrongError(Exception):
    """The bytes end too early, or say what is never written."""


class _Rest:
    """The bytes that are not read yet."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, size: int) -> bytes:
        if len(self.data) < size:
            raise _WrongError
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def hash(self) -> bytes:
        size = self.take(1)[0]
        if size not in HASH_SIZES:
            raise _WrongError
        return self.take(size)

    def images(self) -> frozenset[bytes]:
        found = [self.hash() for _ in range(self.take(1)[0])]
        if found != sorted(set(found)):
            raise _WrongError
        return frozenset(found)

    def others(self) -> PairImages:
        found = tuple((self.take(1)[0], self.hash()) for _ in range(self.take(1)[0]))
        if not found or found[0][0] == 0 or not _in_order(found):
            raise _WrongError
        return found

    def time(self) -> int:
        value: int = _TIME.unpack(self.take(_TIME.size))[0]
        if value > MAX_TIME_MS:
            raise _WrongError
        return value
