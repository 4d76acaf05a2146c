"""The state directory: one owner, whole documents, clear errors."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keyswitch.device import state_dir
from keyswitch.device.state_dir import StateDir
from keyswitch.errors import InputError

HOLD = """
import pathlib, sys, time
from keyswitch.device.state_dir import StateDir
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
        assert (tmp_path / state_dir.BONDS).stat().st_mode & 0o777 == state_dir.SECRET_MODE


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
