"""Every first byte is read, every answer's first byte follows the specification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import RemoteError
from keyswitch.smp.header import HEADER_SIZE, Header, Op, SmpVersion, packet_size


def header(**fields: int) -> Header:
    return Header(**{"op": 2, "version": 1, "length": 0, "group": 0, "sequence": 0, "command": 0} | fields)


@pytest.mark.parametrize(
    ("op", "version", "first"),
    [
        (Op.READ, SmpVersion.V1, 0x00),
        (Op.READ_RESPONSE, SmpVersion.V1, 0x01),
        (Op.WRITE, SmpVersion.V1, 0x02),
        (Op.WRITE_RESPONSE, SmpVersion.V1, 0x03),
        (Op.READ, SmpVersion.V2, 0x08),
        (Op.READ_RESPONSE, SmpVersion.V2, 0x09),
        (Op.WRITE, SmpVersion.V2, 0x0A),
        (Op.WRITE_RESPONSE, SmpVersion.V2, 0x0B),
    ],
)
def test_first_byte(op: Op, version: SmpVersion, first: int):
    assert header(op=op, version=version).encode()[0] == first


def test_layout():
    encoded = header(length=0x0102, group=0x4B53, sequence=0x42, command=7).encode()
    assert encoded == bytes.fromhex("0a00 0102 4b53 42 07")


def test_every_first_byte_is_read_and_answered():
    for first in range(256):
        request = Header.decode(bytes([first, 0xAA, 0, 5, 0, 1, 9, 3]))
        assert (request.op, request.version) == (first & 7, first >> 3 & 3)
        answered = request.answer(17)
        op, version, flags = answered[0] & 7, answered[0] >> 3 & 3, answered[1]
        assert op == (1 if first & 7 == 0 else 3)
        assert version == min(first >> 3 & 3, 1)
        assert (answered[0] >> 5, flags) == (0, 0)
        assert answered[2:] == bytes([0, 17, 0, 1, 9, 3])


@pytest.mark.parametrize("size", range(HEADER_SIZE))
def test_short_header_is_the_peers_fault(size: int):
    with pytest.raises(RemoteError, match="8 needed"):
        Header.decode(bytes(size))
    assert packet_size(bytes(size)) is None


@given(
    op=st.integers(0, 7),
    version=st.integers(0, 3),
    length=st.integers(0, 0xFFFF),
    group=st.integers(0, 0xFFFF),
    sequence=st.integers(0, 255),
    command=st.integers(0, 255),
)
def test_round_trip(**fields: int):
    made = Header(**fields)
    assert Header.decode(made.encode()) == made
    assert packet_size(made.encode()) == 8 + fields["length"]
