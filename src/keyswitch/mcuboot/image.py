"""MCUboot images: header and TLV areas, read from a file or from a slot (MCUboot docs/design.md, bootutil/image.h).

Rules kept here:

* reading never executes, hashes or trusts: what is wrong is a value (`ImageFault`: check, expected, found, offset);
* every length is checked against what is really there before it is used;
* trailing bytes after the TLV areas (padding, trailer) are no part of the image, and are not read.

Layout of a file: header (`header_size`, 32 bytes used) | payload (`image_size`) | protected TLV area | TLV area.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keyswitch.mcuboot.flash import Source
from keyswitch.mcuboot.tlvs import (
    COMPRESSED,
    ENCRYPTED,
    HASH_SIZES,
    IMAGE_MAGIC,
    IMAGE_MAGIC_V1,
    TLV_INFO_MAGIC,
    TLV_PROTECTED_INFO_MAGIC,
    Flags,
    TlvType,
    type_name,
)

HEADER: Final = struct.Struct("<IIHHIIBBHII")
HEADER_SIZE: Final = 32
TLV_INFO: Final = struct.Struct("<HH")
TLV_HEADER: Final = struct.Struct("<HH")
VERSION: Final = struct.Struct("<BBHI")
DEPENDENCY: Final = struct.Struct("<B3xBBHI")
HASH_CHUNK: Final = 64 * 1024
"""How much is read at a time; memory stays flat in the image size."""

_NUMBER: Final = re.compile("[0-9]{1,10}")
"""As long as any number of a version is: the build has 32 bits."""

assert HEADER.size == HEADER_SIZE  # noqa: S101 - the format is a fact checked at import, not a condition of running


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFault:
    """Why a file is refused.

    Attributes:
        check: the name of the check.
        expected: what it wants.
        found: what is there.
        offset: byte offset in the source, None where no single place is wrong.
    """

    check: str
    expected: str
    found: str
    offset: int | None = None

    @property
    def found_and_expected(self) -> str:
        """What is there and what should be, and where."""
        place = "" if self.offset is None else f" at byte {self.offset} ({self.offset:#x})"
        return f"found {self.found}, expected {self.expected}{place}"

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.check}: {self.found_and_expected}"


@dataclass(frozen=True, slots=True, order=True)
class ImageVersion:
    """An image version; compares by all four numbers. Use `without_build` where the build number does not count."""

    major: int
    minor: int
    revision: int
    build: int = 0

    def __str__(self) -> str:
        """As SMP's image list writes it: the build number only if it is not 0."""
        base = f"{self.major}.{self.minor}.{self.revision}"
        return f"{base}.{self.build}" if self.build else base

    @property
    def without_build(self) -> tuple[int, int, int]:
        """What MCUboot compares unless it is built with `BOOT_VERSION_CMP_USE_BUILD_NUMBER`."""
        return (self.major, self.minor, self.revision)

    @classmethod
    def read(cls, text: str) -> "ImageVersion | None":
        """A version as SMP's image list or imgtool writes it, `1.2.3`, `1.2.3.4` or `1.2.3+4`; None if it is none."""
        numbers = text.replace("+", ".").split(".")
        if len(numbers) not in {3, 4} or not all(_NUMBER.fullmatch(number) for number in numbers):
            return None
        return cls(*(int(number) for number in numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHeader:
    """The 32 bytes at the start of an image."""

    load_address: int
    header_size: int
    protected_size: int
    image_size: int
    flags: Flags
    version: ImageVersion

    @property
    def tlv_offset(self) -> int:
        """Where the first TLV area starts."""
        return self.header_size + self.image_size

    @property
    def hashed_size(self) -> int:
        """How many bytes from the start are hashed and signed: header, payload, protected TLVs."""
        return self.tlv_offset + self.protected_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Tlv:
    """One entry of a TLV area.

    Attributes:
        type: its number, known or not.
        value: its bytes.
        offset: of the entry's own header in the source.
        protected: whether it lies in the protected area.
    """

    type: int
    value: bytes
    offset: int
    protected: bool

    @property
    def name(self) -> str:
        """MCUboot's name for the type."""
        return type_name(self.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """Another image that must be there at least in this version."""

    image: int
    version: ImageVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A readable image. Readable is not valid: see `keyswitch.mcuboot.verify`.

    Attributes:
        header: the header.
        tlvs: all entries in file order, protected ones first.
        size: of header, payload and both TLV areas in bytes.
    """

    header: ImageHeader
    tlvs: tuple[Tlv, ...]
    size: int

    @property
    def version(self) -> ImageVersion:
        """The version in the header."""
        return self.header.version

    @property
    def hashes(self) -> tuple[Tlv, ...]:
        """The unprotected hash entries."""
        return tuple(tlv for tlv in self.tlvs if tlv.type in HASH_SIZES and not tlv.protected)

    @property
    def hash(self) -> bytes:
        """What SMP lists and state write names: the value of the one hash entry; empty if there is none or several."""
        hashes = self.hashes
        return hashes[0].value if len(hashes) == 1 else b""

    @property
    def unpacked_hash(self) -> bytes:
        """Of a compressed image: the hash of what the bootloader makes of it, as its protected TLV says; else empty."""
        found = [tlv.value for tlv in self.find(TlvType.DECOMP_SHA) if tlv.protected]
        return found[0] if self.compressed and len(found) == 1 else b""

    @property
    def bootable(self) -> bool:
        """Whether the header does not say otherwise."""
        return not self.header.flags & Flags.NON_BOOTABLE

    @property
    def encrypted(self) -> bool:
        """Whether the payload is encrypted."""
        return bool(self.header.flags & ENCRYPTED)

    @property
    def compressed(self) -> bool:
        """Whether the payload is compressed."""
        return bool(self.header.flags & COMPRESSED)

    def find(self, kind: TlvType) -> tuple[Tlv, ...]:
        """All entries of a type, wherever they are."""
        return tuple(tlv for tlv in self.tlvs if tlv.type == kind)

    @property
    def security_counter(self) -> int | None:
        """The security counter, None if there is none of the right length in the protected area."""
        for tlv in self.find(TlvType.SEC_CNT):
            if tlv.protected and len(tlv.value) == 4:  # noqa: PLR2004 - a u32, bootutil/security_cnt.h
                return int.from_bytes(tlv.value, "little")
        return None

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """What this image needs of others; entries of a wrong length are a fault of `verify`."""
        found: list[Dependency] = []
        for tlv in self.find(TlvType.DEPENDENCY):
            if tlv.protected and len(tlv.value) == DEPENDENCY.size:
                image, *version = DEPENDENCY.unpack(tlv.value)
                found.append(Dependency(image=image, version=ImageVersion(*version)))
        return tuple(found)


def parse_header(source: Source) -> ImageHeader | ImageFault:
    """Read the header at the start of `source`."""
    if source.size < HEADER_SIZE:
        return ImageFault(
            check="header", expected=f"at least {HEADER_SIZE} bytes", found=f"{source.size} bytes", offset=0
        )
    fields = HEADER.unpack(source.read(0, HEADER_SIZE))
    magic, load_address, header_size, protected_size, image_size, flags = fields[:6]
    if magic != IMAGE_MAGIC:
        return ImageFault(check="magic", expected=f"{IMAGE_MAGIC:#010x}", found=_magic_words(magic), offset=0)
    if header_size < HEADER_SIZE:
        return ImageFault(check="header size", expected=f"at least {HEADER_SIZE}", found=str(header_size), offset=8)
    if header_size + image_size > source.size:
        missing = header_size + image_size - source.size
        return ImageFault(
            check="image size",
            expected=f"header {header_size} + payload {image_size} = {header_size + image_size} bytes",
            found=f"{source.size} bytes ({missing} missing: truncated?)",
            offset=12,
        )
    return ImageHeader(
        load_address=load_address,
        header_size=header_size,
        protected_size=protected_size,
        image_size=image_size,
        flags=Flags(flags),
        version=ImageVersion(*fields[6:10]),
    )


_OTHER_FORMATS: Final = {
    b"sbv3": "an NXP SB3.1 container, which only NXP's own loader takes",
    b"\x7fELF": "an ELF file: it is neither signed nor in MCUboot's format",
    b"UF2\n": "a UF2 file",
    b"\xd8\x6b": "a SUIT envelope",
    b"\x1f\x8b": "a gzip file: unpack it first",
    b"----": "a text with a key or certificate",
    b"S0": "a Motorola S-record file",
}
"""What people give instead, by how it begins: NXP MCU Boot Utility, ELF gABI, UF2, RFC 9124, RFC 1952, RFC 7468."""


def _magic_words(magic: int) -> str:
    start = magic.to_bytes(4, "little")
    for known, words in _OTHER_FORMATS.items():
        if start.startswith(known):
            return f"{magic:#010x}, {words}"
    if magic == IMAGE_MAGIC_V1:
        return f"{magic:#010x}, an image of the first format"
    if magic == int.from_bytes(IMAGE_MAGIC.to_bytes(4, "little"), "big"):
        return f"{magic:#010x}, a big-endian image"
    return f"{magic:#010x}, no MCUboot image"


def parse_image(source: Source) -> Image | ImageFault:
    """Read header and TLV areas at the start of `source`."""
    header = parse_header(source)
    if isinstance(header, ImageFault):
        return header
    tlvs: list[Tlv] = []
    offset = header.tlv_offset
    if header.protected_size:
        end = _read_area(source, offset, TLV_PROTECTED_INFO_MAGIC, tlvs, total=header.protected_size)
        if isinstance(end, ImageFault):
            return end
        offset = end
    end = _read_area(source, offset, TLV_INFO_MAGIC, tlvs)
    if isinstance(end, ImageFault):
        return end
    return Image(header=header, tlvs=tuple(tlvs), size=end)


def _read_area(
    source: Source, start: int, magic: int, tlvs: list[Tlv], *, total: int | None = None
) -> int | ImageFault:
    """Read one TLV area into `tlvs`; its end, or what is wrong. `total` is what the header says of its length."""
    protected = magic == TLV_PROTECTED_INFO_MAGIC
    name = "protected TLV area" if protected else "TLV area"
    if start + TLV_INFO.size > source.size:
        left = max(0, source.size - start)
        return ImageFault(check=name, expected=f"{TLV_INFO.size} bytes of info", found=f"{left} bytes", offset=start)
    info: tuple[int, int] = TLV_INFO.unpack(source.read(start, TLV_INFO.size))
    found_magic, length = info
    if found_magic != magic:
        return ImageFault(check=f"{name} magic", expected=f"{magic:#06x}", found=f"{found_magic:#06x}", offset=start)
    if total is not None and length != total:
        return ImageFault(
            check=f"{name} size", expected=f"{total}, as the header says", found=str(length), offset=start + 2
        )
    if length < TLV_INFO.size or start + length > source.size:
        return ImageFault(
            check=f"{name} size",
            expected=f"{TLV_INFO.size} to {source.size - start} bytes",
            found=str(length),
            offset=start + 2,
        )
    data = source.read(start, length)
    at = TLV_INFO.size
    while at < length:
        if at + TLV_HEADER.size > length:
            return ImageFault(
                check="TLV", expected=f"{TLV_HEADER.size} bytes of header", found=f"{length - at}", offset=start + at
            )
        entry: tuple[int, int] = TLV_HEADER.unpack_from(data, at)
        kind, size = entry
        body = at + TLV_HEADER.size
        if body + size > length:
            return ImageFault(
                check=f"TLV {type_name(kind)}",
                expected=f"at most {length - body} bytes, to the end of its area",
                found=f"length {size}",
                offset=start + at + 2,
            )
        tlvs.append(Tlv(type=kind, value=data[body : body + size], offset=start + at, protected=protected))
        at = body + size
    return start + length


def chunks(source: Source, size: int) -> Iterator[bytes]:
    """The first `size` bytes of `source`, a piece at a time."""
    at = 0
    while at < size:
        piece = source.read(at, min(HASH_CHUNK, size - at))
        at += len(piece)
        yield piece
