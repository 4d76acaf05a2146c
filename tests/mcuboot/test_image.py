import re
import struct
from dataclasses import replace

import pytest
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.surgery import take_apart

from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import Image, ImageFault, ImageVersion, parse_image
from keyswitch.mcuboot.tlvs import Flags, TlvType, type_name

GOOD = images.signed("1.2.3+4", "--security-counter", "9", "--dependencies", "(1, 4.5.6+7)", size=600, header_size=32)


def parsed(data: bytes) -> Image:
    found = parse_image(BytesSource(data))
    assert isinstance(found, Image), found
    return found


def fault(data: bytes) -> ImageFault:
    found = parse_image(BytesSource(data))
    assert isinstance(found, ImageFault), found
    return found


def test_what_imgtool_wrote_is_read():
    image = parsed(GOOD)
    assert image.version == ImageVersion(1, 2, 3, 4)
    assert (image.header.header_size, image.header.image_size, image.size) == (32, 600, len(GOOD))
    assert [(tlv.name, tlv.protected) for tlv in image.tlvs] == [
        ("SEC_CNT", True),
        ("DEPENDENCY", True),
        ("SHA256", False),
        ("KEYHASH", False),
        ("ECDSA_SIG", False),
    ]
    assert image.security_counter == 9
    assert [(need.image, str(need.version)) for need in image.dependencies] == [(1, "4.5.6.7")]
    for tlv in image.tlvs:
        assert struct.unpack_from("<HH", GOOD, tlv.offset) == (tlv.type, len(tlv.value))
        assert GOOD[tlv.offset + 4 :].startswith(tlv.value)


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        ((), Flags(0)),
        (("--load-addr", "0x20000000"), Flags.RAM_LOAD),
        (("--rom-fixed", "0x10000"), Flags.ROM_FIXED),
        (("--non-bootable",), Flags.NON_BOOTABLE),
    ],
)
def test_flags(options, flags):
    image = parsed(images.signed("1.0.0", *options))
    assert image.header.flags == flags
    assert image.bootable == (flags != Flags.NON_BOOTABLE)


@pytest.mark.parametrize("padding", [b"", b"\xff" * 100, b"anything"])
def test_what_lies_behind_is_no_part_of_the_image(padding):
    assert parsed(GOOD + padding).size == len(GOOD)


def with_header(**fields: int) -> bytes:
    places = {"magic": (0, "<I"), "header_size": (8, "<H"), "protected": (10, "<H"), "image_size": (12, "<I")}
    changed = bytearray(GOOD)
    for name, value in fields.items():
        offset, kind = places[name]
        struct.pack_into(kind, changed, offset, value)
    return bytes(changed)


TLVS = 32 + 600
PARTS = take_apart(GOOD)
SIZE_LINE = (
    f"image size: found {len(GOOD)} bytes ({100_032 - len(GOOD)} missing: truncated?), "
    "expected header 32 + payload 100000 = 100032 bytes at byte 12 (0xc)"
)
LENGTH_LINE = (
    f"TLV ECDSA_SIG: found length 1000, expected at most {len(PARTS.entries[2][1])} bytes, "
    "to the end of its area at byte 738 (0x2e2)"
)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "header: found 0 bytes, expected at least 32 bytes at byte 0 (0x0)"),
        (GOOD[:31], "header: found 31 bytes, expected at least 32 bytes at byte 0 (0x0)"),
        (
            with_header(magic=0),
            "magic: found 0x00000000, no MCUboot image, expected 0x96f3b83d at byte 0 (0x0)",
        ),
        (
            with_header(magic=0x96F3B83C),
            "magic: found 0x96f3b83c, an image of the first format, expected 0x96f3b83d at byte 0 (0x0)",
        ),
        (
            images.signed("1.0.0", "--endian", "big"),
            "magic: found 0x3db8f396, a big-endian image, expected 0x96f3b83d at byte 0 (0x0)",
        ),
        (with_header(header_size=31), "header size: found 31, expected at least 32 at byte 8 (0x8)"),
        (
            with_header(image_size=100_000),
            SIZE_LINE,
        ),
        (
            with_header(image_size=599),
            f"protected TLV area magic: found 0x08{GOOD[631]:02x}, expected 0x6908 at byte 631 (0x277)",
        ),
        (
            with_header(protected=0),
            f"TLV area magic: found 0x6908, expected 0x6907 at byte {TLVS} ({TLVS:#x})",
        ),
        (
            with_header(protected=29),
            f"protected TLV area size: found 28, expected 29, as the header says at byte {TLVS + 2} ({TLVS + 2:#x})",
        ),
        (GOOD[: TLVS + 3], f"protected TLV area: found 3 bytes, expected 4 bytes of info at byte {TLVS} ({TLVS:#x})"),
        (
            replace(PARTS, sizes={"area": 3}).build(),
            f"TLV area size: found 3, expected 4 to {len(GOOD) - TLVS - 28} bytes at byte {TLVS + 30} ({TLVS + 30:#x})",
        ),
        (
            replace(PARTS, sizes={"2": 1000}).build(),
            LENGTH_LINE,
        ),
    ],
    ids=lambda value: re.sub(r"\d+", "N", str(value)) if isinstance(value, str) else "image",
)
def test_every_fault_is_one_line_with_its_place(data, line):
    assert fault(data).line == line


def test_an_area_that_ends_inside_an_entrys_header():
    parts = replace(PARTS, protected=(), entries=PARTS.entries[:1])
    data = bytearray(parts.build())
    area = parts.hashed()
    struct.pack_into("<H", data, len(area) + 2, 4 + 36 + 3)
    found = fault(bytes(data) + b"\x01\x00\x00")
    assert found.line.startswith("TLV: found 3, expected 4 bytes of header")


def test_names_of_types():
    assert type_name(TlvType.SHA256) == "SHA256"
    assert type_name(0xA0) == "vendor 0x00a0"
    assert type_name(0x12FE) == "vendor 0x12fe"
    assert type_name(0x26) == "unknown 0x0026"


def test_versions_compare_by_number_not_by_text():
    assert ImageVersion(1, 10, 0) > ImageVersion(1, 9, 9)
    assert ImageVersion(1, 0, 0, 1) > ImageVersion(1, 0, 0)
    assert ImageVersion(1, 0, 0, 1).without_build == ImageVersion(1, 0, 0).without_build


def test_a_counter_outside_the_protected_area_or_of_a_wrong_length_is_none():
    moved = replace(PARTS, protected=(), entries=(*PARTS.entries, (0x50, b"\1\0\0\0")))
    assert parsed(moved.build()).security_counter is None
    short = replace(PARTS, protected=((0x50, b"\1\0"),))
    assert parsed(short.build()).security_counter is None


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"sbv3\x01\x00\x03\x00", "an NXP SB3.1 container, which only NXP's own loader takes"),
        (b"\x7fELF\x01\x01\x01\x00", "an ELF file"),
        (b"UF2\nWQ]\x9e", "a UF2 file"),
        (b"\xd8\x6b\xa2\x02", "a SUIT envelope"),
        (b"\x1f\x8b\x08\x00", "a gzip file"),
        (b"-----BEGIN", "a text with a key"),
        (b"S00600004844521B", "a Motorola S-record file"),
    ],
)
def test_what_people_give_instead_is_named(start, words):
    fault = parse_image(BytesSource(start + bytes(64)))
    assert isinstance(fault, ImageFault)
    assert f", {words}" in fault.line
