"""Taking images apart and putting them together again, well or badly."""

import hashlib
import random
import struct
from dataclasses import dataclass, field, replace

from tests.mcuboot.imgtool_images import imgtool_key

from keyswitch.mcuboot.tlvs import TLV_INFO_MAGIC, TLV_PROTECTED_INFO_MAGIC, TlvType

Entry = tuple[int, bytes]
HASHES = {TlvType.SHA256: hashlib.sha256, TlvType.SHA384: hashlib.sha384, TlvType.SHA512: hashlib.sha512}


@dataclass(frozen=True)
class Parts:
    """An image in parts; what is not given is computed when it is put together."""

    header: bytes
    payload: bytes
    protected: tuple[Entry, ...] = ()
    entries: tuple[Entry, ...] = ()
    rest: bytes = b""
    sizes: dict[str, int] = field(default_factory=dict)
    """Lengths to claim instead of the true ones: `protected`, `area`, or the number of an entry."""

    def hashed(self) -> bytes:
        area = (
            tlv_area(TLV_PROTECTED_INFO_MAGIC, self.protected, self.sizes.get("protected")) if self.protected else b""
        )
        header = bytearray(self.header)
        header[10:12] = struct.pack("<H", self.sizes.get("header", len(area)))
        return bytes(header) + self.payload + area

    def build(self) -> bytes:
        return self.hashed() + tlv_area(TLV_INFO_MAGIC, self.entries, self.sizes.get("area"), self.sizes) + self.rest

    def signed_again(self, kind: str, number: int = 0) -> "Parts":
        """With hash and signature entries made right for what is there now."""
        entries: list[Entry] = []
        hashed = self.hashed()
        digest = b""
        for entry, value in self.entries:
            made = value
            if entry in HASHES:
                made = digest = HASHES[TlvType(entry)](hashed).digest()
            elif entry in {TlvType.RSA2048_PSS, TlvType.RSA3072_PSS, TlvType.ECDSA_SIG, TlvType.ED25519}:
                made = sign(kind, number, hashed, digest)
            entries.append((entry, made))
        return replace(self, entries=tuple(entries))


def sign(kind: str, number: int, hashed: bytes, digest: bytes) -> bytes:
    key = imgtool_key(kind, number)
    return key.sign(hashed) if hasattr(key, "sign") else key.sign_digest(digest)


def tlv_area(
    magic: int, entries: tuple[Entry, ...], size: int | None = None, claims: dict[str, int] | None = None
) -> bytes:
    body = b""
    for number, (entry, value) in enumerate(entries):
        length = (claims or {}).get(str(number), len(value))
        body += struct.pack("<HH", entry, length & 0xFFFF) + value
    return struct.pack("<HH", magic, (4 + len(body) if size is None else size) & 0xFFFF) + body


def take_apart(image: bytes) -> Parts:
    header_size, protected_size, image_size = struct.unpack_from("<HHI", image, 8)
    at = header_size + image_size
    protected: tuple[Entry, ...] = ()
    if protected_size:
        protected = entries_of(image[at : at + protected_size])
        at += protected_size
    total = struct.unpack_from("<H", image, at + 2)[0]
    return Parts(
        header=image[:header_size],
        payload=image[header_size : header_size + image_size],
        protected=protected,
        entries=entries_of(image[at : at + total]),
        rest=image[at + total :],
    )


def entries_of(area: bytes) -> tuple[Entry, ...]:
    found, at = [], 4
    while at < len(area):
        entry, length = struct.unpack_from("<HH", area, at)
        found.append((entry, area[at + 4 : at + 4 + length]))
        at += 4 + length
    return tuple(found)


# --- mutations --------------------------------------------------------------------------------------------------------


def flip_bit(image: bytes, chance: random.Random) -> bytes:
    changed = bytearray(image)
    changed[chance.randrange(len(image))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flip_bit_at_the_end(image: bytes, chance: random.Random) -> bytes:
    changed = bytearray(image)
    changed[-1 - chance.randrange(min(len(image), 300))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def flip_bit_in_the_header(image: bytes, chance: random.Random) -> bytes:
    changed = bytearray(image)
    changed[chance.randrange(32)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncate(image: bytes, chance: random.Random) -> bytes:
    return image[: chance.randrange(len(image))]


def truncate_a_little(image: bytes, chance: random.Random) -> bytes:
    return image[: len(image) - chance.randrange(1, 200)]


def append(image: bytes, chance: random.Random) -> bytes:
    return image + chance.randbytes(chance.randrange(1, 100))


def overwrite(image: bytes, chance: random.Random) -> bytes:
    at, size = chance.randrange(len(image)), chance.randrange(1, 40)
    return image[:at] + chance.randbytes(size) + image[at + size :]


def drop_bytes(image: bytes, chance: random.Random) -> bytes:
    at, size = chance.randrange(len(image)), chance.randrange(1, 40)
    return image[:at] + image[at + size :]


def duplicate_entry(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    at = chance.randrange(len(parts.entries))
    place = chance.randrange(len(parts.entries) + 1)
    entries = (*parts.entries[:place], parts.entries[at], *parts.entries[place:])
    return replace(parts, entries=entries).build()


def drop_entry(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    at = chance.randrange(len(parts.entries))
    return replace(parts, entries=parts.entries[:at] + parts.entries[at + 1 :]).build()


def reorder_entries(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    entries = list(parts.entries)
    chance.shuffle(entries)
    return replace(parts, entries=tuple(entries)).build()


def retype_entry(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    at = chance.randrange(len(parts.entries))
    entry = chance.choice([*TlvType, chance.randrange(0x10000), parts.entries[at][0] | 0x100])
    entries = (*parts.entries[:at], (int(entry), parts.entries[at][1]), *parts.entries[at + 1 :])
    return replace(parts, entries=entries).build()


def foreign_entry(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    place = chance.randrange(len(parts.entries) + 1)
    entry = (
        int(chance.choice([*TlvType, chance.randrange(0x10000)])),
        chance.randbytes(chance.choice([0, 1, 4, 12, 32, 64])),
    )
    return replace(parts, entries=(*parts.entries[:place], entry, *parts.entries[place:])).build()


def wrong_entry_length(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    at = chance.randrange(len(parts.entries))
    length = max(0, len(parts.entries[at][1]) + chance.choice([-2, -1, 1, 2, 4, 100, 0xFFFF]))
    return replace(parts, sizes={str(at): length}).build()


def cut_entry_value(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    at = chance.randrange(len(parts.entries))
    entry, value = parts.entries[at]
    value = value[: chance.randrange(len(value) + 1)] + chance.randbytes(chance.choice([0, 0, 1, 8]))
    return replace(parts, entries=(*parts.entries[:at], (entry, value), *parts.entries[at + 1 :])).build()


def wrong_area_size(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    true = 4 + sum(4 + len(value) for _, value in parts.entries)
    return replace(parts, sizes={"area": max(0, true + chance.choice([-100, -4, -1, 1, 4, 100, 0xFFFF]))}).build()


def wrong_protected_size(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    name = chance.choice(["header", "protected"])
    return replace(parts, sizes={name: chance.choice([0, 1, 3, 4, 8, 12, 100, 0xFFFF])}).build()


def move_to_protected(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    at = chance.randrange(len(parts.entries))
    moved = replace(
        parts,
        protected=(*parts.protected, parts.entries[at]),
        entries=parts.entries[:at] + parts.entries[at + 1 :],
    )
    return moved.build()


def move_to_unprotected(image: bytes, chance: random.Random) -> bytes:
    parts = take_apart(image)
    if not parts.protected:
        return foreign_entry(image, chance)
    at = chance.randrange(len(parts.protected))
    moved = replace(
        parts,
        protected=parts.protected[:at] + parts.protected[at + 1 :],
        entries=(parts.protected[at], *parts.entries),
    )
    return moved.build()


def wrong_sizes_in_the_header(image: bytes, chance: random.Random) -> bytes:
    changed = bytearray(image)
    place, kind = chance.choice([(8, "<H"), (10, "<H"), (12, "<I")])
    value = struct.unpack_from(kind, image, place)[0] + chance.choice([-32, -4, -1, 1, 4, 32, 0x7FFF])
    struct.pack_into(kind, changed, place, value & (0xFFFF if kind == "<H" else 0xFFFFFFFF))
    return bytes(changed)


MUTATIONS = (
    flip_bit,
    flip_bit_at_the_end,
    flip_bit_in_the_header,
    truncate,
    truncate_a_little,
    append,
    overwrite,
    drop_bytes,
    duplicate_entry,
    drop_entry,
    reorder_entries,
    retype_entry,
    foreign_entry,
    wrong_entry_length,
    cut_entry_value,
    wrong_area_size,
    wrong_protected_size,
    move_to_protected,
    move_to_unprotected,
    wrong_sizes_in_the_header,
)
