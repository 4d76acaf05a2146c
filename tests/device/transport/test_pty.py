"""Which links `--serial PATH` makes, replaces and removes, and which it leaves alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyswitch.device.storage.state_dir import SERIAL
from keyswitch.device.storage.store import MemoryStore
from keyswitch.device.transport import pty
from keyswitch.device.transport.pty import Pty, port_at
from keyswitch.errors import InputError


@pytest.fixture
def strangers() -> Iterator[str]:
    """A terminal that another program has."""
    ends = os.openpty()
    yield os.ttyname(ends[1])
    for end in ends:
        os.close(end)


def killed(made: Pty) -> None:
    """The kernel takes the terminal back, and nobody cleans up."""
    os.close(made.descriptor)
    os.close(made._other_end)


def test_the_link_of_a_killed_device_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "tty").symlink_to("/dev/pts/99999")
    assert not port_at(tmp_path / "tty", None)
    made = Pty.make(tmp_path / "tty", None)
    assert (tmp_path / "tty").is_char_device()
    made.close()
    assert not (tmp_path / "tty").is_symlink()


def test_a_killed_devices_link_is_known_again_where_its_number_was_given_to_another(
    tmp_path: Path, strangers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = MemoryStore()
    monkeypatch.setattr("os.ttyname", lambda _: strangers)
    killed(Pty.make(tmp_path / "tty", notes))
    monkeypatch.undo()
    assert (tmp_path / "tty").is_char_device()
    assert not port_at(tmp_path / "tty", notes), "its own"
    with pytest.raises(InputError, match=f"leads to {strangers}, which another program has"):
        port_at(tmp_path / "tty", MemoryStore())
    made = Pty.make(tmp_path / "tty", notes)
    assert str((tmp_path / "tty").readlink()) != strangers
    made.close()
    assert notes.documents.get(SERIAL) is None


def test_a_link_that_another_program_has_made_is_left_alone(tmp_path: Path, strangers: str) -> None:
    notes = MemoryStore()
    killed(Pty.make(tmp_path / "tty", notes))
    (tmp_path / "tty").rename(tmp_path / "old")
    (tmp_path / "tty").symlink_to(strangers)
    with pytest.raises(InputError, match="another program"):
        port_at(tmp_path / "tty", notes)
    assert str((tmp_path / "tty").readlink()) == strangers
    assert port_at(Path(strangers), notes), "who names the terminal itself means it"


def test_a_link_to_a_port_that_is_not_plugged_in_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "board").symlink_to("/dev/ttyUSB99")
    with pytest.raises(InputError, match="leads to /dev/ttyUSB99, which is not there"):
        port_at(tmp_path / "board", None)
    assert (tmp_path / "board").is_symlink()


@pytest.mark.parametrize("path", ["/dev/ttyUSB99", "/dev/serial/../ttyAMC0"])
def test_a_mistyped_port_becomes_no_terminal(path: str) -> None:
    with pytest.raises(InputError, match="there is no such port"):
        port_at(Path(path), None)


def test_a_link_to_the_devices_directory_is_no_way_around(tmp_path: Path) -> None:
    (tmp_path / "dev").symlink_to("/dev")
    with pytest.raises(InputError, match="there is no such port"):
        port_at(tmp_path / "dev" / "ttyUSB99", None)


def test_closing_removes_no_link_that_came_later(tmp_path: Path, strangers: str) -> None:
    made = Pty.make(tmp_path / "tty", None)
    (tmp_path / "tty").unlink()
    (tmp_path / "tty").symlink_to(strangers)
    made.close()
    assert str((tmp_path / "tty").readlink()) == strangers


def test_a_file_is_no_port_and_stays(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="not a port"):
        port_at(tmp_path / "file", None)
    assert (tmp_path / "file").read_text() == "mine"


def test_what_the_system_refuses_is_the_persons_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^serial .*No such file"):
        Pty.make(tmp_path / "no" / "directory", None)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"^serial .*Not a directory"):
        port_at(tmp_path / "file" / "tty", None)

    def forbidden(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "tty").symlink_to("/dev/pts/99999")
    monkeypatch.setattr(pty.Path, "unlink", forbidden)
    with pytest.raises(InputError, match=r"^serial .*Permission denied"):
        Pty.make(tmp_path / "tty", None)
