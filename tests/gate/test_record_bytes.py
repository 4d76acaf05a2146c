"""The session record's bytes: one form for each record, and nothing else is read."""

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import LocalError
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.record_bytes import MAX_TIME_MS, from_bytes, to_bytes
from keyswitch.policy.enums import ProofKind

PLAIN = SessionRecord(policy=bytes(range(32)), mode="service", proof=None)
FULL = SessionRecord(
    policy=b"\x77" * 32,
    mode="a" * 32,
    proof=ProofKind.PERMIT,
    entry=b"12345678",
    images=frozenset({b"\x11" * 32, b"\x22" * 64}),
    expected=((0, b"\x22" * 64),),
    ending=True,
    token=b"abcd",
    lease_ms=0,
    lease_max_ms=1,
    timeout_ms=MAX_TIME_MS,
    idle_ms=2,
    trial_ms=3,
)
TIME = st.none() | st.integers(0, MAX_TIME_MS)
HASH = st.binary(min_size=32, max_size=32) | st.binary(min_size=64, max_size=64)
EXPECTED = st.dictionaries(st.integers(0, 255), HASH, max_size=3).map(lambda found: tuple(sorted(found.items())))
RECORDS = st.builds(
    SessionRecord,
    policy=st.binary(min_size=32, max_size=32),
    mode=st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True),
    proof=st.sampled_from((None, *ProofKind)),
    entry=st.just(b"") | st.binary(min_size=8, max_size=8),
    images=st.none() | st.frozensets(HASH, max_size=4),
    expected=EXPECTED,
    ending=st.booleans(),
    token=st.just(b"") | st.binary(min_size=4, max_size=4),
    lease_ms=TIME,
    lease_max_ms=TIME,
    timeout_ms=TIME,
    idle_ms=TIME,
    trial_ms=TIME,
)


def test_the_plain_one_byte_by_byte() -> None:
    head = b"\x02\x00\x00\x00" + bytes(range(32)) + b"\x07service"
    assert to_bytes(PLAIN) == head + zlib.crc32(head).to_bytes(4, "little")


def test_the_full_one_byte_by_byte() -> None:
    head = b"".join(
        (
            b"\x02\x03\xff\x03" + b"\x77" * 32 + b"\x20" + b"a" * 32 + b"12345678" + b"abcd",
            b"\x02\x20" + b"\x11" * 32 + b"\x40" + b"\x22" * 64,
            b"\x40" + b"\x22" * 64,
            b"".join(each.to_bytes(4, "little") for each in (0, 1, MAX_TIME_MS, 2, 3)),
        )
    )
    assert to_bytes(FULL) == head + zlib.crc32(head).to_bytes(4, "little")


def test_the_images_of_other_pairs_stand_behind_what_a_record_of_one_has() -> None:
    one, several = (
        to_bytes(FULL),
        to_bytes(replace(FULL, expected=(*FULL.expected, (1, b"\x33" * 32), (3, b"\x44" * 64)))),
    )
    body = b"\x02\x03\xff\x07" + one[4:-4] + b"\x02" + b"\x01\x20" + b"\x33" * 32 + b"\x03\x40" + b"\x44" * 64
    assert several == body + zlib.crc32(body).to_bytes(4, "little")


def test_another_pairs_image_alone_is_not_taken_for_the_first_ones() -> None:
    record = replace(PLAIN, expected=((1, b"\x33" * 32),))
    head = b"\x02\x00\x00\x04" + bytes(range(32)) + b"\x07service" + b"\x01\x01\x20" + b"\x33" * 32
    assert to_bytes(record) == head + zlib.crc32(head).to_bytes(4, "little")


@pytest.mark.parametrize(
    "others", [b"\0", b"\x01\x00\x20" + b"3" * 32, b"\x01\x01\x21" + b"3" * 33, b"\x02\x01\x20" + b"3" * 32]
)
def test_others_that_are_none_are_worthless(others: bytes) -> None:
    body = b"\x02\x00\x00\x04" + bytes(range(32)) + b"\x07service" + others
    assert from_bytes(body + zlib.crc32(body).to_bytes(4, "little")) is None


@given(RECORDS)
def test_what_is_written_is_read(record: SessionRecord) -> None:
    assert from_bytes(to_bytes(record)) == record


@given(RECORDS, st.data())
def test_what_is_read_has_no_other_form(record: SessionRecord, data: st.DataObject) -> None:
    """Change one byte, and make the checksum right again: it is worthless, or another record with just these bytes."""
    body = bytearray(to_bytes(record)[:-4])
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    changed = bytes(body) + zlib.crc32(body).to_bytes(4, "little")
    found = from_bytes(changed)
    assert found is None or to_bytes(found) == changed


@pytest.mark.parametrize("record", [PLAIN, FULL, replace(PLAIN, expected=((1, b"\x33" * 32), (2, b"\x44" * 32)))])
def test_every_bit_and_every_length_counts(record: SessionRecord) -> None:
    data = to_bytes(record)
    for size in range(len(data)):
        assert from_bytes(data[:size]) is None
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        assert from_bytes(bytes(flipped)) is None
    assert from_bytes(data + b"\0") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"policy": b"short"},
        {"mode": ""},
        {"mode": "Upper"},
        {"mode": "a" * 33},
        {"entry": b"short"},
        {"token": b"12345"},
        {"expected": ((0, b"\x11" * 33),)},
        {"expected": ((1, b"\x11" * 33),)},
        {"expected": ((256, b"\x11" * 32),)},
        {"expected": ((-1, b"\x11" * 32),)},
        {"expected": ((1, b"\x11" * 32), (0, b"\x22" * 32))},
        {"expected": ((1, b"\x11" * 32), (1, b"\x22" * 32))},
        {"images": frozenset({b""})},
        {"lease_ms": -1},
        {"trial_ms": MAX_TIME_MS + 1},
    ],
)
def test_what_has_no_form_is_not_written(wrong: dict[str, object]) -> None:
    with pytest.raises(LocalError, match="no form"):
        to_bytes(replace(PLAIN, **wrong))
