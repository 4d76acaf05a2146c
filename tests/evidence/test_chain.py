import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.evidence.chain import FIRST_PREV, Checked, Head, check, decode_head, encode, encode_head, next_record
from keyswitch.evidence.signing import EvidenceSigner, EvidenceVerifier, key_id

PRIVATE = bytes(range(32))
PUBLIC = bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")
"""Of PRIVATE (RFC 8032 5.1.5), computed once."""


def chain(count: int = 4, signer: EvidenceSigner | None = None) -> list[bytes]:
    head = Head()
    lines: list[bytes] = []
    for n in range(count):
        record = next_record(
            head, at=f"2026-11-22T12:00:0{n}Z", kind="update", body={"outcome": "confirmed", "n": n}, signer=signer
        )
        lines.append(encode(record))
        head = Head(n=record.n, hash=record.hash)
    return lines


LINES = chain()
DATA = b"".join(LINES)


def head_of(data: bytes) -> Head:
    return check(data).head


def what(checked: Checked) -> list[tuple[int, str]]:
    return [(finding.line, finding.what) for finding in checked.findings]


def test_a_whole_chain():
    checked = check(DATA)
    assert checked.ok
    assert [record.n for record in checked.records] == [1, 2, 3, 4]
    assert checked.records[0].prev == FIRST_PREV
    assert checked.records[2].body == {"outcome": "confirmed", "n": 2}
    assert check(DATA, expected=checked.head).ok


def sealed(body: str) -> bytes:
    """A record whose hash fits a body that our encoder would not write."""
    open_ = f'"at":"t","body":{body},"kind":"k","n":1,"prev":"{FIRST_PREV}","v":1}}'
    digest = hashlib.sha256(b"keyswitch evidence 1\n{" + open_.encode()).hexdigest()
    at, rest = open_.split(',"kind"', 1)
    return ("{" + at + f',"hash":"{digest}","kind"' + rest + "\n").encode()


def test_a_record_sealed_by_hand_is_one():
    assert check(sealed('{"a":[1]}')).ok


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"a":NaN}', "not in its one form"),
        ('{"a":-Infinity}', "not in its one form"),
        ('{"a":1e999}', "not in its one form"),
        ('{"a":"\\ud800"}', "not in its one form"),
        ('{"a":' + "9" * 5_000 + "}", "no JSON"),
        ('{"a":' + "[" * 30 + "]" * 30 + "}", ""),
        ('{"a":' + "[" * 31 + "]" * 31 + "}", "nested more than 32 deep"),
        ('{"a":' + "[" * 900 + "]" * 900 + "}", "nested more than 32 deep"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "no JSON"),
    ],
)
def test_what_json_readers_bear_and_records_do_not_hold(body: str, said: str):
    findings = check(sealed(body)).findings
    assert [finding.what.startswith(said) for finding in findings] == [True] * bool(said)


def test_an_empty_file_is_an_empty_chain():
    assert check(b"") == Checked(records=(), findings=(), head=Head())


@pytest.mark.parametrize("bit", [0x01, 0x20])
def test_no_byte_can_be_changed(bit: int):
    head = head_of(DATA)
    for at in range(len(DATA)):
        changed = DATA[:at] + bytes([DATA[at] ^ bit]) + DATA[at + 1 :]
        assert not check(changed, expected=head).ok, at


def test_no_byte_can_be_cut_off_the_end():
    head = head_of(DATA)
    for left in range(len(DATA)):
        assert not check(DATA[:left], expected=head).ok, left


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_whole_records_cut_off_are_found_by_the_head_alone(left: int):
    cut = b"".join(LINES[:left])
    assert check(cut).ok
    (finding,) = check(cut, expected=head_of(DATA)).findings
    assert finding.what == f"records {left + 1} to 4 are missing at the end: the file was cut off"


@pytest.mark.parametrize(
    ("order", "lines"),
    [
        ([1, 0, 2, 3], {1, 2, 3}),
        ([0, 2, 1, 3], {2, 3, 4}),
        ([0, 1, 3], {3}),
        ([1, 2, 3], {1}),
        ([0, 1, 1, 2, 3], {3}),
        ([0, 0, 1, 2, 3], {2}),
    ],
)
def test_records_moved_missing_or_repeated_are_named(order: list[int], lines: set[int]):
    checked = check(b"".join(LINES[n] for n in order))
    assert {finding.line for finding in checked.findings} == lines
    assert all("missing, repeated or moved" in finding.what for finding in checked.findings)


def test_a_record_of_another_chain_is_named():
    other = encode(
        next_record(Head(n=1, hash="1" * 64), at="2026-11-22T12:00:01Z", kind="update", body={"outcome": "confirmed"})
    )
    checked = check(LINES[0] + other + b"".join(LINES[2:]))
    assert [line for line, _ in what(checked)] == [2, 3]
    assert what(checked)[0][1] == "record 2 does not follow the one before it: one of the two was exchanged"


def rewritten(line: bytes, **changes: Any) -> bytes:
    return json.dumps({**json.loads(line), **changes}, sort_keys=True, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"\n", "no JSON"),
        (b"[]\n", "no record"),
        (b"{}\n", "no record of version 1"),
        (rewritten(LINES[1], v=2), "no record of version 1"),
        (rewritten(LINES[1], n="2"), "wrong kind"),
        (rewritten(LINES[1], n=True), "wrong kind"),
        (rewritten(LINES[1], body=[]), "wrong kind"),
        (rewritten(LINES[1], sig=7), "wrong kind"),
        (rewritten(LINES[1], more="x"), "no record has"),
        (rewritten(LINES[1], kind="other"), "record 2: its hash does not fit"),
        (LINES[1].replace(b",", b", ", 1), "one form"),
        (b"[" * 100_000 + b"\n", "no JSON"),
    ],
)
def test_what_is_no_record_is_named_and_the_rest_still_read(line: bytes, said: str):
    checked = check(LINES[0] + line + b"".join(LINES[2:]))
    assert [finding.line for finding in checked.findings] == [2]
    assert said in checked.findings[0].what
    assert len(checked.records) == 3


def test_a_chain_rewritten_from_one_record_on_is_found_by_its_head():
    forged = [json.loads(line) for line in LINES]
    head, lines = Head(), list[bytes]()
    for item in forged:
        record = next_record(head, at=item["at"], kind=item["kind"], body={**item["body"], "outcome": "refused"})
        lines.append(encode(record))
        head = Head(n=record.n, hash=record.hash)
    assert check(b"".join(lines)).ok
    (finding,) = check(b"".join(lines), expected=head_of(DATA)).findings
    assert "not the end of this file" in finding.what


def test_signatures():
    signer, verifier = EvidenceSigner(PRIVATE), EvidenceVerifier(PUBLIC)
    assert signer.key_id == verifier.key_id == key_id(PUBLIC)
    signed = b"".join(chain(signer=signer))
    checked = check(signed, verifier=verifier)
    assert checked.ok
    assert checked.signed == 4
    assert check(signed).ok


def test_what_is_wrong_with_a_signature_is_named():
    signer, verifier = EvidenceSigner(PRIVATE), EvidenceVerifier(PUBLIC)
    other = EvidenceVerifier(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
    signed = chain(signer=signer)
    assert "not signed" in check(DATA, verifier=verifier).findings[0].what
    assert "another key" in check(b"".join(signed), verifier=other).findings[0].what
    item = json.loads(signed[0])
    for sig in ("00" * 64, item["sig"][:-2], "zz"):
        changed = rewritten(signed[0], sig=sig)
        assert what(check(changed, verifier=verifier)) == [(1, "record 1: its signature is wrong")]


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"7", b"[]", b'{"n":1}', b"\xff", encode_head(Head())[:-1], b" " + encode_head(Head())]
)
def test_what_is_no_head(data: bytes):
    assert decode_head(data) is None


def test_heads_are_read_back():
    head = head_of(DATA)
    assert decode_head(encode_head(head)) == head


@given(st.binary(max_size=300))
def test_no_bytes_make_a_traceback(data: bytes):
    checked = check(data)
    assert checked.ok == (data == b"")
