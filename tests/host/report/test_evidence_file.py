import hashlib
import json
import os
import stat
from pathlib import Path

import pytest

from keyswitch.errors import InputError
from keyswitch.evidence.chain import Head, check, encode, next_record
from keyswitch.files.reading import FileKind
from keyswitch.host.report.evidence_file import append, close, head_path, read_journal


def appended(path: Path, count: int = 1) -> None:
    for n in range(count):
        append(path, at=f"2026-11-22T12:00:0{n}Z", kind="update begun", body={"n": n})


def test_records_follow_each_other_over_runs(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    appended(path, 2)
    appended(path, 1)
    checked = read_journal(path)
    assert checked.ok
    assert [record.n for record in checked.records] == [1, 2, 3]


def test_a_closed_chain_goes_on_and_is_closed_again(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    states: list[bool] = []
    for _ in range(2):
        append(path, at="2026-11-22T12:00:00Z", clock="bench 3", kind="update begun", body={})
        states.append(read_journal(path).closed)
        close(path, at="2026-11-22T12:00:01Z", clock="bench 3")
        states.append(read_journal(path).closed)
    assert states == [False, True, False, True]
    assert read_journal(path).ok


def test_a_file_cut_off_is_found_and_not_continued(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    appended(path, 3)
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:2]))
    (finding,) = read_journal(path).findings
    assert finding.what == "records 3 to 3 are missing at the end: the file was cut off"
    with pytest.raises(InputError, match="cut off"):
        appended(path)
    path.write_bytes(whole)
    appended(path)


def test_a_changed_file_is_not_continued(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    appended(path, 2)
    path.write_bytes(path.read_bytes().replace(b'"n":0', b'"n":9'))
    with pytest.raises(InputError, match=r"pump\.jsonl: line 1: record 1: its hash does not fit"):
        appended(path)


class Signer:
    def __init__(self, name: str) -> None:
        self.key_id = name

    def sign(self, data: bytes) -> bytes:
        return hashlib.sha256(self.key_id.encode() + data).digest()


def crashed(path: Path, monkeypatch: pytest.MonkeyPatch, syncs: int, signer: Signer | None = None) -> None:
    """An append that ends right after its `syncs`-th write to the disk: head, its name, record, head, its name."""
    left = iter([None] * (syncs - 1))

    def fsync(descriptor: int) -> None:
        real(descriptor)
        if next(left, descriptor) is not None:
            raise KeyboardInterrupt

    real = os.fsync
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "fsync", fsync)
        append(path, at="2026-11-22T13:00:00Z", kind="update begun", body={"n": "crashed"}, signer=signer)


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize(("syncs", "kept"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 1)])
def test_a_crash_anywhere_is_no_tampering(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, syncs: int, kept: int
):
    path = tmp_path / "pump.jsonl"
    appended(path, before)
    crashed(path, monkeypatch, syncs)
    if (before, syncs) != (0, 1):  # else there is no head yet
        assert read_journal(path).ok
        assert read_journal(path).end_checked
    appended(path)
    checked = read_journal(path)
    assert checked.ok
    assert checked.head.n == before + kept + 1


def forged(path: Path, count: int = 1) -> None:
    for _ in range(count):
        record = next_record(check(path.read_bytes()).head, at="t", kind="update ended", body={"outcome": "confirmed"})
        with path.open("ab") as file:
            file.write(encode(record))


@pytest.mark.parametrize("crash", [None, 1, 3])
@pytest.mark.parametrize("count", [1, 2])
def test_a_record_that_no_run_was_about_to_write_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: int | None, count: int
):
    path = tmp_path / "pump.jsonl"
    appended(path, 2)
    if crash is not None:
        crashed(path, monkeypatch, crash)
    forged(path, count)
    before = path.read_bytes()
    assert not read_journal(path).ok
    with pytest.raises(InputError, match="which is not the end of this file"):
        appended(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("left_by", "taken_by", "taken"),
    [
        (Signer("a"), Signer("a"), "taken"),
        (Signer("a"), None, "taken"),
        (None, None, "taken"),
        (None, Signer("a"), "left"),
        (Signer("b"), Signer("a"), "left"),
    ],
)
def test_a_run_that_signs_takes_over_only_what_it_has_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left_by: Signer | None, taken_by: Signer | None, taken: str
):
    path = tmp_path / "pump.jsonl"
    appended(path)
    crashed(path, monkeypatch, 3, left_by)
    if taken == "taken":
        append(path, at="t", kind="update begun", body={}, signer=taken_by)
        assert read_journal(path).head.n == 3
    else:
        with pytest.raises(InputError, match="record 2 was left by an interrupted run and is not signed by this key"):
            append(path, at="t", kind="update begun", body={}, signer=taken_by)


def test_a_signature_that_was_taken_away_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "pump.jsonl"
    appended(path)
    crashed(path, monkeypatch, 3, Signer("a"))
    *lines, last = path.read_bytes().splitlines(keepends=True)
    bare = json.loads(last)
    del bare["sig"]
    path.write_bytes(b"".join(lines) + json.dumps(bare, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    with pytest.raises(InputError, match="not signed by this key"):
        append(path, at="t", kind="update begun", body={}, signer=Signer("a"))


def test_a_crash_within_a_record_is_said(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    appended(path, 2)
    with path.open("ab") as file:
        file.write(b'{"at":"2026')
    with pytest.raises(InputError, match="line 3: the last line is not complete"):
        appended(path)


ZEROS = b"0" * 64
NO_HEADS = (
    b"",
    b"{}",
    b"[]",
    b"\xff",
    b"[" * 100_000,
    b'{"hash":"%b","n":true,"v":1}\n' % ZEROS,
    b'{"hash":"%b","n":1,"next":5,"v":1}\n' % ZEROS,
    b'{"hash":"%b","n":1,"next":"x","v":1}\n' % ZEROS,
    b'{"hash":5,"n":1,"v":1}\n',
    b'{"hash":"\\ud800","n":1,"v":1}\n',
)


@pytest.mark.parametrize("content", NO_HEADS)
def test_a_head_that_is_none(tmp_path: Path, content: bytes):
    path = tmp_path / "pump.jsonl"
    appended(path)
    head_path(path).write_bytes(content)
    for use in (lambda: read_journal(path), lambda: appended(path)):
        with pytest.raises(InputError, match=r"pump\.jsonl\.head: (this is not a head|larger than)"):
            use()


def test_without_a_head_the_end_is_not_checked_and_the_chain_not_continued(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    appended(path, 2)
    assert read_journal(path).end_checked
    head_path(path).unlink()
    assert read_journal(path).ok
    assert not read_journal(path).end_checked
    with pytest.raises(InputError, match=r"pump\.jsonl\.head: is missing: records may have been cut off"):
        appended(path)
    assert not read_journal(path, noted=Head(n=3, hash="1" * 64)).ok


def test_a_name_is_on_the_disk_before_the_record_that_it_vouches_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        real(descriptor)
        synced.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    monkeypatch.setattr(os, "fsync", fsync)
    appended(tmp_path / "pump.jsonl")
    assert synced == ["file", "directory", "file", "file", "directory"]


@pytest.mark.parametrize("where", ["none/pump.jsonl", "."])
def test_files_that_cannot_be_used(tmp_path: Path, where: str):
    path = tmp_path / where
    for use in (lambda: read_journal(path), lambda: appended(path)):
        with pytest.raises(InputError):
            use()


def test_a_file_larger_than_evidence_can_be_is_neither_read_nor_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "pump.jsonl"
    appended(path)
    size = path.stat().st_size
    for most, taken in ((size, True), (size - 1, False)):
        monkeypatch.setattr(
            "keyswitch.host.report.evidence_file.EVIDENCE_FILE", FileKind(expected="evidence", max_size=most)
        )
        if taken:
            assert read_journal(path).ok
            continue
        for use in (lambda: read_journal(path), lambda: appended(path)):
            with pytest.raises(InputError, match=f"larger than {most} bytes"):
                use()
    assert path.stat().st_size == size
