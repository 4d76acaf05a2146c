"""The checks that MCUboot makes before it runs an image, each with a name and a result (bootutil/image_validate.c).

Rules kept here:

* nothing is trusted because it is written in the file: the hash is computed, the signature is checked over it;
* the checks are a list in a fixed order; one failure refuses the image, and says what was expected, found, and where;
* unknown is refused: flags, unprotected TLV types, hashes that do not go with the key;
* an image is read in pieces; only a pure signature is given the whole of it, as a view.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from keyswitch.mcuboot.flash import Source
from keyswitch.mcuboot.image import DEPENDENCY, Image, ImageFault, ImageVersion, Tlv, chunks, parse_image
from keyswitch.mcuboot.keys import VERIFIED_HASHES, VerificationKey, VerificationKeys, VerifiedHash, load_keys
from keyswitch.mcuboot.tlvs import (
    COMPRESSED,
    ENCRYPTED,
    ENCRYPTION_KEYS,
    HASH_SIZES,
    HASHERS,
    SIGNATURES,
    Flags,
    TlvType,
)

__all__ = ["CheckResult", "ImageCheck", "Limits", "VerificationKeys", "VerifiedHash", "load_keys", "verify"]

_KEY_TLVS: Final = frozenset({TlvType.KEYHASH, TlvType.PUBKEY})
_PLAIN_ENCRYPTION_KEYS: Final = ENCRYPTION_KEYS - {TlvType.ENC_X25519_SHA512}
"""Taken by a bootloader that decrypts nothing (`allowed_unprot_tlvs`, built without `MCUBOOT_HMAC_SHA512`)."""
_PROTECTED_ONLY_SIZES: Final[dict[int, int]] = {TlvType.SEC_CNT: 4, TlvType.DEPENDENCY: DEPENDENCY.size}
_EXACT_SIZES: Final[dict[int, int]] = {
    **{int(kind): size for kind, size in HASH_SIZES.items()},
    TlvType.RSA2048_PSS: 256,
    TlvType.RSA3072_PSS: 384,
    TlvType.ED25519: 64,
}
_SHORTEST_ECDSA: Final = 8
"""DER of two integers of one byte; real ones have about 70 or 102."""
_LONGEST_ECDSA: Final = 128
"""MCUboot's buffer for it, padding included (`SIG_BUF_SIZE`, bootutil/image_validate.c)."""
_KEYHASH_SIZES: Final = {
    VerifiedHash.SHA256: 32,
    VerifiedHash.SHA384: 48,
    VerifiedHash.SHA512: 64,
    VerifiedHash.PURE: 64,
}
"""`IMAGE_HASH_SIZE` of each build; pure signatures go with SHA-512 (Zephyr port, `BOOT_SIGNATURE_TYPE_PURE`)."""
_KNOWN_FLAGS: Final = sum(Flags)
_BUILD: Final = "build"
"""The check that asks what the bootloader is built for; the only one that can be open for a plain image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check.

    Attributes:
        name: of the check.
        ok: whether it passed.
        detail: what was found, in words.
        fault: what is wrong, None if it passed.
    """

    name: str
    ok: bool
    detail: str
    fault: ImageFault | None = None

    @property
    def skipped(self) -> bool:
        """Whether it could not be made: neither passed nor failed."""
        return not self.ok and self.fault is None


@dataclass(frozen=True, slots=True)
class _Skipped:
    """A check that cannot be made here, and why."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a particular bootloader asks for beyond a valid image; None asks for nothing.

    Attributes:
        max_size: largest image in bytes, TLVs included.
        min_counter: stored security counter; the image's own may not be lower, and must be there.
        min_version: lowest version that is taken; build numbers do not count.
        rom_address: where images that are built for a fixed address must lie.
        hash: what the bootloader is built to verify; None: not known, so that an image which only some of the builds
            that go with its key would take is neither refused nor taken.
        decrypts: this bootloader takes encrypted images; their hash and signature can only be checked by it.
        unpacks: this bootloader takes compressed images.
    """

    max_size: int | None = None
    min_counter: int | None = None
    min_version: ImageVersion | None = None
    rom_address: int | None = None
    hash: VerifiedHash | None = None
    decrypts: bool = False
    unpacks: bool = False


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCheck:
    """The checks of one image.

    Attributes:
        image: what could be read, None if nothing could.
        checks: in order.
    """

    image: Image | None
    checks: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed."""
        return all(check.ok for check in self.checks)

    @property
    def refusal(self) -> CheckResult | None:
        """The first check that failed."""
        return next((check for check in self.checks if check.fault is not None), None)

    @property
    def inconclusive(self) -> bool:
        """Whether nothing failed, but something could not be checked."""
        return self.refusal is None and not self.ok

    @property
    def condition(self) -> str | None:
        """What the answer depends on, in words, where nothing is open but the build that the image is for."""
        if not self.inconclusive:
            return None
        first, *others = (check for check in self.checks if not check.ok)
        return first.detail if first.name == _BUILD and not others else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """What the checks look at. A digest is computed once, however many checks want it."""

    source: Source
    image: Image
    keys: VerificationKeys
    limits: Limits
    builds: frozenset[VerifiedHash]
    """What the bootloader may be built to verify, as far as that is known."""
    digests: dict[TlvType, bytes] = field(default_factory=dict[TlvType, bytes])

    def digest(self, kind: TlvType) -> bytes:
        """The hash over header, payload and protected TLVs."""
        if kind not in self.digests:
            hasher = HASHERS[kind]()
            for piece in chunks(self.source, self.image.header.hashed_size):
                hasher.update(piece)
            self.digests[kind] = hasher.digest()
        return self.digests[kind]


def verify(source: Source, keys: VerificationKeys, limits: Limits = NO_LIMITS) -> ImageCheck:
    """Make all checks on the image at the start of `source`.

    Args:
        source: file or slot.
        keys: what signatures are checked with; without any, no signature is asked for.
        limits: what this bootloader asks for besides.
    """
    image = parse_image(source)
    if isinstance(image, ImageFault):
        return ImageCheck(image=None, checks=(_failed("format", image),))
    readable = CheckResult(name="format", ok=True, detail=f"version {image.version}, {image.size} bytes")
    builds = keys.verified_hashes if limits.hash is None else frozenset({limits.hash})
    case = _Case(source=source, image=image, keys=keys, limits=limits, builds=builds)
    checks = [readable]
    for name, check in CHECKS:
        result = check(case)
        if isinstance(result, ImageFault):
            checks.append(_failed(name, result))
        elif isinstance(result, _Skipped):
            checks.append(CheckResult(name=name, ok=False, detail=result.why))
        elif result:
            checks.append(CheckResult(name=name, ok=True, detail=result))
    return ImageCheck(image=image, checks=tuple(checks))


def _failed(name: str, fault: ImageFault) -> CheckResult:
    return CheckResult(name=name, ok=False, detail=fault.line, fault=fault)


def _check_flags(case: _Case) -> str | ImageFault:
    flags = case.image.header.flags
    encrypted = flags & ENCRYPTED and not case.limits.decrypts
    compressed = flags & COMPRESSED and not case.limits.unpacks
    refused = (
        (Flags(0) if not flags & ~_KNOWN_FLAGS else flags, "only known flags", "unknown flags"),
        (flags & Flags.PIC, "an image for a fixed place", "a position-independent image"),
        (flags & Flags.NON_BOOTABLE, "a bootable image", "the flag NON_BOOTABLE"),
        (encrypted, "a plain image", "an encrypted image, which this bootloader cannot decrypt"),
        (compressed, "a plain image", "a compressed image, which this bootloader cannot unpack"),
    )
    for present, expected, found in refused:
        if present:
            return ImageFault(check="flags", expected=expected, found=f"{found} ({int(flags):#x})", offset=16)
    address = case.limits.rom_address
    if flags & Flags.ROM_FIXED and address is not None and case.image.header.load_address != address:
        found = f"{case.image.header.load_address:#x}"
        return ImageFault(check="flags", expected=f"built for address {address:#x}", found=found, offset=4)
    return f"{int(flags):#x}"


def _check_tlvs(case: _Case) -> str | ImageFault:
    allowed = _KEY_TLVS | frozenset(HASH_SIZES) | (case.keys.signature_types or SIGNATURES)
    allowed |= ENCRYPTION_KEYS if case.limits.decrypts else _PLAIN_ENCRYPTION_KEYS
    if VerifiedHash.PURE in case.builds:
        allowed |= {TlvType.SIG_PURE}
    for tlv in case.image.tlvs:
        fault = _check_protected(tlv) if tlv.protected else _check_unprotected(case, tlv, allowed)
        if fault is not None:
            return fault
    return _check_end_of_protected(case.image) or f"{len(case.image.tlvs)} entries"


def _check_end_of_protected(image: Image) -> ImageFault | None:
    """An empty last entry ends where the area ends: MCUboot counts it as unprotected (`bootutil_tlv_iter_is_prot`)."""
    last = next((tlv for tlv in reversed(image.tlvs) if tlv.protected), None)
    if last is None or last.value:
        return None
    return ImageFault(
        check="TLVs",
        expected="a last protected entry with a value, since MCUboot counts an empty one as unprotected",
        found=f"{last.name} of 0 bytes",
        offset=last.offset,
    )


def _check_unprotected(case: _Case, tlv: Tlv, allowed: frozenset[TlvType]) -> ImageFault | None:
    if tlv.type not in allowed:
        return ImageFault(
            check="TLVs",
            expected="only hash, key and signature outside the protected area",
            found=tlv.name,
            offset=tlv.offset,
        )
    if tlv.type == TlvType.SIG_PURE and tlv.value != b"\x01":
        return ImageFault(
            check="TLVs", expected="SIG_PURE of one byte 01", found=tlv.value.hex() or "empty", offset=tlv.offset
        )
    shortest, longest = _sizes_of(case, tlv)
    if not shortest <= len(tlv.value) <= longest:
        sizes = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
        return ImageFault(
            check="TLVs", expected=f"{tlv.name} of {sizes} bytes", found=f"{len(tlv.value)}", offset=tlv.offset
        )
    return None


def _sizes_of(case: _Case, tlv: Tlv) -> tuple[int, int]:
    """The shortest and longest value that an unprotected entry may have."""
    exact = _EXACT_SIZES.get(tlv.type)
    if exact is not None:
        return exact, exact
    if tlv.type == TlvType.ECDSA_SIG:
        return _SHORTEST_ECDSA, _LONGEST_ECDSA
    if tlv.type == TlvType.KEYHASH and case.keys:
        # `KEY_BUF_SIZE`; a bootloader without keys does not look at it.
        return 0, max(_KEYHASH_SIZES[build] for build in case.builds)
    return 0, 0xFFFF


def _check_protected(tlv: Tlv) -> ImageFault | None:
    if tlv.type in HASH_SIZES or tlv.type in SIGNATURES or tlv.type in _KEY_TLVS or tlv.type == TlvType.SIG_PURE:
        expected = "hash, key and signature outside the protected area"
        return ImageFault(check="TLVs", expected=expected, found=tlv.name, offset=tlv.offset)
    size = _PROTECTED_ONLY_SIZES.get(tlv.type)
    if size is not None and len(tlv.value) != size:
        return ImageFault(
            check="TLVs", expected=f"{tlv.name} of {size} bytes", found=f"{len(tlv.value)}", offset=tlv.offset
        )
    return None


def _check_size(case: _Case) -> str | ImageFault:
    limit = case.limits.max_size
    if limit is None:
        return ""
    if case.image.size > limit:
        return ImageFault(check="size", expected=f"at most {limit} bytes", found=f"{case.image.size} bytes")
    return f"{case.image.size} of {limit} bytes"


def _pure(image: Image) -> bool:
    return bool(image.find(TlvType.SIG_PURE))


def _check_hash(case: _Case) -> str | ImageFault | _Skipped:
    if case.image.encrypted:
        return _Skipped("not checked: the hash is over the decrypted image, which only the device has")
    hashes = case.image.hashes
    if not hashes and _pure(case.image) and case.keys:
        return "none; the signature is over the image itself"
    if len(hashes) != 1:
        return ImageFault(check="hash", expected="exactly one hash TLV", found=str(len(hashes)))
    tlv = hashes[0]
    if not _pure(case.image) and not any(build.tlv == tlv.type for build in case.builds):
        return ImageFault(check="hash", expected=_hash_wanted(case), found=tlv.name, offset=tlv.offset)
    computed = case.digest(TlvType(tlv.type))
    if computed != tlv.value:
        return ImageFault(check="hash", expected=tlv.value.hex(), found=computed.hex(), offset=tlv.offset)
    return f"{tlv.name} {computed.hex()}"


def _hash_wanted(case: _Case) -> str:
    """Which hash would have been right, in words."""
    if case.limits.hash is not None:
        return f"{case.limits.hash.words} (what the bootloader is built for)"
    kinds = ", ".join(sorted({key.kind.value for key in case.keys.keys}))
    return f"a hash that goes with {kinds}"


def _check_build(case: _Case) -> str | ImageFault | _Skipped:
    """Whether the bootloader is built for what this image carries: one hash, or a signature over the image itself."""
    if not case.keys:
        return ""
    wanted = next((build for build in VerifiedHash if _made_for(case.image, build)), None)
    if wanted is None or case.builds == frozenset({wanted}):
        return ""
    if wanted in case.builds:
        return _Skipped(f"yes, if the bootloader is built for {wanted.words}")
    if case.limits.hash is None:
        # The checks of hash and signature say that it does not go with the key.
        return ""
    expected = f"one for {case.limits.hash.words}, which the bootloader is built for"
    return ImageFault(check=_BUILD, expected=expected, found=f"an image for {wanted.words}")


def _made_for(image: Image, build: VerifiedHash) -> bool:
    if _pure(image):
        return build is VerifiedHash.PURE
    return [tlv.type for tlv in image.hashes] == [build.tlv]


def _check_signature(case: _Case) -> str | ImageFault | _Skipped:
    """Signatures by known keys must all be good, and there must be one."""
    if not case.keys:
        return ""
    if case.image.encrypted:
        return _Skipped("not checked: the signature is over the decrypted image, which only the device has")
    good: list[str] = []
    signatures = [tlv for tlv in case.image.tlvs if tlv.type in SIGNATURES and not tlv.protected]
    for tlv in signatures:
        if any(found.offset > tlv.offset for found in case.image.hashes):
            return ImageFault(check="signature", expected="the hash before it", found=tlv.name, offset=tlv.offset)
        key = _key_of(case, tlv)
        if key is None:
            continue
        fault = _check_one_signature(case, key, tlv)
        if fault is not None:
            return fault
        good.append(key.kind.value)
    if good:
        return ", ".join(good)
    wanted = f"a signature by {', '.join(key.where for key in case.keys.keys)}"
    names = ", ".join(tlv.name for tlv in signatures)
    return ImageFault(check="signature", expected=wanted, found=f"{names} by another key" if names else "no signature")


def _key_of(case: _Case, signature: Tlv) -> VerificationKey | None:
    """The known key that a signature claims to be by: the key entry right before it names it, and the kind fits."""
    named: VerificationKey | None = None
    for tlv in case.image.tlvs:
        if tlv.protected:
            continue
        if tlv is signature:
            return named if named is not None and named.signature_type == tlv.type else None
        if tlv.type in _KEY_TLVS:
            named = case.keys.find(tlv.type, tlv.value)
        elif tlv.type in SIGNATURES:
            named = None
    return None


def _check_one_signature(case: _Case, key: VerificationKey, tlv: Tlv) -> ImageFault | None:
    if _pure(case.image):
        if key.signature_type != TlvType.ED25519:
            return ImageFault(
                check="signature", expected="a signature over the hash", found="SIG_PURE", offset=tlv.offset
            )
        signed: bytes | memoryview = case.source.view(0, case.image.header.hashed_size)
    else:
        hashes = case.image.hashes
        takes = {build.tlv for build in VERIFIED_HASHES[key.kind]}
        if len(hashes) != 1 or hashes[0].type not in takes:
            found = ", ".join(found.name for found in hashes) or "no hash"
            return ImageFault(check="signature", expected=f"one hash that goes with {key.kind.value}", found=found)
        signed = case.digest(TlvType(hashes[0].type))
    if not key.verifies(tlv.value, signed):
        return ImageFault(
            check="signature", expected=f"a good signature by {key.where}", found="a bad one", offset=tlv.offset
        )
    return None


def _check_counter(case: _Case) -> str | ImageFault:
    stored = case.limits.min_counter
    if stored is None:
        return ""
    counter = case.image.security_counter
    if counter is None or counter < stored:
        found = "none" if counter is None else str(counter)
        return ImageFault(check="security counter", expected=f"{stored} or more", found=found)
    return f"{counter}, stored {stored}"


def _check_version(case: _Case) -> str | ImageFault:
    lowest = case.limits.min_version
    if lowest is None:
        return ""
    version = case.image.version
    if version.without_build < lowest.without_build:
        return ImageFault(check="version", expected=f"{lowest} or newer", found=str(version), offset=20)
    return f"{version}, running {lowest}"


CHECKS: Final[tuple[tuple[str, Callable[[_Case], str | ImageFault | _Skipped]], ...]] = (
    ("flags", _check_flags),
    (_BUILD, _check_build),
    ("TLVs", _check_tlvs),
    ("size", _check_size),
    ("hash", _check_hash),
    ("signature", _check_signature),
    ("security counter", _check_counter),
    ("version", _check_version),
)
"""What is checked, in this order; an empty answer means that the check was not asked for."""
