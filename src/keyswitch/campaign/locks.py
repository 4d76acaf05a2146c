"""Locks between processes of this computer: files, held by whoever has them open and locked.

Rules:

* A lock is free when its process has ended, however that happens.
* Whoever holds one may say its process's number in it; it is for people, and for signals.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from keyswitch.errors import InputError
from keyswitch.private_files import open_file


class LockedError(InputError):
    """Another process holds it. Attributes: pid: its number, 0 if it has not said it yet."""

    def __init__(self, where: str, what: str, pid: int) -> None:
        self.pid = pid
        whose = f" (process {pid})" if pid else ""
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
            raise LockedError(where or str(path), what, _pid(descriptor))
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def announce(descriptor: int) -> None:
    """Say this process's number in a lock that it holds."""
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


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
        return None if _flock(descriptor, wait=False) else _pid(descriptor)
    finally:
        os.close(descriptor)


def _pid(descriptor: int) -> int:
    word = os.pread(descriptor, 32, 0).strip()
    return int(word) if word.isdigit() else 0


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
