"""Public keys that images are signed with: loaded once, and what each of them may sign.

Rules kept here:

* `cryptography` is imported when a key is loaded, not before;
* a kind of key goes with one signature TLV and with named hashes, as in imgtool's and MCUboot's builds; no other
  combination verifies anything;
* a signature is checked over the digest that was computed here, or over the image itself where it is a pure one.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from keyswitch.errors import InputError
from keyswitch.files.reading import FileKind, read_file
from keyswitch.mcuboot.tlvs import TlvType

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

KEY_FILE: Final = FileKind(expected="a public key (PEM)", max_size=16_384)
"""No key that MCUboot knows has a file nearly as large."""

_DER_SEQUENCE: Final = 0x30
_RSA_SALT_SIZE: Final = 32
"""MCUboot takes a PSS salt of the hash's length and no other (bootutil/image_rsa.c)."""


class KeyKind(Enum):
    """Kinds of keys that MCUboot can be built for."""

    RSA2048 = "RSA-2048"
    RSA3072 = "RSA-3072"
    ECDSA_P256 = "ECDSA P-256"
    ECDSA_P384 = "ECDSA P-384"
    ED25519 = "Ed25519"


SIGNATURE_TYPES: Final = {
    KeyKind.RSA2048: TlvType.RSA2048_PSS,
    KeyKind.RSA3072: TlvType.RSA3072_PSS,
    KeyKind.ECDSA_P256: TlvType.ECDSA_SIG,
    KeyKind.ECDSA_P384: TlvType.ECDSA_SIG,
    KeyKind.ED25519: TlvType.ED25519,
}


class VerifiedHash(StrEnum):
    """What a bootloader verifies of an image: exactly one, chosen when it is built. The value is the word in policies.

    `EXPECTED_HASH_TLV` and `MCUBOOT_SIGN_PURE` (bootutil/crypto/sha.h, bootutil/image_validate.c).
    """

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    PURE = "pure"
    """No hash at all: the signature is over the image itself."""

    @property
    def tlv(self) -> TlvType | None:
        """The TLV that holds the hash; None for a pure signature, which asks for none."""
        return _HASH_TLVS[self]

    @property
    def words(self) -> str:
        """For people: `SHA-512`, `pure signatures`."""
        return "pure signatures" if self is VerifiedHash.PURE else f"SHA-{self.value.removeprefix('sha')}"


_HASH_TLVS: Final = {
    VerifiedHash.SHA256: TlvType.SHA256,
    VerifiedHash.SHA384: TlvType.SHA384,
    VerifiedHash.SHA512: TlvType.SHA512,
    VerifiedHash.PURE: None,
}
VERIFIED_HASHES: Final = {
    KeyKind.RSA2048: frozenset({VerifiedHash.SHA256}),
    KeyKind.RSA3072: frozenset({VerifiedHash.SHA256}),
    KeyKind.ECDSA_P256: frozenset({VerifiedHash.SHA256}),
    KeyKind.ECDSA_P384: frozenset({VerifiedHash.SHA384}),
    KeyKind.ED25519: frozenset({VerifiedHash.SHA256, VerifiedHash.SHA512, VerifiedHash.PURE}),
}
"""What a bootloader with a key of this kind can be built for (imgtool `ALLOWED_KEY_SHA`, `ALLOWED_PURE_KEY_SHA`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """One public key.

    Attributes:
        kind: of key.
        der: as MCUboot embeds it and hashes it: PKCS#1 for RSA, SubjectPublicKeyInfo for the others.
        where: where it came from, for messages.
        public: the key itself.
    """

    kind: KeyKind
    der: bytes
    where: str
    public: "PublicKey"

    @property
    def signature_type(self) -> TlvType:
        """The TLV that its signatures come in."""
        return SIGNATURE_TYPES[self.kind]

    def named_by(self, tlv_type: int, value: bytes) -> bool:
        """Whether a KEYHASH or PUBKEY entry means this key; a key hash may be of any of the three kinds."""
        if tlv_type == TlvType.PUBKEY:
            return value == self.der
        return value == _digest(self.der, len(value))

    def verifies(self, signature: bytes, signed: bytes | memoryview) -> bool:
        """Whether `signature` is this key's over `signed`: the image's digest, or the image where it is a pure one."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - heavy, and only needed with keys

        try:
            self._verify(signature, signed)
        except (InvalidSignature, ValueError):
            return False
        return True

    def _verify(self, signature: bytes, signed: bytes | memoryview) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec, padding, utils  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - as above
        from cryptography.hazmat.primitives.hashes import SHA256, SHA384  # noqa: PLC0415 - as above

        public = self.public
        if isinstance(public, RSAPublicKey):
            pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=_RSA_SALT_SIZE)
            public.verify(signature, bytes(signed), pss, utils.Prehashed(SHA256()))
        elif isinstance(public, ec.EllipticCurvePublicKey):
            algorithm = SHA256() if self.kind is KeyKind.ECDSA_P256 else SHA384()
            public.verify(_without_padding(signature), bytes(signed), ec.ECDSA(utils.Prehashed(algorithm)))
        else:
            public.verify(signature, signed)


def _without_padding(signature: bytes) -> bytes:
    """A DER signature without the zeros that imgtool's `--pad-sig` adds for MCUboot before 1.5."""
    if len(signature) < 2 or signature[0] != _DER_SEQUENCE:  # noqa: PLR2004 - tag and length
        return signature
    end = signature[1] + 2
    return signature if signature[end:].strip(b"\0") else signature[:end]


def _digest(data: bytes, size: int) -> bytes:
    import hashlib  # noqa: PLC0415 - here only, for a key's own hash

    algorithm = {32: hashlib.sha256, 48: hashlib.sha384, 64: hashlib.sha512}.get(size)
    return b"" if algorithm is None else algorithm(data).digest()


@dataclass(frozen=True, slots=True)
class VerificationKeys:
    """Public keys, loaded once. Make it with `load_keys`; without any, only hashes are checked."""

    keys: tuple[VerificationKey, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    @property
    def signature_types(self) -> frozenset[TlvType]:
        """The signature TLVs that these keys can check."""
        return frozenset(key.signature_type for key in self.keys)

    @property
    def verified_hashes(self) -> frozenset[VerifiedHash]:
        """What a bootloader with these keys can be built to verify; without any, any hash."""
        if not self.keys:
            return frozenset(VerifiedHash) - {VerifiedHash.PURE}
        return frozenset[VerifiedHash]().union(*(VERIFIED_HASHES[key.kind] for key in self.keys))

    def find(self, tlv_type: int, value: bytes) -> VerificationKey | None:
        """The key that a KEYHASH or PUBKEY entry names."""
        return next((key for key in self.keys if key.named_by(tlv_type, value)), None)


def load_keys(*pems: tuple[str, bytes]) -> VerificationKeys:
    """Load keys from PEM; each is (where it came from, its bytes). Of a private key the public half is taken.

    Raises:
        InputError: if one is no key, needs a passphrase, or is of a kind that MCUboot does not know.
    """
    return VerificationKeys(tuple(_load_key(where, pem) for where, pem in pems))


def read_keys(*paths: Path) -> VerificationKeys:
    """Load keys from PEM files.

    Raises:
        InputError: a file cannot be read, or is not a key that `load_keys` takes.
    """
    return load_keys(*((str(path), read_file(path, KEY_FILE)) for path in paths))


def _load_key(where: str, pem: bytes) -> VerificationKey:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - heavy, and only needed with keys
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - as above

    wanted = "a PEM file with an RSA-2048, RSA-3072, ECDSA P-256, ECDSA P-384 or Ed25519 key"
    try:
        if b"PRIVATE KEY" in pem:
            public = serialization.load_pem_private_key(pem, password=None).public_key()
        else:
            public = serialization.load_pem_public_key(pem)
    except TypeError as error:
        raise InputError(where, "the private key is encrypted", "its public half") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(where, "this is not a key", wanted) from error
    return _as_key(where, public, wanted)


def _as_key(where: str, public: object, wanted: str) -> VerificationKey:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - heavy, and only needed with keys
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - as above

    if isinstance(public, RSAPublicKey):
        kind = {2048: KeyKind.RSA2048, 3072: KeyKind.RSA3072}.get(public.key_size)
        if kind is None:
            raise InputError(where, f"an RSA key of {public.key_size} bits", wanted)
        return VerificationKey(
            kind=kind, der=public.public_bytes(Encoding.DER, PublicFormat.PKCS1), where=where, public=public
        )
    if isinstance(public, ec.EllipticCurvePublicKey):
        kind = {"secp256r1": KeyKind.ECDSA_P256, "secp384r1": KeyKind.ECDSA_P384}.get(public.curve.name)
        if kind is None:
            raise InputError(where, f"a key on the curve {public.curve.name}", wanted)
    elif isinstance(public, Ed25519PublicKey):
        kind = KeyKind.ED25519
    else:
        raise InputError(where, "a key that signs nothing", wanted)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerificationKey(kind=kind, der=der, where=where, public=public)
