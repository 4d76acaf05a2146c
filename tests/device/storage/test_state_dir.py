"""The state directory: one owner, whole documents, clear errors."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keyswitch.device.storage import state_dir
from keyswitch.device.storage.state_dir import UNIT, StateDir, check_owner
from keyswitch.errors import InputError

HOLD = """
import pathlib, sys, time
from keyswitch.device.storage.state_dir import StateDir
held = StateDir.open(pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def test_a_directory_in_use_is_refused_and_its_owner_named(tmp_path: Path) -> None:
    with StateDir.open(tmp_path), pytest.raises(InputError, match=f"in use by process {os.getpid()}"):
        StateDir.open(tmp_path)


def test_the_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match=f"in use by process {holder.pid}"):
            StateDir.open(tmp_path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    StateDir.open(tmp_path).close()


def test_documents_come_back_and_go(tmp_path: Path) -> None:
    with StateDir.open(tmp_path) as state:
        assert state.read(state_dir.SESSION) is None
        state.write(state_dir.SESSION, {"version": 1, "hash": "00"})
        assert state.read(state_dir.SESSION) == {"version": 1, "hash": "00"}
        state.write(state_dir.SESSION, None)
        state.write(state_dir.SESSION, None)
        assert state.read(state_dir.SESSION) is None


def test_documents_are_readable_by_the_owner_alone(tmp_path: Path) -> None:
    with StateDir.open(tmp_path) as state:
        state.write(state_dir.BONDS, {"peers": {}})
        assert (tmp_path / state_dir.BONDS).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe"])
def test_a_damaged_document_is_named_and_kept(tmp_path: Path, content: bytes) -> None:
    with StateDir.open(tmp_path) as state:
        (tmp_path / state_dir.COUNTERS).write_bytes(content)
        with pytest.raises(InputError, match=r"counters\.json"):
            state.read(state_dir.COUNTERS)
        assert (tmp_path / state_dir.COUNTERS).read_bytes() == content


def test_a_failed_write_leaves_the_old_document(tmp_path: Path) -> None:
    with StateDir.open(tmp_path) as state:
        state.write(state_dir.SESSION, {"a": 1})
        with pytest.raises(TypeError):
            state.write(state_dir.SESSION, {"a": object()})
        assert state.read(state_dir.SESSION) == {"a": 1}
        assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".new")] == []


def test_a_file_is_no_state_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used as a state directory"):
        StateDir.open(tmp_path / "file")


def test_a_directory_that_it_makes_is_the_owners_alone(tmp_path: Path) -> None:
    with StateDir.open(tmp_path / "new" / "state") as state:
        assert state.path.stat().st_mode & 0o777 == 0o700


def test_a_link_to_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(0o700)
    (tmp_path / "state").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"state: is a symbolic link \(expected the directory itself\)"):
        StateDir.open(tmp_path / "state")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775, 0o702])
def test_a_directory_that_others_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(InputError, match=rf"others may write to it \(mode {mode:04o}\) \(expected chmod go-w "):
        StateDir.open(tmp_path)
    assert list(tmp_path.iterdir()) == []
    tmp_path.chmod(0o755)
    StateDir.open(tmp_path).close()


def test_another_users_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(InputError, match="belongs to another user"):
        StateDir.open(tmp_path)
    assert list(tmp_path.iterdir()) == []


def plant(path: Path, what: str, victim: Path) -> None:
    match what:
        case "link":
            path.symlink_to(victim)
        case "dangling link":
            path.symlink_to(victim.with_name("not there"))
        case "pipe":
            os.mkfifo(path)
        case _:
            path.write_bytes(b"{}")
            path.chmod(0o666)


PLANTED = {
    "link": "is a symbolic link",
    "dangling link": "is a symbolic link",
    "pipe": "is not a regular file",
    "writable": "others may write to it",
}


@pytest.mark.parametrize("what", PLANTED)
@pytest.mark.parametrize("name", [state_dir.LOCK, state_dir.SESSION, state_dir.COUNTERS, state_dir.BONDS])
def test_what_somebody_has_put_into_it_is_refused_and_not_touched(tmp_path: Path, name: str, what: str) -> None:
    victim, state = tmp_path / "victim", tmp_path / "state"
    victim.write_bytes(b"{}")
    state.mkdir(0o700)
    plant(state / name, what, victim)
    with pytest.raises(InputError, match=rf"{name}: {PLANTED[what]}"), StateDir.open(state) as opened:
        opened.read(name)
    assert victim.read_bytes() == b"{}"
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize("what", PLANTED)
def test_a_document_is_not_written_through_what_lies_where_it_begins(tmp_path: Path, what: str) -> None:
    victim, state = tmp_path / "victim", tmp_path / "state"
    victim.write_bytes(b"kept")
    with StateDir.open(state) as opened:
        plant(state / ".session.json.new", what, victim)
        with pytest.raises(InputError, match=PLANTED[what]):
            opened.write(state_dir.SESSION, {"a": 1})
        assert opened.read(state_dir.SESSION) is None
    assert victim.read_bytes() == b"kept"


def test_files_are_written_where_the_directory_was_whatever_its_path_leads_to_now(tmp_path: Path) -> None:
    with StateDir.open(tmp_path / "state") as opened:
        (tmp_path / "state").rename(tmp_path / "moved")
        (tmp_path / "state").mkdir()
        opened.write(state_dir.SESSION, {"a": 1})
        assert opened.read(state_dir.SESSION) == {"a": 1}
    assert (tmp_path / "moved" / state_dir.SESSION).exists()
    assert list((tmp_path / "state").iterdir()) == []


def test_the_directory_of_another_device_is_refused(tmp_path: Path) -> None:
    with StateDir.open(tmp_path) as state:
        check_owner(state, "P-1")  # it does not say whose it is
        state.write(UNIT, {"id": "P-1"})
        check_owner(state, "P-1")
        with pytest.raises(InputError, match=r"state directory of 'P-1', not of 'P-2'.*a directory for each device"):
            check_owner(state, "P-2")
        state.write(UNIT, {"id": 7})
        with pytest.raises(InputError, match="state directory of '7'"):
            check_owner(state, "7")
