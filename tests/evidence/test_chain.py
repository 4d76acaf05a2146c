import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import LocalError
from keyswitch.evidence.chain import (
    FIRST_PREV,
    Checked,
    Head,
    Record,
    State,
    check,
    closing_record,
    decode_head,
    encode,
    encode_head,
    is_time,
    next_record,
)
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
        (b"{}\n", "not a record of form 1 or 2"),
        (rewritten(LINES[1], v=2), "one form"),
        (rewritten(LINES[1], v=3), "not a record of form 1 or 2"),
        (rewritten(LINES[1], v=True), "not a record of form 1 or 2"),
        (rewritten(LINES[1], clock="x"), "one form"),
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


NOW = "2026-11-22T12:00:00.125+00:00"


def run_of(head: Head, *, signer: EvidenceSigner | None = None, closed: bool = True) -> list[Record]:
    """The records that one run appends."""
    found: list[Record] = []
    for kind in ("update begun", "update ended"):
        found.append(next_record(head, at=NOW, clock="bench 3", kind=kind, body={}, signer=signer))
        head = Head(n=found[-1].n, hash=found[-1].hash)
    return [*found, closing_record(head, at=NOW, clock="bench 3", signer=signer)] if closed else found


def lines_of(*records: Record) -> bytes:
    return b"".join(map(encode, records))


def test_a_record_has_a_time_that_parses_and_names_its_clock():
    (line, *_) = lines_of(*run_of(Head())).splitlines()
    values = json.loads(line)
    assert (values["v"], values["at"], values["clock"]) == (2, NOW, "bench 3")
    assert datetime.fromisoformat(values["at"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (NOW, True),
        ("2026-11-22T12:00:00Z", True),
        ("2026-11-22T12:00:00+01:00", True),
        ("2026-11-22T12:00:00", False),
        ("2026-11-22 12:00:00Z", False),
        ("2026-02-29T12:00:00Z", False),
        ("2026-11-22T24:00:01Z", False),
        (f"{NOW} by the clock of bench 3", False),
        ("\u0662026-11-22T12:00:00Z", False),
        ("", False),
    ],
)
def test_what_is_a_time(text: str, *, right: bool):
    assert is_time(text) is right
    if not right:
        with pytest.raises(LocalError):
            next_record(Head(), at=text, clock="bench 3", kind="k", body={})


def test_a_chain_without_a_closing_record_is_open_wherever_it_is_cut():
    signer, verifier = EvidenceSigner(PRIVATE), EvidenceVerifier(PUBLIC)
    first = run_of(Head(), signer=signer)
    records = [*first, *run_of(Head(n=3, hash=first[-1].hash), signer=signer)]
    states = [check(lines_of(*records[:left]), verifier=verifier).state for left in range(7)]
    assert states == [
        State.OPEN,
        State.OPEN,
        State.OPEN,
        State.VERIFIED,  # an older state of the whole file, which no file can tell of itself
        State.OPEN,
        State.OPEN,
        State.VERIFIED,
    ]


def test_an_older_state_is_told_by_a_head_that_was_noted_elsewhere():
    first = run_of(Head())
    records = [*first, *run_of(Head(n=3, hash=first[-1].hash))]
    old, new = Head(n=3, hash=records[2].hash), Head(n=6, hash=records[5].hash)
    assert check(lines_of(*records), noted=new).state is State.VERIFIED
    grown = check(lines_of(*records), noted=old)
    assert (grown.state, grown.noted) == (State.CONSISTENT, 3)
    (finding,) = check(lines_of(*first), noted=new).findings
    assert finding.what == "records 4 to 6 are missing: this is an older state of the file than the one that was noted"
    forged = [next_record(Head(), at=NOW, clock="x", kind="update begun", body={}), *records[1:]]
    again = run_of(Head(n=0, hash=FIRST_PREV), signer=EvidenceSigner(PRIVATE))
    assert check(lines_of(*forged), noted=new).state is State.CHANGED
    (finding,) = check(lines_of(*again), noted=old).findings
    assert finding.what == "record 3 is not the one that was noted: the file was written anew"
    assert check(lines_of(*records), noted=Head()).state is State.CONSISTENT
    assert check(b"", noted=Head()).state is State.OPEN


@pytest.mark.parametrize("count", [2, 4, "3", None])
def test_a_closing_record_says_how_many_records_there_are(count: object):
    records = run_of(Head(), closed=False)
    head = Head(n=2, hash=records[-1].hash)
    closing = next_record(head, at=NOW, clock="x", kind="closed", body={"records": count})
    (finding,) = check(lines_of(*records, closing)).findings
    assert finding.what == f"record 3 closes the chain with another number of records: {count}"


def test_unsigned_is_never_verified_by_itself_and_signed_only_with_the_key():
    signer, verifier = EvidenceSigner(PRIVATE), EvidenceVerifier(PUBLIC)
    assert check(lines_of(*run_of(Head()))).state is State.CONSISTENT
    signed = lines_of(*run_of(Head(), signer=signer))
    assert check(signed).state is State.CONSISTENT
    assert check(signed, verifier=verifier).state is State.VERIFIED
    partly = run_of(Head(), closed=False, signer=signer)
    closing = closing_record(Head(n=2, hash=partly[-1].hash), at=NOW, clock="x")
    assert check(lines_of(*partly, closing), verifier=verifier).state is State.CHANGED


EARLIER_FORM = (
    b'{"at":"2026-11-22T12:00:00.000+00:00 by the clock of bench 3","body":{"n":0},"hash":"'
    b'eb67a6e389f94c18ce6dba7eaa3c01b6d41f43522a844b34bd59fff0c8f27afa","kind":"update begun",'
    b'"n":1,"prev":"' + FIRST_PREV.encode() + b'","v":1}\n'
)
"""As the version before this one wrote it."""


def test_a_file_of_the_earlier_form_is_read_as_what_it_is():
    checked = check(EARLIER_FORM)
    assert (checked.ok, checked.forms, checked.closed, checked.state) == (True, (1,), False, State.OPEN)
    assert checked.records[0].clock == ""
    goes_on = run_of(checked.head)
    both = check(EARLIER_FORM + lines_of(*goes_on))
    assert (both.forms, both.state) == ((1, 2), State.CONSISTENT)


def test_the_earlier_form_is_not_written_behind_the_newer_one():
    first = run_of(Head())
    late = next_record(Head(n=3, hash=first[-1].hash), at="then", kind="closed", body={"records": 4})
    (finding,) = check(lines_of(*first, late)).findings
    assert finding.what == "record 4 has form 1 behind form 2: no version of the program does that"


def test_a_time_that_is_none_is_named():
    record = run_of(Head())[0]
    line = encode(record).replace(NOW.encode(), b"noon")
    (finding,) = check(line).findings
    assert finding.what == "record 1: its time is not one in ISO 8601: the record was changed"
