"""Intel HEX (Intel, "Hexadecimal Object File Format Specification", revision A, 1988): one image out of records.

A record is a line `:LLAAAATT[DD…]CC`: length, address, type, data, and a checksum that makes all bytes add up to 0.
Types: 0 data, 1 end, 2 segment base (times 16), 4 linear base (times 65536), 3 and 5 start addresses (not needed here).

Rules kept here:

* A file is read twice, a line at a time: first for what it spans, then, once that is known to be bounded, for its
  data. A few bytes of text can claim two addresses that are gigabytes apart.
* What is held is at most ten times the data, or `FREE_SPAN` where that is more: a padded image has its data at both
  ends of a slot. Gaps are filled with 0xFF, as erased flash is.
* A file without its end record was cut off, and is refused; so is one that writes a byte twice.
"""

import binascii
from collections.abc import Iterator
from typing import BinaryIO, Final

from keyswitch.errors import InputError

FREE_SPAN: Final = 4 * 1024 * 1024
"""Bytes; larger than the slots that images are padded for."""
MAX_GAP_FACTOR: Final = 10
"""Times its data that a file may span beyond that."""

_EXPECTED: Final = "an Intel HEX file with one signed image"
_OVERHEAD: Final = 5
"""Bytes of a record besides its data: length, address (2), type, checksum."""
_LONGEST_LINE: Final = 1 + 2 * (255 + _OVERHEAD) + 2
_ADDRESSES: Final = 2**32
_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)
_SIZES: Final = {_END: 0, _SEGMENT: 2, _START_SEGMENT: 4, _LINEAR: 2, _START_LINEAR: 4}
_BASES: Final = {_SEGMENT: 16, _LINEAR: 65536}


def read_hex(where: str, file: BinaryIO, limit: int) -> bytes:
    """The bytes from the first address that a HEX file names to the last.

    Args:
        where: its name, for messages.
        file: seekable, read from where it stands.
        limit: bytes that it may span.

    Raises:
        InputError: it is no HEX file, is cut off, spans too much, or writes a byte twice.
    """
    begin = file.tell()
    first, end, size = _ADDRESSES, 0, 0
    for address, data in _records(where, file):
        first, end, size = min(first, address), max(end, address + len(data)), size + len(data)
    if not size:
        raise InputError(where, "the HEX file holds no data", _EXPECTED)
    most = min(limit, max(FREE_SPAN, MAX_GAP_FACTOR * size))
    if end - first > most:
        found = f"the HEX file spans addresses {first:#x} to {end - 1:#x} with {size} bytes of data"
        raise InputError(where, found, f"at most {most} bytes from first to last")
    content, written = bytearray(b"\xff") * (end - first), bytearray(end - first)
    file.seek(begin)
    for address, data in _records(where, file):
        at, behind = address - first, address - first + len(data)
        if any(written[at:behind]):
            raise InputError(where, f"the HEX file writes address {address + written[at:behind].index(1):#x} twice")
        content[at:behind] = data
        written[at:behind] = b"\x01" * len(data)
    return bytes(content)


def _records(where: str, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Address and bytes of each data record that has any."""
    base, number = 0, 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        record = line.rstrip(b"\r\n")
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
