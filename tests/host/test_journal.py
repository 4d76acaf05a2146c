from pathlib import Path

import pytest

from keyswitch.errors import InputError
from keyswitch.evidence.chain import Head
from keyswitch.host.journal import append, head_path, read_journal


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


def test_a_crash_between_record_and_head_is_no_tampering(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    appended(path, 2)
    head = head_path(path).read_bytes()
    appended(path)
    head_path(path).write_bytes(head)
    appended(path)
    checked = read_journal(path)
    assert checked.ok
    assert checked.head.n == 4


def test_a_crash_within_a_record_is_said(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    appended(path, 2)
    with path.open("ab") as file:
        file.write(b'{"at":"2026')
    with pytest.raises(InputError, match="line 3: the last line is not complete"):
        appended(path)


def test_a_head_that_is_none(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    appended(path)
    head_path(path).write_bytes(b"{}")
    for use in (lambda: read_journal(path), lambda: appended(path)):
        with pytest.raises(InputError, match=r"pump\.jsonl\.head: this is no head"):
            use()


def test_without_a_head_the_end_is_taken_as_it_is(tmp_path: Path):
    path = tmp_path / "pump.jsonl"
    appended(path, 2)
    head_path(path).unlink()
    assert read_journal(path).ok
    assert not read_journal(path, expected=Head(n=3, hash="1" * 64)).ok


@pytest.mark.parametrize("where", ["none/pump.jsonl", "."])
def test_files_that_cannot_be_used(tmp_path: Path, where: str):
    path = tmp_path / where
    for use in (lambda: read_journal(path), lambda: appended(path)):
        with pytest.raises(InputError):
            use()
