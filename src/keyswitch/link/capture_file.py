"""The file of a capture: keys and images pass there, so it is a new one that only this user can read (mode 0600)."""

import os
from pathlib import Path
from typing import BinaryIO

from keyswitch import private_files
from keyswitch.errors import Field, InputError


def new_capture_file(path: Path) -> BinaryIO:
    """An empty file for a capture, unbuffered; an old one of this user's is replaced.

    Raises:
        InputError: it cannot be made, or what is there is a link or somebody else's.
    """
    try:
        return os.fdopen(private_files.replace_file(path), "wb", buffering=0)
    except InputError as error:
        expected = "a path where nothing is, or a file of your own"
        raise InputError(Field("capture", str(path)), error.problem, expected) from None
    except OSError as error:
        problem = error.strerror or "cannot be written"
        raise InputError(Field("capture", str(path)), problem, "a file in a directory that is there") from error
