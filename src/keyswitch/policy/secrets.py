"""The one secret of a policy, read only by who needs it: the device, and the operator who enters by challenge.

Rules kept here: a secret that others can read is refused, not used; what stands in the file never gets into a message.
"""

import os
import stat
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError
from keyswitch.policy.model import Policy
from keyswitch.proof.challenge import SECRET_SIZE

_DIGITS: Final = 2 * SECRET_SIZE
_EXPECTED: Final = f"{_DIGITS} hexadecimal digits on one line, as `keyswitch keys new` writes them"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read_secret(policy: Policy) -> bytes:
    """The policy's shared secret for `challenge`.

    Raises:
        InputError: the policy has none, or its file cannot be used.
    """
    if policy.entry.challenge is None:
        raise InputError(f"{policy.origin}: entry.challenge", "missing", "a secret file for entry by challenge")
    return read_secret_file(policy.entry.challenge.secret)


def read_secret_file(path: Path) -> bytes:
    """`SECRET_SIZE` bytes from a file of hexadecimal digits that only its owner can read.

    Raises:
        InputError: it cannot be read, others can read it, or it holds something else.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_DIGITS + 3)
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "the secret's file") from error
    if os.name == "posix" and mode & _OTHERS:
        raise InputError(str(path), f"others can read it (mode {stat.S_IMODE(mode):04o})", "mode 0600: chmod 600")
    try:
        secret = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) != SECRET_SIZE:
        raise InputError(str(path), "no secret", _EXPECTED)
    return secret
