"""The one way in which files are read: bounded, and every failure one line that names the file.

Rules kept here:

* Nothing is read without a bound: a file that is larger than its kind can be is an error, never cut off.
* Opening does not wait: a named pipe without a writer is empty, not a program that hangs.
* A directory, a file that is not there, one that may not be read: the system's words, the file, what was expected.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from keyswitch.errors import InputError

_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class FileKind:
    """What a file is read as.

    Attributes:
        expected: what it should be, for messages: "a policy file (TOML)".
        max_size: bytes; no file of this kind is larger.
    """

    expected: str
    max_size: int


def read_file(path: Path, kind: FileKind) -> bytes:
    """All bytes of a file.

    Raises:
        InputError: it cannot be read, or is larger than its kind can be.
    """
    return _read(path, kind)[0]


def read_file_and_mode(path: Path, kind: FileKind) -> tuple[bytes, int]:
    """All bytes of a file, and the permissions (`st_mode`) of that very file.

    Raises:
        InputError: as `read_file`.
    """
    return _read(path, kind)


def read_file_if_there(path: Path, kind: FileKind) -> bytes | None:
    """All bytes of a file, None if there is none of that name.

    Raises:
        InputError: it is there, and cannot be read or is larger than its kind can be.
    """
    try:
        path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(str(path), error, kind.expected) from error
    return read_file(path, kind)


def read_open(file: BinaryIO, where: str, kind: FileKind) -> bytes:
    """All bytes from where an open file stands to its end.

    Raises:
        InputError: there are more than its kind can have.
        OSError: the system does not let us read it.
    """
    data = file.read(kind.max_size + 1)
    if len(data) > kind.max_size:
        raise InputError(where, _larger(kind), kind.expected)
    return data


def open_regular(path: Path, expected: str) -> BinaryIO:
    """A file opened for reading; a directory, pipe, socket or device is none.

    Raises:
        InputError: it is not a regular file, or cannot be opened.
    """
    try:
        descriptor = _opened(path)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
    except OSError as error:
        raise unreadable(str(path), error, expected) from error
    raise InputError(str(path), "this is not a regular file", expected)


def unreadable(where: str, error: OSError, expected: str) -> InputError:
    """The error for a file that the system does not let us read."""
    return InputError(where, error.strerror or "cannot be read", expected)


def _larger(kind: FileKind) -> str:
    return f"larger than {kind.max_size} bytes"


def _opened(path: Path) -> int:
    # Without waiting: a named pipe that nobody writes to would hold `open` for ever.
    descriptor = os.open(path, os.O_RDONLY | _NONBLOCK | _BINARY | getattr(os, "O_CLOEXEC", 0))
    if hasattr(os, "set_blocking"):
        os.set_blocking(descriptor, True)
    return descriptor


def _read(path: Path, kind: FileKind) -> tuple[bytes, int]:
    try:
        descriptor = _opened(path)
        try:
            mode = os.fstat(descriptor).st_mode
            data = _bounded(descriptor, kind.max_size + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(str(path), error, kind.expected) from error
    if len(data) > kind.max_size:
        raise InputError(str(path), _larger(kind), kind.expected)
    return data, mode


def _bounded(descriptor: int, limit: int) -> bytes:
    """At most `limit` bytes; memory grows with what is there, not with the limit."""
    data = bytearray()
    while len(data) < limit and (piece := os.read(descriptor, min(_PIECE, limit - len(data)))):
        data += piece
    return bytes(data)
