"""What a device keeps between two lives, in one directory that one process writes.

Files: `lock`, `flash.bin`, `gate.json`, `session.json`, `bonds.json` (0600), `counters.json`, `serial.json`,
`panel.sock`.

Rules:

* The directory belongs to one process at a time. The lock is the kernel's (`flock`), so it ends with the process,
  however that ended.
* A document is replaced as a whole: temporary file, fsync, rename, fsync of the directory. After a power cut there
  is the old one or the new one, never a part.
* A document that cannot be read is an error that names the file; it is never taken for "nothing there".
"""

import contextlib
import fcntl
import json
import os
from pathlib import Path
from typing import Any, Self, cast

from keyswitch.errors import InputError
from keyswitch.files.documents import parse_json
from keyswitch.files.reading import FileKind, read_file_if_there
from keyswitch.files.writing import SECRET, replace_file, sync_directory

LOCK = "lock"
FLASH = "flash.bin"
SESSION = "session.json"
BONDS = "bonds.json"
COUNTERS = "counters.json"
SERIAL = "serial.json"
PANEL = "panel.sock"

SECRET_MODE = SECRET
"""Permissions of what only the device may read."""

DOCUMENT = FileKind(expected="a JSON object; delete the file to start anew", max_size=4_000_000)
"""Bonds are the largest: two identities with 32 each have 50 kB."""


class StateDir:
    """An open, locked state directory. Use it as a context manager, or call `close`."""

    def __init__(self, path: Path, lock_descriptor: int) -> None:
        self.path = path
        self._lock_descriptor = lock_descriptor

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the directory if it is not there, and lock it.

        Raises:
            InputError: it is no directory, cannot be written, or is in use by another process.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE)
        except OSError as error:
            raise InputError(str(path), f"cannot be used as a state directory: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            who = f"process {owner}" if owner else "another process"
            raise InputError(str(path), f"state directory is in use by {who}", "a directory of its own") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(path, descriptor)

    def close(self) -> None:
        """Give the directory back. Harmless when repeated."""
        if self._lock_descriptor >= 0:
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
        return self.path / PANEL

    def read(self, name: str) -> dict[str, Any] | None:
        """A document, or None if it was never written.

        Raises:
            InputError: the file is there but holds no JSON object.
        """
        data = read_file_if_there(self.path / name, DOCUMENT)
        if data is None:
            return None
        document: object = parse_json(data, str(self.path / name), DOCUMENT.expected)
        if not isinstance(document, dict):
            raise InputError(str(self.path / name), "damaged", DOCUMENT.expected)
        return cast("dict[str, Any]", document)

    def write(self, name: str, document: dict[str, Any] | None) -> None:
        """Replace a document durably; None removes it. When this returns, it survives power loss."""
        target = self.path / name
        if document is None:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
                sync_directory(self.path)
            return
        replace_file(target, json.dumps(document, indent=1, sort_keys=True).encode(), mode=SECRET_MODE)

    def adopt(self, file: Path, name: str) -> None:
        """Give a finished, synced file its name here; durable when this returns."""
        file.replace(self.path / name)
        sync_directory(self.path)
