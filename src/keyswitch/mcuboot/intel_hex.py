"""Intel HEX (Intel, "Hexadecimal Object File Format Specification", revision A, 1988): one image out of records.

A record is a line `:LLAAAATT[DD…]CC`: length, address, type, data, and a checksum that makes all bytes add up to 0.
Types: 0 data, 1 end, 2 segment base (times 16), 4 linear base (times 65536), 3 and 5 start addresses (not needed here).

Rules kept here:

* A file is read a line at a time, and more than once: first for what it spans, then, once that is known to be bounded,
  for its data. A few bytes of text can claim two addresses that are gigabytes apart.
* A file may hold more than the image: settings, a bootloader, the chip's own registers. The image is the region that
  begins with MCUboot's header, and ends as the header says; what lies elsewhere is left out, and told. Two images are
  refused: nobody knows which is meant. A trailer at the end of the slot belongs to the image (`imgtool sign --pad`).
* What is held is at most ten times the data, or `FREE_SPAN` where that is more. Gaps are filled with 0xFF, as erased
  flash is.
* A file without its end record was cut off, and is refused; so is one that writes a byte twice.
* Empty lines, blanks around a line, and a byte order mark before the first one mean nothing.
"""

import binascii
import codecs
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from keyswitch.errors import InputError
from keyswitch.mcuboot.image import HEADER, HEADER_SIZE
from keyswitch.mcuboot.layout import MAGIC_SIZE, MAX_ALIGNS
from keyswitch.mcuboot.tlvs import IMAGE_MAGIC
from keyswitch.mcuboot.trailer import magic_bytes

FREE_SPAN: Final = 4 * 1024 * 1024
"""Bytes; larger than the slots that images are padded for."""
MAX_GAP_FACTOR: Final = 10
"""Times its data that a file may span beyond that."""
MAX_REGIONS: Final = 4_096
"""Pieces of memory that a file may fill: a merged build has fewer than ten."""

_EXPECTED: Final = "an Intel HEX file with one signed image"
_OVERHEAD: Final = 5
"""Bytes of a record besides its data: length, address (2), type, checksum."""
_LONGEST_LINE: Final = 1 + 2 * (255 + _OVERHEAD) + 2
_ADDRESSES: Final = 2**32
_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)
_SIZES: Final = {_END: 0, _SEGMENT: 2, _START_SEGMENT: 4, _LINEAR: 2, _START_LINEAR: 4}
_BASES: Final = {_SEGMENT: 16, _LINEAR: 65536}
_MAGIC: Final = IMAGE_MAGIC.to_bytes(4, "little")
_TRAILER_MAGICS: Final = tuple(magic_bytes(align) for align in MAX_ALIGNS)

_Region = tuple[int, int]
"""First address, and the first one behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HexContent:
    """What a HEX file brings.

    Attributes:
        data: the image, or all that the file holds if no image is in it.
        left_out: the addresses that are no part of the image, in words; empty if there are none.
    """

    data: bytes
    left_out: str = ""


def begins_hex(start: bytes) -> bool:
    """Whether a file that begins with these bytes is Intel HEX: a colon, behind nothing that can be seen."""
    return start.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b":"


def read_hex(where: str, file: BinaryIO, limit: int) -> HexContent:
    """The image in a HEX file.

    Args:
        where: its name, for messages.
        file: seekable, read from where it stands.
        limit: bytes that the image may span.

    Raises:
        InputError: it is no HEX file, is cut off, holds several images, spans too much, or writes a byte twice.
    """
    begin = file.tell()
    regions = _regions(where, file)
    ours = _of_the_image(where, file, begin, regions)
    size = sum(end - first for first, end in ours)
    first, end = ours[0][0], ours[-1][1]
    most = min(limit, max(FREE_SPAN, MAX_GAP_FACTOR * size))
    if end - first > most:
        found = f"the HEX file spans addresses {first:#x} to {end - 1:#x} with {size} bytes of data"
        raise InputError(where, found, f"at most {most} bytes from first to last")
    content, written = bytearray(b"\xff") * (end - first), bytearray(end - first)
    file.seek(begin)
    for address, data in _records(where, file):
        if not first <= address < end:
            continue
        at, behind = address - first, address - first + len(data)
        if any(written[at:behind]):
            raise InputError(where, f"the HEX file writes address {address + written[at:behind].index(1):#x} twice")
        content[at:behind] = data
        written[at:behind] = b"\x01" * len(data)
    others = [f"{first:#x} to {end - 1:#x}" for first, end in regions if (first, end) not in ours]
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return HexContent(data=bytes(content), left_out=", ".join(others[:_NAMED]) + more)


_NAMED: Final = 4
"""Regions that are named one by one."""


def _regions(where: str, file: BinaryIO) -> list[_Region]:
    """The addresses that the file fills, as few regions as there are, in order."""
    found: list[_Region] = []
    for address, data in _records(where, file):
        if found and found[-1][1] == address:
            found[-1] = (found[-1][0], address + len(data))
        else:
            found.append((address, address + len(data)))
        if len(found) > 2 * MAX_REGIONS:
            found = _few(where, _joined(found))
    if not found:
        raise InputError(where, "the HEX file holds no data", _EXPECTED)
    return _few(where, _joined(found))


def _few(where: str, regions: list[_Region]) -> list[_Region]:
    if len(regions) > MAX_REGIONS:
        raise InputError(where, f"the HEX file fills more than {MAX_REGIONS} places", _EXPECTED)
    return regions


def _joined(regions: list[_Region]) -> list[_Region]:
    """Sorted; those that touch or overlap are one."""
    joined: list[_Region] = []
    for first, end in sorted(regions):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((first, end))
    return joined


def _of_the_image(where: str, file: BinaryIO, begin: int, regions: list[_Region]) -> list[_Region]:
    """The regions that are the image's; all of them if none begins with an image's header.

    Raises:
        InputError: several do.
    """
    if len(regions) == 1:
        return regions
    headers = _peek(where, file, begin, [(first, min(end, first + HEADER_SIZE)) for first, end in regions])
    images = [number for number, header in enumerate(headers) if header.startswith(_MAGIC)]
    if len(images) > 1:
        places = ", ".join(f"{regions[number][0]:#x}" for number in images[:_NAMED])
        raise InputError(where, f"the HEX file holds {len(images)} images, at {places}", "one file for each image")
    if not images:
        return regions
    rest = regions[images[0] :]
    header = headers[images[0]]
    if len(header) < HEADER_SIZE:
        return rest
    _, _, header_size, protected_size, image_size, *_ = HEADER.unpack(header)
    # The TLV area behind what is hashed says its own length; a file that is whole does not interrupt it.
    tlvs = rest[0][0] + header_size + image_size + protected_size
    own = [region for region in rest if region[0] <= tlvs]
    (tail,) = _peek(where, file, begin, [(max(rest[-1][0], rest[-1][1] - MAGIC_SIZE), rest[-1][1])])
    return rest if tail in _TRAILER_MAGICS else own


def _peek(where: str, file: BinaryIO, begin: int, wanted: list[_Region]) -> list[bytes]:
    """The bytes at some addresses, in order; no two of them lie in one region."""
    held = [bytearray(end - first) for first, end in wanted]
    starts = [first for first, _ in wanted]
    file.seek(begin)
    for address, data in _records(where, file):
        place = bisect(starts, address + len(data) - 1) - 1
        if place < 0:
            continue
        (first, end), piece = wanted[place], held[place]
        low, high = max(first, address), min(end, address + len(data))
        if low < high:
            piece[low - first : high - first] = data[low - address : high - address]
    return [bytes(piece) for piece in held]


def _records(where: str, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Address and bytes of each data record that has any."""
    base, number = 0, 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        record = (line.removeprefix(codecs.BOM_UTF8) if number == 1 else line).strip()
        if not record:
            continue
        kind, address, data = _decoded(where, number, record)
        if kind == _END:
            return
        if kind == _DATA and data:
            address += base
            if address + len(data) > _ADDRESSES:
                raise _wrong(where, number, "its address is beyond 32 bits")
            yield address, data
        elif kind in _BASES:
            base = int.from_bytes(data, "big") * _BASES[kind]
    raise InputError(where, "the HEX file has no end record: it was cut off", _EXPECTED)


def _decoded(where: str, number: int, record: bytes) -> tuple[int, int, bytes]:
    """Kind, address and data of one record."""
    if record[:1] != b":":
        raise _wrong(where, number, "it does not begin with a colon")
    try:
        fields = binascii.unhexlify(record[1:])
    except binascii.Error:
        raise _wrong(where, number, "no hexadecimal bytes") from None
    if len(fields) < _OVERHEAD or len(fields) != _OVERHEAD + fields[0]:
        raise _wrong(where, number, "its length is wrong")
    if sum(fields) & 0xFF:
        raise _wrong(where, number, "its checksum is wrong")
    kind = fields[3]
    if kind not in {_DATA, *_SIZES}:
        raise _wrong(where, number, f"no record has type {kind}")
    if _SIZES.get(kind, fields[0]) != fields[0]:
        raise _wrong(where, number, "its length is wrong")
    return kind, int.from_bytes(fields[1:3], "big"), fields[4:-1]


def _wrong(where: str, number: int, problem: str) -> InputError:
    return InputError(where, f"this is not an Intel HEX file: line {number}: {problem}", _EXPECTED)
