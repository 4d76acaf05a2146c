"""MCUboot files for tests of the operator: real layout and hash, no signature."""

import hashlib
import struct
from dataclasses import dataclass

HEADER = struct.Struct("<IIHHIIBBHII")
MAGIC = 0x96F3B83D
TLV_MAGIC = 0x6907
TLV_SHA256 = 0x10
PROTECTED_MAGIC = 0x6908
TLV_UNPACKED_SHA256 = 0x71
LZMA2 = 0x400


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    data: bytes
    version: str
    hash: bytes


def make_image(version: str = "1.0.0", size: int = 16 * 1024, *, fill: int = 0) -> Made:
    """A file of exactly `size` bytes."""
    major, minor, revision = (int(part) for part in version.split("."))
    payload_size = size - HEADER.size - 4 - 4 - 32
    header = HEADER.pack(MAGIC, 0, HEADER.size, 0, payload_size, 0, major, minor, revision, 0, 0)
    seed = hashlib.sha256(f"{version} {fill}".encode()).digest()
    payload = (seed * (payload_size // 32 + 1))[:payload_size]
    digest = hashlib.sha256(header + payload).digest()
    tlvs = struct.pack("<HHHH", TLV_MAGIC, 4 + 4 + 32, TLV_SHA256, 32) + digest
    return Made(data=header + payload + tlvs, version=version, hash=digest)


def make_compressed(made: Made) -> tuple[Made, bytes]:
    """An image of the same version that says that it is packed, and the hash that it names for what it unpacks to."""
    unpacked = hashlib.sha256(made.data).digest()
    payload = made.data[HEADER.size : HEADER.size + 4_096]
    protected = struct.pack("<HHHH", PROTECTED_MAGIC, 4 + 4 + 32, TLV_UNPACKED_SHA256, 32) + unpacked
    version = [int(part) for part in made.version.split(".")]
    header = HEADER.pack(MAGIC, 0, HEADER.size, len(protected), len(payload), LZMA2, *version[:2], version[2], 0, 0)
    digest = hashlib.sha256(header + payload + protected).digest()
    tlvs = struct.pack("<HHHH", TLV_MAGIC, 4 + 4 + 32, TLV_SHA256, 32) + digest
    return Made(data=header + payload + protected + tlvs, version=made.version, hash=digest), unpacked


def unpacked_hash(data: bytes) -> bytes | None:
    """What a packed image in a slot names for what it unpacks to."""
    found = read_image(data)
    if found is None or not HEADER.unpack_from(data)[3]:
        return None
    _, _, header_size, _, payload_size, *_ = HEADER.unpack_from(data)
    return data[header_size + payload_size + 8 : header_size + payload_size + 40]


def read_image(data: bytes) -> tuple[str, bytes] | None:
    """Version and hash TLV of what lies in a slot; None where nothing readable does."""
    if len(data) < HEADER.size:
        return None
    magic, _, header_size, protected, payload_size, _, major, minor, revision, _, _ = HEADER.unpack_from(data)
    tlvs = header_size + payload_size + protected
    if magic != MAGIC or len(data) < tlvs + 40:
        return None
    tlv_magic, _, kind, length = struct.unpack_from("<HHHH", data, tlvs)
    if (tlv_magic, kind, length) != (TLV_MAGIC, TLV_SHA256, 32):
        return None
    return f"{major}.{minor}.{revision}", data[tlvs + 8 : tlvs + 40]


def is_sound(data: bytes) -> bool:
    """What a bootloader without keys checks."""
    found = read_image(data)
    if found is None:
        return False
    _, _, header_size, protected, payload_size, *_ = HEADER.unpack_from(data)
    return hashlib.sha256(data[: header_size + payload_size + protected]).digest() == found[1]
