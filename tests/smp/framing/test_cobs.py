import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.smp.framing.cobs import CobsReceiver, decode, encode, pieces

PACKET = bytes.fromhex("0a00000600004200a16164626869")
"""A write of os.echo, `{d: "hi"}`; its CRC is 0x9b0a (Zephyr `serial_util.c`'s polynomial)."""


@pytest.mark.parametrize(
    ("data", "coded"),
    [
        ("", "01"),
        ("00", "0101"),
        ("0000", "010101"),
        ("11220033", "0311220233"),
        ("11223344", "0511223344"),
        ("11000000", "0211010101"),
        ("01" * 253, "fe" + "01" * 253),
        ("01" * 254, "ff" + "01" * 254 + "01"),
        ("01" * 254 + "00", "ff" + "01" * 254 + "0101"),
        ("01" * 255, "ff" + "01" * 254 + "0201"),
        ("00" + "01" * 254, "01ff" + "01" * 254 + "01"),
    ],
)
def test_examples(data: str, coded: str):
    assert encode(bytes.fromhex(data)).hex() == coded
    assert decode(bytes.fromhex(coded)) == bytes.fromhex(data)


def test_a_full_block_at_the_end_may_be_followed_by_nothing():
    """Encoders differ there; both forms mean the same."""
    assert decode(b"\xff" + b"\x01" * 254) == b"\x01" * 254


@pytest.mark.parametrize("coded", ["00", "05112233", "0200", "ff01", "0311"])
def test_what_is_no_coding(coded: str):
    assert decode(bytes.fromhex(coded)) is None or b"\x00" in bytes.fromhex(coded)[1:]


@given(st.binary(max_size=1200))
def test_there_and_back(data: bytes):
    coded = encode(data)
    assert b"\x00" not in coded
    assert decode(coded) == data
    assert len(coded) <= len(data) + len(data) // 254 + 1


@given(st.lists(st.binary(min_size=8, max_size=700), min_size=1, max_size=4), st.data())
def test_however_it_is_cut(packets: list[bytes], data: st.DataObject):
    stream = b"".join(piece for packet in packets for piece in pieces(packet))
    receiver = CobsReceiver(1000)
    found: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += receiver.receive(stream[:size], 0).packets
        stream = stream[size:]
    assert found == packets
    assert not receiver.pending


def test_noise_costs_one_frame_and_no_more():
    (frame,) = pieces(PACKET)
    received = CobsReceiver(1000).receive(b"noise" + frame + frame, 0)
    assert received.packets == (PACKET,)
    assert len(received.dropped) == 1


@pytest.mark.parametrize("at", range(len(pieces(PACKET)[0]) - 1))
def test_a_changed_byte_is_found(at: int):
    (frame,) = pieces(PACKET)
    changed = frame[:at] + bytes([frame[at] ^ 0x40]) + frame[at + 1 :]
    received = CobsReceiver(1000).receive(changed, 0)
    assert received.packets == ()
    assert received.dropped


@pytest.mark.parametrize(("size", "taken"), [(99, True), (100, True), (101, False), (500, False)])
def test_the_limit(size: int, *, taken: bool):
    for header in (bytes(range(1, 9)), bytes(8), b"\x0a\x00\x01\xf4\x00\x01\x07\x01"):
        packet = header + b"x" * (size - 8)
        received = CobsReceiver(100).receive(pieces(packet)[0], 0)
        assert bool(received.packets) is taken
        assert taken or received.dropped[0].header == header


def test_an_unfinished_frame_is_forgotten_in_time():
    receiver = CobsReceiver(1000, limit_ms=100)
    (frame,) = pieces(PACKET)
    receiver.receive(frame[:5], 0)
    assert receiver.pending
    assert receiver.receive(frame, 101).packets == (PACKET,)


def test_the_rest_of_a_dropped_frame_is_skipped():
    receiver = CobsReceiver(1000)
    (frame,) = pieces(PACKET)
    receiver.receive(frame[:5], 0)
    receiver.drop()
    assert receiver.receive(frame[5:] + frame, 0).packets == (PACKET,)


@given(st.binary(max_size=400))
def test_nothing_raises(data: bytes):
    CobsReceiver(100).receive(data, 0)
