"""Key files: made here, never overwritten, secret ones readable by their owner alone."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from keyswitch.errors import InputError
from keyswitch.files.writing import PUBLIC, SECRET, create_file
from keyswitch.proof.challenge import SECRET_SIZE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class GeneratedKey(StrEnum):
    """What a key is for."""

    SECRET = "secret"  # noqa: S105 - the word, not one
    """Shared by device and operator, for entry by challenge: 64 hexadecimal digits."""
    PERMIT = "permit"
    """Ed25519 pair of who issues permits, or of who holds one."""
    IMAGE = "image"
    """ECDSA P-256 pair that signs firmware images."""
    IMAGE_ED25519 = "image-ed25519"
    """Ed25519 pair that signs firmware images, as for nRF54L."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Files that were written. Attributes: private: to be kept secret; public: to be given away, if there is one."""

    private: Path
    public: Path | None = None


def make_key(kind: GeneratedKey, path: Path) -> Made:
    """Make a key, or a pair: the private part at `path`, the public part beside it as `….pub.pem`.

    Raises:
        InputError: a file is there already, or cannot be written.
    """
    if kind is GeneratedKey.SECRET:
        write_new(path, secrets.token_hex(SECRET_SIZE).encode() + b"\n", secret=True)
        return Made(private=path)
    private, public = _PAIRS[kind]()
    beside = path.with_name(path.name.removesuffix(".pem") + ".pub.pem")
    if beside.exists():
        raise InputError(str(beside), "is there already", "a name that is free: keys are never overwritten")
    write_new(path, private, secret=True)
    write_new(beside, public, secret=False)
    return Made(private=path, public=beside)


def write_new(path: Path, data: bytes, *, secret: bool) -> None:
    """Write a file that must not be there yet.

    Raises:
        InputError: it is, or it cannot be written.
    """
    create_file(path, data, mode=SECRET if secret else PUBLIC)


def _ed25519() -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return _pem(Ed25519PrivateKey.generate())


def _p256() -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    return _pem(generate_private_key(SECP256R1()))


def _pem(key: "Ed25519PrivateKey | EllipticCurvePrivateKey") -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives import serialization as s

    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    public = key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    return private, public


_PAIRS: dict[GeneratedKey, Callable[[], tuple[bytes, bytes]]] = {
    GeneratedKey.PERMIT: _ed25519,
    GeneratedKey.IMAGE: _p256,
    GeneratedKey.IMAGE_ED25519: _ed25519,
}
