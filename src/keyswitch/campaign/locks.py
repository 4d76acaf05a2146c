"""Locks between processes of this computer: files, held by whoever has them open and locked.

Rules:

* A lock is free when its process has ended, however that happens.
* Whoever holds one may say its process's number in it, and who that is; it is for people, and for signals.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError
from keyswitch.private_files import open_file
from keyswitch.text import plain

HAS_FLOCK: Final = find_spec("fcntl") is not None
"""Whether this system has such locks."""

_MAX_SAID: Final = 200
"""Bytes of a lock that are read: a number and a name."""


class LockedError(InputError):
    """Another process holds it. Attributes: pid: its number, 0 if it has not said it yet."""

    def __init__(self, where: str, what: str, pid: int, who: str = "") -> None:
        self.pid = pid
        whose = f" ({', '.join(filter(None, (f'process {pid}', who)))})" if pid else ""
        super().__init__(where, f"another process {what}{whose}", "its end")


@contextmanager
def locked(path: Path, what: str, *, where: str = "", wait: bool = False) -> Generator[int]:
    """Hold a lock; its descriptor, to say the process's number in it (`announce`).

    Args:
        path: of the file; made if it is not there.
        what: another process does that holds it, for the message.
        where: the message says that it is; empty: the path.
        wait: until it is free.

    Raises:
        LockedError: another process holds it.
        InputError: the file cannot be used, or this system has no such locks.
    """
    descriptor = open_file(path, os.O_RDWR | os.O_CREAT)
    try:
        if not _flock(descriptor, wait=wait):
            raise LockedError(where or str(path), what, *_said(descriptor))
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def announce(descriptor: int, who: str = "") -> None:
    """Say this process's number in a lock that it holds, and for people who it is."""
    os.pwrite(descriptor, f"{os.getpid()} {who}\n".encode(), 0)


def withdraw(descriptor: int) -> None:
    """Say it no longer."""
    os.ftruncate(descriptor, 0)


def is_held(path: Path) -> bool:
    """Whether a process holds it."""
    return holder(path) is not None


def holder(path: Path) -> int | None:
    """The number of the process that holds it, 0 if it has not said it; None: nobody holds it."""
    if not path.exists():
        return None
    descriptor = open_file(path, os.O_RDWR)
    try:
        return None if _flock(descriptor, wait=False) else _said(descriptor)[0]
    finally:
        os.close(descriptor)


def _said(descriptor: int) -> tuple[int, str]:
    """The number of the process that holds it, and who it is; 0 and nothing if it has not said so."""
    number, _, who = os.pread(descriptor, _MAX_SAID, 0).decode("utf-8", "replace").partition(" ")
    number = number.strip()
    return (int(number), plain(who.strip())) if number.isascii() and number.isdigit() else (0, "")


def _flock(descriptor: int, *, wait: bool) -> bool:
    """Whether the lock is ours now."""
    try:
        import fcntl  # noqa: PLC0415 - not on every system
    except ImportError as error:
        raise InputError("campaign", "this system has no flock", "Linux or another Unix") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
