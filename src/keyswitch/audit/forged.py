"""Images that a device must not run, made from one that it does: bytes in, bytes out.

Rules:

* Each differs from the good one in one thing; everything else fits, so that only the check that is meant can refuse it.
* The key that signs here is known to everybody who reads this file: whoever runs its images checks no key.
* An image of a form that cannot be changed so that the rest fits is `NotReachedError`, never a half forgery.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from keyswitch.audit.target import NotReachedError
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import TLV_HEADER, TLV_INFO, Image, ImageFault, Tlv, parse_image
from keyswitch.mcuboot.tlvs import HASHERS, SIGNATURES, TLV_INFO_MAGIC, TlvType

_NUMBER: Final = 0x6B657973776974636820617564697420
"""The private key of the auditor's own signatures, as a number."""
_RSA_SIZES: Final[dict[int, int]] = {TlvType.RSA2048_PSS: 2048, TlvType.RSA3072_PSS: 3072}


@dataclass(frozen=True, slots=True)
class Forged:
    """A file that must not run. Attributes: words: what is wrong; data: the file; hash: what SMP lists it by."""

    words: str
    data: bytes
    hash: bytes


def one_bit_changed(data: bytes) -> Forged:
    """One bit of the firmware is changed, and the hash made to fit; the signature is the old one's.

    Raises:
        NotReachedError: the image has no hash, or is encrypted.
    """
    image = _plain(data)
    at = image.header.header_size + image.header.image_size // 2
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 : image.header.hashed_size]
    digest = _digest(image, changed)
    entries = ((tlv.type, digest if tlv is image.hashes[0] else tlv.value) for tlv in _own(image))
    words = "an image with one bit of its firmware changed, and its hash made to fit"
    return Forged(words, changed + _area(entries), digest)


def cut_short(data: bytes) -> Forged:
    """The second half of the firmware, and all that comes behind it, is missing.

    Raises:
        NotReachedError: the image has no hash, or is encrypted.
    """
    image = _plain(data)
    end = image.header.header_size + image.header.image_size // 2
    return Forged("an image whose second half is missing", data[:end], image.hash)


def without_signature(data: bytes) -> Forged:
    """Signature and name of its key are taken off; the hash fits.

    Raises:
        NotReachedError: the image has no hash, or is encrypted, or has no signature.
    """
    image = _signed(data)
    gone = SIGNATURES | {TlvType.KEYHASH, TlvType.PUBKEY}
    entries = ((tlv.type, tlv.value) for tlv in _own(image) if tlv.type not in gone)
    return Forged(
        "an image whose signature was taken off", data[: image.header.hashed_size] + _area(entries), image.hash
    )


def signed_by_another(data: bytes, *, named: bool) -> Forged:
    """A good signature by a key that is not the device's.

    Args:
        data: the good image.
        named: whether the image says whose key it is; else it names the device's.

    Raises:
        NotReachedError: the image has no hash, or is encrypted, or is signed in a way that cannot be redone here.
    """
    image = _signed(data)
    signature = next(tlv for tlv in _own(image) if tlv.type in SIGNATURES)
    made, public = _sign(signature.type, image.hashes[0])
    entries: list[tuple[int, bytes]] = []
    for tlv in _own(image):
        value = made if tlv is signature else tlv.value
        if named and tlv.type == TlvType.KEYHASH:
            value = _key_hash(public, len(tlv.value))
        if named and tlv.type == TlvType.PUBKEY:
            value = public
        entries.append((tlv.type, value))
    claims = "which it names" if named else "and names the device's key"
    words = f"an image with a signature by another key, {claims}"
    return Forged(words, data[: image.header.hashed_size] + _area(entries), image.hash)


def _plain(data: bytes) -> Image:
    image = parse_image(BytesSource(data))
    if isinstance(image, ImageFault):
        raise NotReachedError(f"--next cannot be read: {image.line}")
    if image.encrypted or len(image.hashes) != 1:
        raise NotReachedError("--next has no hash that could be made to fit (encrypted, or signed as a whole)")
    return image


def _signed(data: bytes) -> Image:
    image = _plain(data)
    if not any(tlv.type in SIGNATURES for tlv in _own(image)):
        raise NotReachedError("--next has no signature")
    return image


def _own(image: Image) -> tuple[Tlv, ...]:
    return tuple(tlv for tlv in image.tlvs if not tlv.protected)


def _digest(image: Image, hashed: bytes) -> bytes:
    return HASHERS[TlvType(image.hashes[0].type)](hashed).digest()


def _area(entries: Iterable[tuple[int, bytes]]) -> bytes:
    body = b"".join(TLV_HEADER.pack(kind, len(value)) + value for kind, value in entries)
    return TLV_INFO.pack(TLV_INFO_MAGIC, TLV_INFO.size + len(body)) + body


def _key_hash(public: bytes, size: int) -> bytes:
    kind = {32: TlvType.SHA256, 48: TlvType.SHA384, 64: TlvType.SHA512}.get(size, TlvType.SHA256)
    return HASHERS[kind](public).digest()[:size]


def _sign(kind: int, hashed: Tlv) -> tuple[bytes, bytes]:
    """A signature of this kind over a digest by a key of the auditor's, and that key as MCUboot embeds it."""
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - heavy, for one check
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - as above

    der, info = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if kind == TlvType.ED25519:
        own = Ed25519PrivateKey.from_private_bytes(_NUMBER.to_bytes(32, "big"))
        return own.sign(hashed.value), own.public_key().public_bytes(der, info)
    algorithm = hashes.SHA384() if hashed.type == TlvType.SHA384 else hashes.SHA256()
    if kind == TlvType.ECDSA_SIG:
        curve = ec.SECP384R1() if hashed.type == TlvType.SHA384 else ec.SECP256R1()
        elliptic = ec.derive_private_key(_NUMBER, curve)
        signature = elliptic.sign(hashed.value, ec.ECDSA(utils.Prehashed(algorithm)))
        return signature, elliptic.public_key().public_bytes(der, info)
    if kind in _RSA_SIZES:
        large = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_SIZES[kind])
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
        signature = large.sign(hashed.value, pss, utils.Prehashed(algorithm))
        return signature, large.public_key().public_bytes(der, serialization.PublicFormat.PKCS1)
    raise NotReachedError("--next is signed in a way that cannot be redone here")
