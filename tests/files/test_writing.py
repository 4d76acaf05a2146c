"""Whole files: the old one or the new one, whatever happens in between; nothing is written through a link."""

import os
import stat
from pathlib import Path

import pytest

from keyswitch.errors import InputError
from keyswitch.files.writing import SECRET, create_file, replace_file, write_output


def test_a_file_is_replaced_with_its_permissions_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    replace_file(path, b"old", mode=SECRET)
    replace_file(path, b"new", mode=SECRET)
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == SECRET
    assert [each.name for each in tmp_path.iterdir()] == ["keys"]


def test_content_is_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    sync, rename = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        happened.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")

    def replace(path: Path, target: Path) -> Path:
        happened.append("name")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    replace_file(tmp_path / "note", b"new")
    assert happened == ["content", "name", "directory"]
    create_file(tmp_path / "other", b"new")
    assert happened[3:] == ["content", "directory"]


def test_what_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "note"
    replace_file(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["note"]


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "somebody's"
    other.write_bytes(b"theirs")
    (tmp_path / ".note.new").symlink_to(other)
    replace_file(tmp_path / "note", b"ours")
    assert other.read_bytes() == b"theirs"
    assert (tmp_path / "note").read_bytes() == b"ours"


def test_a_new_file_is_never_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key"
    create_file(path, b"first", mode=SECRET)
    with pytest.raises(InputError, match="key: is there already"):
        create_file(path, b"second")
    assert path.read_bytes() == b"first"
    with pytest.raises(InputError, match="key: File exists"):
        create_file(path / "x", b"")
    with pytest.raises(InputError, match="Is a directory"):
        write_output(tmp_path, b"")
