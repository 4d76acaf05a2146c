"""Packets however cut: the same packets come out, nothing is taken for a packet that was not one."""

import binascii
from collections.abc import Callable, Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.smp.framing import NOTHING, PIECE_LIMIT_MS, Receiver, ble, console, udp
from keyswitch.smp.framing.console import ConsoleReceiver
from keyswitch.smp.framing.raw import StreamReceiver
from keyswitch.smp.framing.udp import UdpReceiver

ECHO = bytes.fromhex("0a00000600004200a16164626869")
LONG = bytes.fromhex("0a00012000010101") + bytes(range(256)) + bytes(32)
LINE = bytes.fromhex("0609") + b"ABAKAAAGAABCAKFhZGJoaZsK\n"

STREAMS: list[tuple[str, Callable[[int], Receiver], Callable[[bytes], Iterable[bytes]]]] = [
    ("raw", StreamReceiver, lambda packet: [packet]),
    ("ble", ble.BleReceiver, lambda packet: ble.pieces(packet, 20)),
    ("console", ConsoleReceiver, console.pieces),
]
streams = pytest.mark.parametrize(("receiver", "pieces"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS])


def feed(receiver: Receiver, pieces: Iterable[bytes], now_ms: int = 0) -> list[bytes]:
    return [packet for piece in pieces for packet in receiver.receive(piece, now_ms).packets]


@streams
def test_byte_by_byte(receiver, pieces):
    stream = b"".join([*pieces(ECHO), *pieces(LONG), *pieces(ECHO)])
    assert feed(receiver(1024), [stream[i : i + 1] for i in range(len(stream))]) == [ECHO, LONG, ECHO]


@streams
def test_every_cut_in_two(receiver, pieces):
    stream = b"".join([*pieces(ECHO), *pieces(LONG)])
    for cut in range(len(stream) + 1):
        taken = receiver(1024)
        assert feed(taken, [stream[:cut], stream[cut:]]) == [ECHO, LONG], cut
        assert not taken.pending


@streams
@given(data=st.data())
def test_any_cut(receiver, pieces, data):
    packets = data.draw(st.lists(st.sampled_from([ECHO, LONG, LONG[:2] + b"\x00\x00" + LONG[4:8]]), max_size=4))
    stream = b"".join(piece for packet in packets for piece in pieces(packet))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    edges = [0, *cuts, len(stream)]
    assert feed(receiver(1024), [stream[a:b] for a, b in pairwise(edges)]) == packets


@streams
@pytest.mark.parametrize(("room", "fits"), [(-1, False), (0, True), (1, True)])
def test_the_buffer_bounds_a_packet(receiver, pieces, room: int, fits):
    small = receiver(len(LONG) + room)
    dropped = []
    packets = []
    for piece in [*pieces(LONG), *pieces(ECHO)]:
        got = small.receive(piece, 0)
        packets += got.packets
        dropped += got.dropped
    assert packets == ([LONG, ECHO] if fits else [ECHO]), "the next packet works"
    assert [drop.header for drop in dropped] == ([] if fits else [LONG[:8]])


@streams
@pytest.mark.parametrize(
    ("pause_ms", "whole"), [(PIECE_LIMIT_MS - 1, True), (PIECE_LIMIT_MS, True), (PIECE_LIMIT_MS + 1, False)]
)
def test_a_pause_ends_a_packet(receiver, pieces, pause_ms: int, whole):
    taken = receiver(1024)
    first, *rest = pieces(LONG) if len(pieces(LONG)) > 1 else (LONG[:20], LONG[20:])
    taken.receive(first, 1_000)
    assert taken.pending
    if whole:
        assert feed(taken, rest, 1_000 + pause_ms) == [LONG]
    else:
        got = taken.receive(pieces(ECHO)[0], 1_000 + pause_ms)
        assert got.packets == (ECHO,)
        assert len(got.dropped) == 1


@streams
def test_after_a_drop_the_rest_is_skipped(receiver, pieces):
    stream = b"".join(pieces(LONG))
    for cut in range(1, len(stream)):
        taken = receiver(1024)
        taken.receive(stream[:cut], 0)
        taken.drop()
        assert feed(taken, [stream[cut:], *pieces(ECHO)]) == [ECHO], cut


@streams
@given(data=st.lists(st.binary(max_size=200), max_size=5))
def test_garbage_never_raises_and_never_grows(receiver, pieces, data):
    taken = receiver(64)
    for piece in data:
        assert all(len(packet) <= 64 for packet in taken.receive(piece, 0).packets)
    taken.receive(b"", PIECE_LIMIT_MS + 1)
    assert taken.receive(b"", PIECE_LIMIT_MS + 1) is NOTHING


@pytest.mark.parametrize(("max_value", "sizes"), [(20, [14]), (14, [14]), (13, [13, 1]), (8, [8, 6])])
def test_ble_pieces(max_value: int, sizes: list[int]):
    pieces = ble.pieces(ECHO, max_value)
    assert [len(piece) for piece in pieces] == sizes
    assert b"".join(pieces) == ECHO


def test_console_vector():
    assert console.pieces(ECHO) == [LINE]
    assert console.crc16(b"123456789") == 0x31C3
    assert console.crc16(ECHO) == 0x9B0A


def test_console_lines_are_short_and_keep_the_crc_together():
    for size in range(8, 400):
        packet = b"\x0a\x00" + (size - 8).to_bytes(2, "big") + bytes(size - 4)
        lines = console.pieces(packet)
        assert all(len(line) <= 127 and line.endswith(b"\n") for line in lines)
        assert [line[:2] for line in lines] == [b"\x06\x09"] + [b"\x04\x14"] * (len(lines) - 1)
        last = binascii.a2b_base64(lines[-1][2:])
        assert len(last) >= 2
        assert last.endswith(console.crc16(packet).to_bytes(2, "big"))
        assert feed(ConsoleReceiver(1024), lines) == [packet]


@pytest.mark.parametrize(
    "noise", [b"*** Booting ***\r\n", b"uart:~$ ", b"\x06 \x04\n", b"\n", b"\x04\x14AAAA\n"], ids=repr
)
def test_console_text_between_frames(noise: bytes):
    first, second = console.pieces(LONG[:2] + b"\x00\x80" + LONG[4:136])
    receiver = ConsoleReceiver(1024)
    got = feed(receiver, [noise, first])
    if not noise.startswith(b"\x04\x14"):
        got += feed(receiver, [noise])
    assert got + feed(receiver, [second.replace(b"\n", b"\r\n"), noise]) == [LONG[:2] + b"\x00\x80" + LONG[4:136]]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LINE[:-2] + b"L\n", "CRC"),
        (LINE.replace(b"=", b""), None),
        (LINE[:10] + b"*" + LINE[11:], "base64"),
        (LINE[:11] + b"\n", "base64"),
        (b"\x06\x09AAA=\n", "announced"),
        (b"\x06\x09\n", "announced"),
        (b"\x06\x09ABAKAAAGAABCAKFhZGJoaZsKAAAA\n", "announced"),
    ],
)
def test_console_frames_that_are_wrong(line: bytes, reason: str | None):
    receiver = ConsoleReceiver(1024)
    got = receiver.receive(line, 0)
    assert [reason in drop.reason for drop in got.dropped] == ([True] if reason else [])
    assert feed(receiver, [LINE]) == [ECHO]


def test_console_a_new_packet_gives_up_the_one_begun():
    receiver = ConsoleReceiver(1024)
    first, *_ = console.pieces(LONG)
    got = [receiver.receive(piece, 0) for piece in (first, LINE)]
    assert got[1].packets == (ECHO,)
    assert len(got[1].dropped) == 1


def test_console_text_without_end_is_not_collected():
    receiver = ConsoleReceiver(64)
    for _ in range(100):
        receiver.receive(b"x" * 1_000, 0)
    assert len(receiver._line) <= 8_192
    assert feed(receiver, [b"\n", LINE]) == [ECHO]


@pytest.mark.parametrize(
    ("size", "taken", "header"), [(7, False, b""), (8, True, b""), (64, True, b""), (65, False, LONG[:8])]
)
def test_datagrams(size: int, taken, header: bytes):
    receiver = UdpReceiver(64)
    got = receiver.receive(LONG[:size], 0)
    assert got.packets == ((LONG[:size],) if taken else ())
    assert [drop.header for drop in got.dropped] == ([] if taken else [header])
    receiver.drop()
    assert not receiver.pending
    assert udp.pieces(LONG) == [LONG]
