"""What a device keeps between two lives, in one directory that one process writes.

Files: `lock`, `flash.bin`, `gate.json`, `session.json`, `bonds.json` (0600), `counters.json`, `serial.json`,
`unit.json`, `panel.sock`.

Rules:

* The directory belongs to one process at a time. The lock is the kernel's (`flock`), so it ends with the process,
  however that ended.
* A document is replaced as a whole: temporary file, fsync, rename, fsync of the directory. After a power cut there
  is the old one or the new one, never a part.
* A document that cannot be read is an error that names the file; it is never taken for "nothing there".
* Directory and files are this user's alone: links, other users' files and what others may write to are refused
  (`keyswitch.private_files`). Files are opened in the directory that was checked, whatever its path leads to later.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Self, cast

from keyswitch import private_files
from keyswitch.errors import InputError
from keyswitch.files.documents import parse_json
from keyswitch.files.reading import FileKind, read_open, unreadable
from keyswitch.files.writing import write_and_sync
from keyswitch.panel.protocol import SOCKET

LOCK = "lock"
FLASH = "flash.bin"
SESSION = "session.json"
BONDS = "bonds.json"
COUNTERS = "counters.json"
SERIAL = "serial.json"
UNIT = "unit.json"

DOCUMENT = FileKind(expected="a JSON object; delete the file to start anew", max_size=4_000_000)
"""Bonds are the largest: two identities with 32 each have 50 kB."""


class StateDir:
    """An open, locked state directory. Use it as a context manager, or call `close`."""

    def __init__(self, path: Path, descriptor: int, lock_descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._lock_descriptor = lock_descriptor

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the directory if it is not there, and lock it.

        Raises:
            InputError: it is no directory, cannot be written, is not this user's alone, or is in use by another
                process.
        """
        try:
            directory = private_files.open_directory(path, make=True)
        except OSError as error:
            raise InputError(str(path), f"cannot be used as a state directory: {error.strerror}") from error
        try:
            return cls(path, directory, _lock(path, directory))
        except BaseException:
            os.close(directory)
            raise

    def close(self) -> None:
        """Give the directory back. Harmless when repeated."""
        if self._lock_descriptor >= 0:
            os.close(self._descriptor)
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def flash(self) -> Path:
        """The file that holds the flash."""
        return self.path / FLASH

    @property
    def panel(self) -> Path:
        """The socket of the panel."""
        return self.path / SOCKET

    def read(self, name: str) -> dict[str, Any] | None:
        """A document, or None if it was never written.

        Raises:
            InputError: the file is there but holds no JSON object.
        """
        where = str(self.path / name)
        try:
            with os.fdopen(self.open_file(name, os.O_RDONLY), "rb") as file:
                data = read_open(file, where, DOCUMENT)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(where, error, DOCUMENT.expected) from error
        document: object = parse_json(data, where, DOCUMENT.expected)
        if not isinstance(document, dict):
            raise InputError(where, "damaged", DOCUMENT.expected)
        return cast("dict[str, Any]", document)

    def write(self, name: str, document: dict[str, Any] | None) -> None:
        """Replace a document durably; None removes it. When this returns, it survives power loss."""
        if document is None:
            if self.remove(name):
                self.sync()
            return
        data = json.dumps(document, indent=1, sort_keys=True).encode()
        temporary = f".{name}.new"
        descriptor = private_files.replace_file(self.path / temporary, directory=self._descriptor)
        try:
            write_and_sync(descriptor, data)
            self.rename(temporary, name)
        except BaseException:
            self.remove(temporary)
            raise
        self.sync()

    def open_file(self, name: str, flags: int) -> int:
        """Open a file here (`private_files.open_file`); the caller closes the descriptor."""
        return private_files.open_file(self.path / name, flags, directory=self._descriptor)

    def remove(self, name: str) -> bool:
        """Take a file away; whether it was there. Durable after `sync`."""
        try:
            os.unlink(name, dir_fd=self._descriptor)
        except FileNotFoundError:
            return False
        return True

    def rename(self, old: str, new: str) -> None:
        """Give a file here another name, in the place of whatever has that; durable after `sync`."""
        os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def sync(self) -> None:
        """What names stand here survives power loss when this returns."""
        os.fsync(self._descriptor)


def _lock(path: Path, directory: int) -> int:
    try:
        descriptor = private_files.open_file(path / LOCK, os.O_RDWR | os.O_CREAT, directory=directory)
    except OSError as error:
        raise InputError(str(path), f"cannot be used as a state directory: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        who = f"process {owner}" if owner else "another process"
        raise InputError(
            str(path), f"state directory is in use by {who}", "that device ended, or another directory"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def check_owner(state: StateDir, device: str) -> None:
    """Refuse the directory of another device: what it keeps is that one's image, counters and bonds.

    A directory that does not say whose it is, is of before or new, and taken.

    Raises:
        InputError: it is another device's.
    """
    document = state.read(UNIT)
    owner = None if document is None else document.get("id")
    if owner not in {None, device}:
        problem = f"this is the state directory of {str(owner)!r}, not of {device!r}"
        raise InputError(str(state.path), problem, "a directory for each device")
