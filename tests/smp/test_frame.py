"""Frames against the bytes that a real Zephyr server and its clients exchange."""

import pytest

from keyswitch.errors import LocalError, RemoteError
from keyswitch.smp.frame import Frame, answer, request
from keyswitch.smp.header import Header, Op, SmpVersion

ECHO = bytes.fromhex("0a0000060000 4200 a16164626869")


def test_request_is_what_clients_send():
    frame = request(op=Op.WRITE, group=0, command=0, sequence=0x42, body={"d": "hi"})
    assert frame.encode() == ECHO
    assert Frame.decode(ECHO) == frame
    assert frame.body() == {"d": "hi"}


def test_answer_is_what_zephyr_sends():
    frame = answer(Header.decode(ECHO), {"r": "hi"})
    assert frame.encode() == bytes.fromhex("0b00000700004200 bf6172626869ff")
    assert answer(Header.decode(ECHO), {}).payload == bytes.fromhex("bfff")


def test_version_1_request_without_payload():
    frame = request(op=Op.READ, group=0, command=6, sequence=1, version=SmpVersion.V1)
    assert frame.encode() == bytes.fromhex("0000000000000106")


def test_sequence_wraps():
    assert request(op=Op.READ, group=0, command=6, sequence=256).header.sequence == 0


@pytest.mark.parametrize("packet", [ECHO[:size] for size in range(len(ECHO))] + [ECHO + b"\x00"])
def test_a_cut_or_prolonged_packet_is_no_frame(packet: bytes):
    with pytest.raises(RemoteError):
        Frame.decode(packet)


def test_a_frame_that_lies_about_its_length_cannot_be_made():
    with pytest.raises(LocalError):
        Frame(header=Header.decode(ECHO), payload=b"")


def test_the_length_field_bounds_a_request():
    with pytest.raises(LocalError, match="65535"):
        request(op=Op.WRITE, group=0, command=0, sequence=0, body={"d": "x" * 65_536})
