"""Ed25519 (RFC 8032) for evidence: keys are values of 32 bytes; files are read elsewhere."""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_ID_SIZE: Final = 8
"""Bytes of the public key's SHA-256 that name it in records; enough to tell keys apart, no security rests on it."""


class EvidenceSigner:
    """Signs records with a private key."""

    def __init__(self, private: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(private)
        self.key_id = key_id(self._private.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`."""
        return self._private.sign(data)


class EvidenceVerifier:
    """Verifies records with a public key."""

    def __init__(self, public: bytes) -> None:
        self._public = Ed25519PublicKey.from_public_bytes(public)
        self.key_id = key_id(public)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `data`."""
        try:
            self._public.verify(signature, data)
        except InvalidSignature:
            return False
        return True


def key_id(public: bytes) -> str:
    """What names a key in records."""
    return hashlib.sha256(public).digest()[:KEY_ID_SIZE].hex()
