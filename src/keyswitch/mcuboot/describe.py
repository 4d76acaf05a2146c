"""An image in words, and what two images differ in."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keyswitch.mcuboot.files import NamedImage
from keyswitch.mcuboot.image import DEPENDENCY as DEPENDENCY_STRUCT
from keyswitch.mcuboot.image import HASH_CHUNK, Image, ImageFault, ImageVersion, Tlv, parse_image
from keyswitch.mcuboot.padding import Padding, read_padding
from keyswitch.mcuboot.tlvs import Flags, TlvType

_TEXT_TYPES: Final = frozenset({TlvType.BOOT_RECORD})
_SHOWN_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """One image of a file, read.

    Attributes:
        named: where it came from.
        image: header and TLVs.
        padding: what lies behind it.
    """

    named: NamedImage
    image: Image
    padding: Padding


def describe(named: NamedImage) -> Description | ImageFault:
    """Read one image of a file."""
    image = parse_image(named.source)
    if isinstance(image, ImageFault):
        return image
    return Description(named=named, image=image, padding=read_padding(named.source, image))


def flag_names(flags: Flags) -> list[str]:
    """The names of the flags that are set; unknown ones as a number."""
    known = [flag for flag in Flags if flag & flags]
    unknown = int(flags) & ~sum(known)
    return [str(flag.name) for flag in known] + ([f"unknown {unknown:#x}"] if unknown else [])


def tlv_words(tlv: Tlv) -> str:
    """A TLV's value as people want to read it."""
    value = tlv.value
    if tlv.type == TlvType.SEC_CNT:
        return str(int.from_bytes(value, "little"))
    if tlv.type == TlvType.DEPENDENCY and len(value) == DEPENDENCY_STRUCT.size:
        number, *version = DEPENDENCY_STRUCT.unpack(value)
        return f"image {number}, version {ImageVersion(*version)} or newer"
    if tlv.type in _TEXT_TYPES or len(value) <= 2 * _SHOWN_BYTES:
        return value.hex()
    return f"{value[:_SHOWN_BYTES].hex()}… ({len(value)} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that two images differ in."""

    what: str
    first: str
    second: str


def differences(first: Description, second: Description) -> Iterator[Difference]:
    """What two images differ in, header first."""
    pairs = zip(_facts(first), _facts(second), strict=True)
    for (what, one), (_, other) in pairs:
        if one != other:
            yield Difference(what=what, first=one, second=other)
    yield from _tlv_differences(first.image, second.image)
    yield from _payload_difference(first, second)


def _facts(description: Description) -> list[tuple[str, str]]:
    header, padding = description.image.header, description.padding
    trailer = "none" if padding.max_align is None else "confirmed" if padding.image_ok else "not confirmed"
    return [
        ("version", str(header.version)),
        ("flags", ", ".join(flag_names(header.flags)) or "none"),
        ("load address", f"{header.load_address:#x}"),
        ("header size", str(header.header_size)),
        ("image size", str(header.image_size)),
        ("padding", str(padding.size)),
        ("trailer", trailer),
    ]


def _tlv_differences(first: Image, second: Image) -> Iterator[Difference]:
    ones, others = _named_tlvs(first), _named_tlvs(second)
    for what in dict.fromkeys([*ones, *others]):
        if ones.get(what) != others.get(what):
            yield Difference(what=what, first=ones.get(what, "none"), second=others.get(what, "none"))


def _named_tlvs(image: Image) -> dict[str, str]:
    """TLVs in words, by name; the second of a name is `NAME 2`, and so on."""
    named: dict[str, str] = {}
    counts: dict[str, int] = {}
    for tlv in image.tlvs:
        counts[tlv.name] = counts.get(tlv.name, 0) + 1
        name = tlv.name if counts[tlv.name] == 1 else f"{tlv.name} {counts[tlv.name]}"
        named[name] = tlv_words(tlv) if len(tlv.value) <= 2 * _SHOWN_BYTES else tlv.value.hex()
    return named


def _payload_difference(first: Description, second: Description) -> Iterator[Difference]:
    """Where the payloads differ; only if they are equally long, else the size says it."""
    header, other = first.image.header, second.image.header
    if header.image_size != other.image_size:
        return
    count, place = 0, -1
    for at in range(0, header.image_size, HASH_CHUNK):
        size = min(HASH_CHUNK, header.image_size - at)
        one = first.named.source.read(header.header_size + at, size)
        two = second.named.source.read(other.header_size + at, size)
        if one == two:
            continue
        unequal = [number for number in range(size) if one[number] != two[number]]
        place = at + unequal[0] if place < 0 else place
        count += len(unequal)
    if count:
        yield Difference(what="payload", first=f"{count} bytes differ", second=f"first at {place} ({place:#x})")
