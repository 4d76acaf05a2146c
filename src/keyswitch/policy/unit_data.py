"""A unit as bytes for its flash (`docs/unit-data.md`): identity, entry secret, keys of who may issue permits.

    offset  size  field (little-endian)
    0       4     "KSUN"
    4       1     version, 1
    5       1     flags: 0x01 a secret is there
    6       2     bytes in all, this head and the CRC among them
    8       1     N, bytes of the identity, 1 to 64
    9       1     M, issuers, 0 to 16
    10      N     the identity, UTF-8, and a zero
    …             the secret, 32 bytes, if it is there; issuers, 32 bytes each
    end-4   4     CRC-32 (zlib's) of all before

It has a partition of its own, which nothing on the device writes: erasing the settings leaves the unit what it is. One
unit has one form; anything else is no unit. Secrets are in it: files with it are their owner's alone.
"""

import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError
from keyswitch.files.reading import FileKind, read_file_and_mode
from keyswitch.mcuboot.intel_hex import read_hex
from keyswitch.policy.grammar import DEVICE
from keyswitch.proof.challenge import SECRET_SIZE

UNIT_DATA_FILE: Final = FileKind(expected="a unit's data, as `keyswitch unit make` writes it", max_size=16_384)
SECRET_MODE: Final = 0o600

MAGIC: Final = b"KSUN"
VERSION: Final = 1
KEY_SIZE: Final = 32
MAX_ID: Final = 64
MAX_ISSUERS: Final = 16
MAX_ADDRESS: Final = 2**32 - 1

_HAS_SECRET: Final = 0x01
_HEAD: Final = struct.Struct("<4sBBHBB")
_CRC: Final = struct.Struct("<I")
_RECORD: Final = 16
"""Bytes of data in one record of a HEX file."""
_SEGMENT: Final = 0x10000
(_ID,) = (key for key in DEVICE.keys if key.name == "id")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitData:
    """One unit.

    Attributes:
        id: identity that proofs and permits are bound to.
        secret: of entry by challenge, 32 bytes; None: there is none, and no challenge is answered right.
        issuers: Ed25519 public keys that may issue permits, 32 bytes each.
    """

    id: str
    secret: bytes | None = field(repr=False)
    issuers: tuple[bytes, ...] = ()


def to_bytes(unit: UnitData) -> bytes:
    """The unit's bytes.

    Raises:
        InputError: its identity is none, or it has too many issuers.
    """
    identity = _ID.kind.read(unit.id, "id").encode()
    if len(unit.issuers) > MAX_ISSUERS:
        raise InputError("entry.permit.issuers", f"{len(unit.issuers)} keys", f"at most {MAX_ISSUERS} for one unit")
    secret = b"" if unit.secret is None else unit.secret
    body = b"".join((identity, b"\0", secret, *unit.issuers))
    size = _HEAD.size + len(body) + _CRC.size
    flags = 0 if unit.secret is None else _HAS_SECRET
    data = _HEAD.pack(MAGIC, VERSION, flags, size, len(identity), len(unit.issuers)) + body
    return data + _CRC.pack(zlib.crc32(data))


def from_bytes(data: bytes) -> UnitData | None:
    """The unit that these bytes begin with; None: there is none, or it is damaged. What lies behind it is not read."""
    if len(data) < _HEAD.size:
        return None
    head: tuple[bytes, int, int, int, int, int] = _HEAD.unpack_from(data)
    magic, version, flags, size, id_size, count = head
    secret_size = SECRET_SIZE if flags & _HAS_SECRET else 0
    expected = _HEAD.size + id_size + 1 + secret_size + count * KEY_SIZE + _CRC.size
    if magic != MAGIC or version != VERSION or flags & ~_HAS_SECRET or size != expected or len(data) < size:
        return None
    if not 1 <= id_size <= MAX_ID or count > MAX_ISSUERS:
        return None
    if zlib.crc32(data[: size - 4]) != _CRC.unpack_from(data, size - 4)[0]:
        return None
    behind = _HEAD.size + id_size
    keys = behind + 1 + secret_size
    if data.find(b"\0", _HEAD.size) != behind:
        return None
    try:
        identity = data[_HEAD.size : behind].decode()
    except UnicodeDecodeError:
        return None
    return UnitData(
        id=identity,
        secret=data[behind + 1 : keys] if secret_size else None,
        issuers=tuple(data[at : at + KEY_SIZE] for at in range(keys, size - 4, KEY_SIZE)),
    )


def to_hex(data: bytes, address: int) -> str:
    """The bytes at this address as an Intel HEX file.

    Raises:
        InputError: the address is none, or the bytes do not end below 4 GiB.
    """
    if not 0 <= address <= MAX_ADDRESS + 1 - len(data):
        raise InputError(f"{address:#x}", "no room for a unit", f"an address from 0 to {MAX_ADDRESS - len(data):#x}")
    return "".join(f":{record.hex().upper()}\n" for record in _records(data, address))


def _records(data: bytes, address: int) -> Iterator[bytes]:
    upper, at = -1, 0
    while at < len(data):
        place = address + at
        if place // _SEGMENT != upper:
            upper = place // _SEGMENT
            yield _record(4, 0, upper.to_bytes(2, "big"))
        end = min(at + _RECORD, len(data), at + _SEGMENT - place % _SEGMENT)
        yield _record(0, place % _SEGMENT, data[at:end])
        at = end
    yield _record(1, 0, b"")


def _record(kind: int, address: int, data: bytes) -> bytes:
    record = bytes([len(data), address >> 8, address & 0xFF, kind]) + data
    return record + bytes([-sum(record) & 0xFF])


def is_unit_data(path: Path) -> bool:
    """Whether a file is said to hold a unit's data, and not its description."""
    return path.suffix.lower() in {".hex", ".bin"}


def read_unit_data(path: Path) -> UnitData:
    """The unit in a file: Intel HEX, or the bytes themselves.

    Raises:
        InputError: it cannot be read, others can read it, or it holds something else.
    """
    data, mode = read_file_and_mode(path, UNIT_DATA_FILE)
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(str(path), f"others can read it (mode {stat.S_IMODE(mode):04o})", "mode 0600: chmod 600")
    if path.suffix.lower() == ".hex":
        data = read_hex(str(path), io.BytesIO(data), UNIT_DATA_FILE.max_size).data
    unit = from_bytes(data)
    if unit is None:
        raise InputError(str(path), "no unit's data, or damaged", UNIT_DATA_FILE.expected)
    return unit
