"""Files that belong to this user alone: opened without following links, and only where nobody else can write.

Rules kept here:

* The last part of a path is never followed as a symbolic link: it could lead anywhere, and whoever made it chose where.
* A file or directory that is another user's, or that others may write to, is not used: its content is theirs to choose.
* What is checked is what was opened (`fstat`), never the name: the name may be another thing a moment later.
* New files have mode 0600, new directories 0700, whatever the umask is.
"""

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError

FILE_MODE: Final = 0o600
DIRECTORY_MODE: Final = 0o700
OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_SAFE: Final = (
    os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
)  # without O_NONBLOCK, opening a pipe waits for its other end


def open_directory(path: Path, *, make: bool = False) -> int:
    """Open a directory that only this user can write to; the caller closes the descriptor.

    Args:
        path: of the directory.
        make: make it where there is none.

    Raises:
        InputError: it is a link, is another user's, or others may write to it.
        OSError: it cannot be made or opened.
    """
    if make:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # judged below, like any other
            path.mkdir(DIRECTORY_MODE)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _SAFE)
    except OSError as error:
        if path.is_symlink():
            raise InputError(str(path), "is a symbolic link", "the directory itself") from error
        raise
    return _checked(descriptor, path, regular=False)


def open_file(path: Path, flags: int, *, directory: int | None = None) -> int:
    """Open a regular file that only this user can write to; the caller closes the descriptor.

    Args:
        path: of the file.
        flags: of open(2); a new file gets `FILE_MODE`. Do not truncate with them: that would come before the check.
        directory: descriptor of its directory (`open_directory`), so that nobody can put another in its place;
            None: the path is taken as it is.

    Raises:
        InputError: it is a link or no regular file, is another user's, or others may write to it.
        OSError: it cannot be opened; among others FileNotFoundError, FileExistsError.
    """
    name = path if directory is None else path.name
    try:
        descriptor = os.open(name, flags | _SAFE, FILE_MODE, dir_fd=directory)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link; a socket, or a pipe that nobody reads
            what = "is a symbolic link" if error.errno == errno.ELOOP else "is not a regular file"
            raise InputError(str(path), what, "a file of this user's, or none") from error
        raise
    return _checked(descriptor, path, regular=True)


def replace_file(path: Path, *, directory: int | None = None) -> int:
    """Open a new, empty file for writing; an old one of this user's is taken away first, whoever still has it open.

    Raises:
        InputError: what is there is not this user's alone (`open_file`); it is left alone.
        OSError: the file cannot be made.
    """
    name = path if directory is None else path.name
    try:
        os.close(open_file(path, os.O_RDONLY, directory=directory))
    except FileNotFoundError:
        pass
    else:
        os.unlink(name, dir_fd=directory)
    return open_file(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, directory=directory)


def _checked(descriptor: int, path: Path, *, regular: bool) -> int:
    fault = _fault(os.fstat(descriptor), path, regular=regular)
    if fault is None:
        return descriptor
    os.close(descriptor)
    raise fault


def _fault(found: os.stat_result, path: Path, *, regular: bool) -> InputError | None:
    if regular and not stat.S_ISREG(found.st_mode):
        return InputError(str(path), "is not a regular file", "a file of this user's, or none")
    if found.st_uid != os.geteuid():
        return InputError(str(path), f"belongs to another user ({found.st_uid})", "one of this user's own")
    if found.st_mode & OTHERS_WRITE:
        mode = stat.S_IMODE(found.st_mode)
        return InputError(str(path), f"others may write to it (mode {mode:04o})", f"chmod go-w {path}")
    return None
