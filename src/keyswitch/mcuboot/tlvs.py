"""Names and numbers of MCUboot's image format, written once (bootutil/image.h).

`Tlv` types other than these are vendor types (low byte 0xA0 and above) or unknown.
"""

import hashlib
from enum import IntEnum, IntFlag
from typing import Final

IMAGE_MAGIC: Final = 0x96F3B83D
IMAGE_MAGIC_V1: Final = 0x96F3B83C
"""The first format, not bootable since MCUboot 1.0."""
TLV_INFO_MAGIC: Final = 0x6907
TLV_PROTECTED_INFO_MAGIC: Final = 0x6908
VENDOR_TYPE_MIN: Final = 0xA0
"""A type whose low byte is this or more belongs to vendors."""


class Flags(IntFlag):
    """Header flags."""

    PIC = 0x001
    ENCRYPTED_AES128 = 0x004
    ENCRYPTED_AES256 = 0x008
    NON_BOOTABLE = 0x010
    RAM_LOAD = 0x020
    ROM_FIXED = 0x100
    COMPRESSED_LZMA1 = 0x200
    COMPRESSED_LZMA2 = 0x400
    COMPRESSED_ARM_THUMB = 0x800


ENCRYPTED: Final = Flags.ENCRYPTED_AES128 | Flags.ENCRYPTED_AES256
COMPRESSED: Final = Flags.COMPRESSED_LZMA1 | Flags.COMPRESSED_LZMA2 | Flags.COMPRESSED_ARM_THUMB


class TlvType(IntEnum):
    """Known TLV types."""

    KEYHASH = 0x01
    PUBKEY = 0x02
    SHA256 = 0x10
    SHA384 = 0x11
    SHA512 = 0x12
    RSA2048_PSS = 0x20
    ECDSA224 = 0x21
    ECDSA_SIG = 0x22
    RSA3072_PSS = 0x23
    ED25519 = 0x24
    SIG_PURE = 0x25
    ENC_RSA2048 = 0x30
    ENC_KW = 0x31
    ENC_EC256 = 0x32
    ENC_X25519 = 0x33
    ENC_X25519_SHA512 = 0x34
    DEPENDENCY = 0x40
    SEC_CNT = 0x50
    BOOT_RECORD = 0x60
    DECOMP_SIZE = 0x70
    DECOMP_SHA = 0x71
    DECOMP_SIGNATURE = 0x72
    COMP_DEC_SIZE = 0x73
    UUID_VID = 0x74
    UUID_CID = 0x75


HASH_SIZES: Final = {TlvType.SHA256: 32, TlvType.SHA384: 48, TlvType.SHA512: 64}
HASHERS: Final = {TlvType.SHA256: hashlib.sha256, TlvType.SHA384: hashlib.sha384, TlvType.SHA512: hashlib.sha512}
SIGNATURES: Final = frozenset(
    {TlvType.RSA2048_PSS, TlvType.RSA3072_PSS, TlvType.ECDSA224, TlvType.ECDSA_SIG, TlvType.ED25519}
)
ENCRYPTION_KEYS: Final = frozenset(
    {TlvType.ENC_RSA2048, TlvType.ENC_KW, TlvType.ENC_EC256, TlvType.ENC_X25519, TlvType.ENC_X25519_SHA512}
)


def type_name(number: int) -> str:
    """The name of a TLV type as MCUboot spells it, `vendor 0x..` or `unknown 0x..`."""
    if number in TlvType._value2member_map_:
        return TlvType(number).name
    kind = "vendor" if number & 0xFF >= VENDOR_TYPE_MIN else "unknown"
    return f"{kind} {number:#06x}"
