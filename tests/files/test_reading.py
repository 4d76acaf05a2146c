"""The bounded reader: limits, what is no file, and one line for each."""

import os
import stat
from pathlib import Path

import pytest

from keyswitch.errors import InputError
from keyswitch.files.reading import FileKind, open_regular, read_file, read_file_and_mode, read_file_if_there

KIND = FileKind(expected="a note", max_size=100)


@pytest.mark.parametrize("size", [0, 1, 99, 100])
def test_a_file_within_its_bound_is_read_whole(tmp_path: Path, size: int) -> None:
    (tmp_path / "note").write_bytes(b"x" * size)
    assert read_file(tmp_path / "note", KIND) == b"x" * size
    assert read_file_if_there(tmp_path / "note", KIND) == b"x" * size


@pytest.mark.parametrize("size", [101, 1_000_000])
def test_a_larger_one_is_refused_and_not_cut_off(tmp_path: Path, size: int) -> None:
    (tmp_path / "note").write_bytes(b"x" * size)
    with pytest.raises(InputError, match=r"note: larger than 100 bytes \(expected a note\)"):
        read_file(tmp_path / "note", KIND)


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(InputError, match="/dev/zero: larger than 100 bytes"):
        read_file(Path("/dev/zero"), KIND)


@pytest.mark.parametrize(
    ("name", "said"),
    [(".", "Is a directory"), ("none", "No such file"), ("note/x", "Not a directory"), ("n" * 300, "File name too")],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "note").write_bytes(b"x")
    with pytest.raises(InputError, match=rf"{said}.* \(expected a note\)"):
        read_file(tmp_path / name, KIND)
    with pytest.raises(InputError, match=r"\(expected a note\)"):
        open_regular(tmp_path / name, "a note")


def test_what_is_not_there_may_be_asked_for(tmp_path: Path) -> None:
    assert read_file_if_there(tmp_path / "none", KIND) is None
    with pytest.raises(InputError, match="Is a directory"):
        read_file_if_there(tmp_path, KIND)


def test_a_pipe_without_a_writer_does_not_hang_and_one_with_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_file(tmp_path / "pipe", KIND) == b""
    with pytest.raises(InputError, match="pipe: this is not a regular file"):
        open_regular(tmp_path / "pipe", "a note")
    read, write = os.pipe()
    os.write(write, b"said")
    os.close(write)
    assert read_file(Path(f"/dev/fd/{read}"), KIND) == b"said"
    os.close(read)


def test_the_mode_is_that_of_the_file_that_was_read(tmp_path: Path) -> None:
    (tmp_path / "note").write_bytes(b"x")
    (tmp_path / "note").chmod(0o640)
    data, mode = read_file_and_mode(tmp_path / "note", KIND)
    assert (data, stat.S_IMODE(mode)) == (b"x", 0o640)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (tmp_path, Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(InputError):
            open_regular(path, "a note")
    for path in (tmp_path, Path("/dev/zero")):
        with pytest.raises(InputError):
            read_file(path, KIND)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
