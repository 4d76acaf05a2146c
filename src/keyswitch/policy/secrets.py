"""The keys that a policy names, read only by who needs them: the device, and the operator who enters.

Rules kept here: a secret that others can read is refused, not used; what stands in the file never gets into a message.
"""

import os
import stat
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError
from keyswitch.files.reading import FileKind, read_file_and_mode
from keyswitch.policy.model import Policy
from keyswitch.proof.challenge import SECRET_SIZE

_DIGITS: Final = 2 * SECRET_SIZE
_EXPECTED: Final = f"{_DIGITS} hexadecimal digits on one line, as `keyswitch keys new` writes them"
_LARGEST: Final = 16_384
"""Bytes; no key file is larger."""
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
    text = _read(path, "the secret's file", secret=True)
    try:
        secret = bytes.fromhex(text.decode("ascii").strip())
    except ValueError:
        secret = b""
    if len(secret) != SECRET_SIZE:
        raise InputError(str(path), "no secret", _EXPECTED)
    return secret


def _read(path: Path, expected: str, *, secret: bool = False) -> bytes:
    data, mode = read_file_and_mode(path, FileKind(expected=expected, max_size=_LARGEST))
    if secret and os.name == "posix" and mode & _OTHERS:
        raise InputError(str(path), f"others can read it (mode {stat.S_IMODE(mode):04o})", "mode 0600: chmod 600")
    return data


def read_issuers(policy: Policy) -> tuple[bytes, ...]:
    """The Ed25519 public keys that may issue permits, each 32 bytes.

    Raises:
        InputError: the policy names none, or a file cannot be used.
    """
    if policy.entry.permit is None:
        raise InputError(f"{policy.origin}: entry.permit", "missing", "issuers of permits")
    return tuple(read_public_key(path) for path in policy.entry.permit.issuers)


def read_public_key(path: Path) -> bytes:
    """An Ed25519 public key from a PEM file, 32 bytes.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - slow to import
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415 - as above

    try:
        key = load_pem_public_key(_read(path, "an Ed25519 public key"))
    except ValueError as error:
        raise InputError(str(path), "no public key", "an Ed25519 public key (PEM)") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(str(path), "a key of another kind", "an Ed25519 public key (PEM)")
    return key.public_bytes_raw()


def read_private_key(path: Path) -> bytes:
    """An Ed25519 private key from a PEM file that only its owner can read, 32 bytes.

    Raises:
        InputError: it cannot be read, others can read it, it is encrypted, or is something else.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - slow to import
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as above

    try:
        key = load_pem_private_key(_read(path, "an Ed25519 private key", secret=True), password=None)
    except TypeError as error:
        raise InputError(str(path), "encrypted with a password", "an Ed25519 private key (PEM) without one") from error
    except ValueError as error:
        raise InputError(str(path), "no private key", "an Ed25519 private key (PEM)") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(str(path), "a key of another kind", "an Ed25519 private key (PEM)")
    return key.private_bytes_raw()
