"""The event log: whole after every death, continued from file to file, never larger than it may be."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keyswitch.device.storage import event_log
from keyswitch.device.storage.event_log import CURRENT, KEEP_FILES, EventLog, WallClock, read_log
from keyswitch.device.storage.state_dir import StateDir
from keyswitch.errors import InputError
from keyswitch.evidence.chain import EARLIER, VERSION, Checked, Head, State, decode_head, encode_head

CLOCK = WallClock(owner="a wall clock", now_s=lambda: 1_800_000_000.5)
SMALL = 900
"""Bytes: a file holds three or four records."""


@contextmanager
def opened(path: Path, *, clock: WallClock | None = CLOCK, max_bytes: int = SMALL) -> Iterator[EventLog]:
    with StateDir.open(path) as state:
        log = EventLog(state, clock=clock, failed=pytest.fail, max_bytes=max_bytes)
        yield log
        log.close()


def append(path: Path, *, count: int = 1, max_bytes: int = SMALL) -> None:
    with opened(path, max_bytes=max_bytes) as log:
        for number in range(count):
            log.append("left", {"number": number}, 1_000 + number)


def whole(path: Path) -> Checked:
    checked = read_log(path)
    assert checked.findings == ()
    assert checked.end_checked
    return checked


def test_a_record_says_when_by_whose_clock_in_which_boot_and_how_long_after_it(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.booted(500)
        log.append("left", {"cause": "request"}, 1_700)
    record = whole(tmp_path).records[-1]
    assert (record.kind, record.at) == ("left", "2027-01-15T08:00:00.500Z")
    assert (record.clock, record.body) == ("a wall clock", {"cause": "request", "boot": 1, "up_ms": 1_200})


def test_without_a_clock_the_time_is_that_since_the_boot(tmp_path: Path) -> None:
    with opened(tmp_path, clock=None) as log:
        log.booted(0)
        log.append("left", {}, 42)
    record = whole(tmp_path).records[-1]
    assert (record.at, record.body) == ("boot 1, 42 ms", {"boot": 1, "up_ms": 42})


def test_an_orderly_end_closes_the_log_and_the_next_life_opens_it_again(tmp_path: Path) -> None:
    states: list[State] = []
    for boot in (1, 2):
        with opened(tmp_path, max_bytes=100_000) as log:
            log.booted(0)
            log.append("boot", {}, 0)
            states.append(whole(tmp_path).state)
            log.end(7)
        states.append(whole(tmp_path).state)
        assert log.boot == boot
    assert states == [State.OPEN, State.CONSISTENT] * 2
    with opened(tmp_path, clock=None, max_bytes=100_000) as log:
        log.end(0)
    assert log.boot == 2
    checked = whole(tmp_path)
    assert (checked.state, checked.forms) == (State.OPEN, (EARLIER, VERSION))
    assert checked.records[-1].kind == "log-continued"


def test_boots_are_counted_over_every_life_and_every_file(tmp_path: Path) -> None:
    for boot in range(1, 8):
        with opened(tmp_path) as log:
            log.booted(0)
            assert log.boot == boot
            log.append("boot", {}, 0)
    assert (tmp_path / "events.000001.jsonl").exists()
    assert [each.body["boot"] for each in whole(tmp_path).records if each.kind == "boot"] == list(range(1, 8))


@pytest.mark.parametrize("records", range(9))
def test_files_follow_each_other_wherever_one_is_full(tmp_path: Path, records: int) -> None:
    append(tmp_path, count=records)
    kept = [each.body["number"] for each in whole(tmp_path).records if each.kind == "left"]
    assert kept == list(range(records))


def test_the_log_is_never_larger_than_so_many_files(tmp_path: Path) -> None:
    append(tmp_path, count=60)
    files = sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".jsonl")
    assert len(files) == KEEP_FILES
    assert all(path.stat().st_size < 2 * SMALL for path in tmp_path.glob("*.jsonl"))
    assert len(list(tmp_path.glob("*.head"))) == KEEP_FILES
    first = whole(tmp_path).records[0]
    assert first.kind == event_log.CONTINUED
    assert first.body["file"] < files[0], "says after what it begins"


def test_a_file_taken_out_between_two_others_is_found(tmp_path: Path) -> None:
    append(tmp_path, count=12)
    (tmp_path / "events.000002.jsonl").unlink()
    (tmp_path / "events.000002.jsonl.head").unlink()
    (finding,) = read_log(tmp_path).findings
    assert finding.what.startswith("events.000003.jsonl: follows record")
    assert "a file is missing or exchanged" in finding.what


def test_a_changed_record_is_found_in_the_file_that_it_is_in(tmp_path: Path) -> None:
    append(tmp_path, count=6)
    file = tmp_path / "events.000001.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"number":1', b'"number":7'))
    assert any(each.what.startswith("events.000001.jsonl: record 3") for each in read_log(tmp_path).findings)


def damaged(path: Path, how: str) -> None:
    file, head = path / CURRENT, path / f"{CURRENT}.head"
    content = file.read_bytes()
    match how:
        case "cut within a record":
            file.write_bytes(content[:-5])
        case "cut after a record":
            file.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
        case "changed":
            file.write_bytes(content.replace(b'"number":0', b'"number":9'))
        case "emptied":
            file.write_bytes(b"")
        case "head missing":
            head.unlink()
        case "head damaged":
            head.write_bytes(b"{}")
        case _:
            head.write_bytes(encode_head(Head(n=1, hash="f" * 64)))


@pytest.mark.parametrize(
    "how",
    ["cut within a record", "cut after a record", "changed", "emptied", "head missing", "head damaged", "another head"],
)
def test_what_is_not_whole_is_kept_as_it_is_and_said_where_the_next_file_begins(tmp_path: Path, how: str) -> None:
    append(tmp_path, count=2, max_bytes=10_000)
    damaged(tmp_path, how)
    before = (tmp_path / CURRENT).read_bytes()
    append(tmp_path, max_bytes=10_000)
    assert (tmp_path / "events.000001.jsonl").read_bytes() == before
    first = (tmp_path / CURRENT).read_bytes().splitlines()[0]
    assert b'"kind":"log-damaged"' in first
    assert b'"what":' in first
    records = read_log(tmp_path).records
    assert records[-1].kind == "left"


@pytest.mark.parametrize("behind", [1, 2, 3])
def test_a_head_that_a_power_cut_left_behind_is_mended_and_said(tmp_path: Path, behind: int) -> None:
    append(tmp_path, count=3, max_bytes=10_000)
    lines = whole(tmp_path).records
    noted = Head(n=len(lines) - behind, hash=lines[-behind - 1].hash)
    (tmp_path / f"{CURRENT}.head").write_bytes(encode_head(noted))
    append(tmp_path, max_bytes=10_000)
    resumed = whole(tmp_path).records[len(lines)]
    assert resumed.kind == event_log.RESUMED
    assert (resumed.body["head"], resumed.body["found"]) == (noted.n, len(lines))
    assert not list(tmp_path.glob("events.0*"))


def test_a_death_between_a_files_name_and_its_heads_is_mended(tmp_path: Path) -> None:
    append(tmp_path, count=2)
    (tmp_path / CURRENT).rename(tmp_path / "events.000001.jsonl")
    append(tmp_path)
    assert [each.kind for each in whole(tmp_path).records] == [
        event_log.BEGAN, "left", "left", event_log.CONTINUED, "left",
    ]  # fmt: skip


KILLED = """
import os, pathlib, signal, sys
from keyswitch.device.storage.event_log import EventLog
from keyswitch.device.storage.state_dir import StateDir
log = EventLog(StateDir.open(pathlib.Path(sys.argv[1])), clock=None, failed=print, max_bytes=900)
real, left = os.{call}, [int(sys.argv[2])]
def killed(*arguments, **named):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **named)
os.{call} = killed
for number in range(5):
    log.append("left", {{"number": number}}, 0)
    print(number, flush=True)
"""


@pytest.mark.parametrize(("call", "at"), [(call, at) for call in ("write", "rename") for at in (1, 7, 8, 9, 10)])
def test_what_was_recorded_survives_sigkill_at_every_step(tmp_path: Path, call: str, at: int) -> None:
    command = [sys.executable, "-c", KILLED.format(call=call), str(tmp_path), str(at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    recorded = [int(line) for line in done.stdout.split()]
    append(tmp_path, max_bytes=10_000)
    kept = [each.body["number"] for each in whole(tmp_path).records if each.kind == "left"]
    assert kept[: len(recorded)] == recorded


def test_a_file_that_is_gone_but_for_its_head_is_said(tmp_path: Path) -> None:
    append(tmp_path, count=2, max_bytes=10_000)
    (tmp_path / CURRENT).unlink()
    append(tmp_path, max_bytes=10_000)
    first = (tmp_path / CURRENT).read_bytes().splitlines()[0]
    assert b'"kind":"log-damaged"' in first
    assert b"records 1 to 3 are missing" in first


def test_a_full_disk_ends_the_log_is_told_once_and_leaves_the_device_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with StateDir.open(tmp_path) as state:
        log = EventLog(state, clock=None, failed=told.append)
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            log.append("left", {}, 0)
            log.append("left", {}, 0)
        log.append("left", {}, 0)
    assert told == ["No space left on device"]


def test_a_log_behind_a_link_is_refused(tmp_path: Path) -> None:
    state, victim = tmp_path / "state", tmp_path / "victim"
    state.mkdir(0o700)
    victim.write_bytes(b"kept\n")
    (state / CURRENT).symlink_to(victim)
    with StateDir.open(state) as opened_state, pytest.raises(InputError, match=r"events\.jsonl: is a symbolic link"):
        EventLog(opened_state, clock=None, failed=pytest.fail)
    assert victim.read_bytes() == b"kept\n"


def test_a_directory_without_a_log_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no events\.jsonl"):
        read_log(tmp_path)


def test_the_head_beside_the_file_is_that_of_its_end(tmp_path: Path) -> None:
    append(tmp_path, max_bytes=10_000)
    assert decode_head((tmp_path / f"{CURRENT}.head").read_bytes()) == whole(tmp_path).head
