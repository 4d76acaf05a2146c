"""Packets in words."""

import pytest

from keyswitch.audit.report.packets import packet_words
from keyswitch.smp import cbor
from keyswitch.smp.header import Header


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("> 0a00000100010105a0", "> write image.erase {}"),
        ("< 0b00000500010105a16272630b", "< answer image.erase {rc: 11}"),
        ("> 0200000100010105a0", "> write image.erase {}, version bits 0"),
        ("> 0e00000100010105a0", "> operation 6 image.erase {}"),
        ("> 0a0000010001010500a0", "> 10 bytes: CBOR: a map was expected, not int"),
        ("> 0a00", "> 2 bytes: SMP header: 2 bytes, 8 needed"),
        ("> 0a00000100010105a00a00000100010105a0", "> write image.erase {} and 9 bytes behind it"),
    ],
)
def test_a_packet_is_told(line: str, words: str) -> None:
    assert packet_words(line) == words


def test_long_bytes_and_hostile_text_are_shortened_and_harmless() -> None:
    payload = cbor.dumps({"data": bytes(300), "rsn": "\x1b[2J" + "x" * 400})
    header = Header(op=3, length=len(payload), group=1, sequence=1, command=5)
    told = packet_words(f"< {(header.encode() + payload).hex()}")
    assert "0000000000000000… (300 bytes)" in told
    assert "\x1b" not in told
    assert len(told) < 200
