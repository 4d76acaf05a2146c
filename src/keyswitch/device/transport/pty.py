"""A pseudo-terminal with a link to it: a serial line for programs that want a port where there is none.

Rules:

* A link is removed only if it is this device's own, or leads to a terminal that is gone, so that nobody uses it.
* Which link is its own the device notes in its state directory, by what the link is and not by what it says: the number
  of a terminal is given out again as soon as it is free, and a link that a killed device has left may lead to a
  stranger's terminal.
* Where ports are (`/dev`) no link is made: a path there that leads nowhere is a port that is not plugged in.
"""

import contextlib
import os
import stat
import tty
from pathlib import Path
from typing import Final, Self

from keyswitch.device.storage.state_dir import SERIAL
from keyswitch.device.storage.store import Store
from keyswitch.errors import Field, InputError

TERMINALS: Final = Path("/dev/pts")
"""Where the kernel keeps pseudo-terminals (pts(4))."""

DEVICES: Final = Path("/dev")


class Pty:
    """A pseudo-terminal of our own, with a link at a path.

    Attributes:
        descriptor: the device's end.
    """

    def __init__(self, path: Path, notes: Store | None) -> None:
        try:
            self.descriptor, self._other_end = os.openpty()  # kept open: the line lasts while nobody else has it open
        except OSError as error:
            raise InputError(_where(path), f"no terminal: {error.strerror}", "one to be had of the system") from error
        self._path = path
        self._notes = notes
        self._link: list[int] | None = None

    @classmethod
    def make(cls, path: Path, notes: Store | None) -> Self:
        """Make one, at a path where `port_at` found no port.

        Args:
            path: of the link.
            notes: where the device notes that the link is its own.

        Raises:
            InputError: there can be no link.
        """
        made = cls(path, notes)
        try:
            tty.setraw(made._other_end)
            if path.is_symlink():
                path.unlink()
            path.symlink_to(os.ttyname(made._other_end))
            made._link = _identity(path)
            if notes is not None:
                notes.write(SERIAL, {"path": str(path.absolute()), "link": made._link})
        except OSError as error:
            made.close()
            raise InputError(_where(path), error.strerror or "cannot be made", "a path for a link") from error
        return made

    def close(self) -> None:
        """Give it back; the link is removed if it is still the one that was made."""
        os.close(self.descriptor)
        os.close(self._other_end)
        if self._link is None:
            return
        with contextlib.suppress(OSError):
            if _identity(self._path) == self._link:
                self._path.unlink()
        with contextlib.suppress(OSError):
            if self._notes is not None:
                self._notes.write(SERIAL, None)


def port_at(path: Path, notes: Store | None) -> bool:
    """Whether there is a port at `path`; if not, a terminal may be made and linked there.

    Raises:
        InputError: neither: there is something else, which is left alone, or a port that is not plugged in.
    """
    try:
        target = path.readlink() if path.is_symlink() else None
        mode = _mode(path)
    except OSError as error:
        raise InputError(_where(path), error.strerror or "cannot be used", "a path") from error
    if mode is None:
        _check_free(path, target)
        return False
    if not stat.S_ISCHR(mode):
        raise InputError(_where(path), "there is something that is not a port", "a port, or a free path")
    if target is None or not target.is_relative_to(TERMINALS):
        return True
    if not _is_own(path, notes):
        raise InputError(
            _where(path), f"leads to {target}, which another program has", f"a free path, or {target} itself"
        )
    return False


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _check_free(path: Path, target: Path | None) -> None:
    if target is not None:
        if not target.is_relative_to(TERMINALS):
            raise InputError(
                _where(path), f"leads to {target}, which is not there", "a port that is plugged in, or a free path"
            )
    elif path.absolute().parent.resolve().is_relative_to(DEVICES):
        raise InputError(
            _where(path), "there is no such port", f"one that is plugged in; a pseudo-terminal goes outside {DEVICES}"
        )


def _is_own(path: Path, notes: Store | None) -> bool:
    noted = None if notes is None else notes.read(SERIAL)
    return noted == {"path": str(path.absolute()), "link": _identity(path)}


def _identity(link: Path) -> list[int]:
    """What tells this link from any other that was ever at its path."""
    found = link.lstat()
    return [found.st_dev, found.st_ino, found.st_mtime_ns]


def _where(path: Path) -> Field:
    return Field("serial", str(path))
