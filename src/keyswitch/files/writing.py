"""The one way in which whole files are written: never a part of one, on the medium when the call returns.

Rules kept here:

* A file is replaced by another with its name: temporary file beside it, fsync, rename, fsync of the directory. After a
  power cut there is the old one or the new one.
* Permissions are given when the file is made: a secret is never there for others to read, not even for a moment.
* A temporary file of an earlier run, or one that somebody put there, is taken away, never written through.
"""

import os
from contextlib import suppress
from pathlib import Path

from keyswitch.errors import InputError

SECRET = 0o600
"""Only the owner reads and writes it."""

PUBLIC = 0o644
"""Everybody may read it; the process's umask may take more away."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def replace_file(path: Path, data: bytes, *, mode: int = PUBLIC) -> None:
    """Give `path` this content, as a whole; durable when this returns.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    temporary = path.with_name(f".{path.name}.new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    try:
        _write(temporary, data, mode)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(path.parent)


def create_file(path: Path, data: bytes, *, mode: int = PUBLIC) -> None:
    """Write a file that must not be there yet, and the directories above it; durable when this returns.

    Raises:
        InputError: it is there already, or cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(str(path.parent), error) from error
    try:
        _write(path, data, mode)
        sync_directory(path.parent)
    except FileExistsError as error:
        raise InputError(str(path), "is there already", "a name that is free: nothing is overwritten") from error
    except OSError as error:
        raise unwritable(str(path), error) from error


def write_output(path: Path, data: bytes) -> None:
    """Write what a person asked for (a picture, a report) where they said; what is there is overwritten.

    Raises:
        InputError: it cannot be written.
    """
    try:
        # Not renamed into place: FILE may be a pipe or /dev/stdout, and its owner's permissions stay.
        path.write_bytes(data)
    except OSError as error:
        raise unwritable(str(path), error) from error


def unwritable(where: str, error: OSError) -> InputError:
    """The error for a file that the system does not let us write."""
    return InputError(where, error.strerror or "cannot be written", "a file that can be written")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable; where the system knows no such thing, nothing happens."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes, mode: int) -> None:
    write_and_sync(os.open(path, _NEW, mode), data)


def write_and_sync(descriptor: int, data: bytes) -> None:
    """Write an open file as a whole, and close it; its content is durable when this returns, its name is not.

    Raises:
        OSError: it cannot be written.
    """
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
