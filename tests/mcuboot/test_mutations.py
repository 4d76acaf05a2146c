"""imgtool is the oracle: whatever is done to an image, we never accept what `imgtool verify` refuses."""

import random
import zlib

import pytest
from imgtool.image import Image as OracleImage
from imgtool.image import VerifyResult
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.surgery import MUTATIONS, Parts, sign, take_apart

from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import ImageFault, parse_image
from keyswitch.mcuboot.verify import Limits, VerificationKeys, VerifiedHash, verify

KINDS = {
    "rsa-2048": {"key": "rsa-2048"},
    "rsa-3072": {"key": "rsa-3072"},
    "ecdsa-p256": {"key": "ecdsa-p256"},
    "ecdsa-p384": {"key": "ecdsa-p384"},
    "ed25519": {"key": "ed25519", "hash": VerifiedHash.SHA256},
    "ed25519 sha512": {"key": "ed25519", "options": ("--sha", "512"), "hash": VerifiedHash.SHA512},
    "ed25519 pure": {"key": "ed25519", "options": ("--pure",), "hash": VerifiedHash.PURE},
    "whole public key": {"key": "ecdsa-p256", "options": ("--public-key-format", "full")},
    "protected": {
        "key": "ecdsa-p256",
        "options": ("--security-counter", "7", "--dependencies", "(1, 1.2.3)", "--custom-tlv", "0x00a0", "0x1234"),
    },
    "unsigned": {"key": None},
}


def image_of(kind: str) -> bytes:
    made = KINDS[kind]
    return images.signed("1.2.3", *made.get("options", ()), key=made["key"], size=600, header_size=32)


def oracle_accepts(image: bytes, key: str | None) -> bool:
    path = images.WORK / "mutant.bin"
    path.write_bytes(image)
    try:
        result = OracleImage.verify(str(path), images.imgtool_key(key) if key else None)
    except Exception:  # noqa: BLE001 - imgtool trips over some files; that is no acceptance
        return False
    return result[0] is VerifyResult.OK


def we_accept(image: bytes, kind: str) -> bool:
    """As a bootloader that is built for images of this kind."""
    key = KINDS[kind]["key"]
    keys = images.keys(key) if key else VerificationKeys()
    return verify(BytesSource(image), keys, Limits(hash=KINDS[kind].get("hash"))).ok


@pytest.mark.parametrize("kind", KINDS)
def test_both_accept_what_imgtool_made(kind):
    image, key = image_of(kind), KINDS[kind]["key"]
    assert oracle_accepts(image, key)
    assert we_accept(image, kind)


def compare(kind: str, rounds: int, start: int = 0) -> dict[str, int]:
    """Mutate `rounds` times by each mutation; how often each side accepted."""
    image, key = image_of(kind), KINDS[kind]["key"]
    counts = {"mutants": 0, "both accept": 0, "stricter": 0}
    for mutation in MUTATIONS:
        chance = random.Random(zlib.crc32(f"{kind} {mutation.__name__} {start}".encode()))
        for _ in range(rounds):
            mutant = mutation(image, chance)
            if mutant == image:
                continue
            counts["mutants"] += 1
            ours, theirs = we_accept(mutant, kind), oracle_accepts(mutant, key)
            assert not ours or theirs, f"{kind}, {mutation.__name__}: accepted what imgtool refuses: {mutant.hex()}"
            counts["both accept"] += ours
            counts["stricter"] += theirs and not ours
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_no_mutant_is_accepted_that_imgtool_refuses(kind):
    counts = compare(kind, rounds=3)
    assert counts["mutants"] >= 50


@pytest.mark.deep
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
def test_no_mutant_of_many_is_accepted_that_imgtool_refuses(kind, tell):
    counts = compare(kind, rounds=120, start=1)
    tell(", ".join(f"{count:,} {what}" for what, count in counts.items()))
    assert counts["mutants"] >= 2_000


@pytest.mark.parametrize("kind", ["ecdsa-p256", "ed25519", "protected"])
def test_mutants_that_were_signed_again_are_judged_by_their_structure(kind):
    """Header and protected area are covered by the hash: only a mutant with a good signature shows what is checked."""
    key = KINDS[kind]["key"]
    parts = take_apart(image_of(kind))
    chance = random.Random(7)
    accepted = 0
    for _ in range(60):
        header = bytearray(parts.header)
        at = chance.choice([*range(4, 8), *range(16, 32)])
        header[at] ^= 1 << chance.randrange(8)
        mutant = Parts(bytes(header), parts.payload, parts.protected, parts.entries).signed_again(key).build()
        assert oracle_accepts(mutant, key)
        ours = we_accept(mutant, kind)
        # Load address, version and the last four bytes mean nothing to a check; flags do.
        assert ours == (not 16 <= at < 20 or header[16:20] in (b"\x20\0\0\0", b"\0\x01\0\0"))
        accepted += ours
    assert accepted


# Each class in which we are stricter than imgtool; docs/images.md says where MCUboot asks for it.
@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda entries: [entries[0], *entries], "hash"),
        (lambda entries: [entries[0], entries[2]], "signature"),
        (lambda entries: [entries[0], (1, b"\0" * 32), entries[2]], "signature"),
        (lambda entries: [entries[0], entries[2], entries[1]], "signature"),
        (lambda entries: [*entries, (0x50, b"\0\0\0\0")], "TLVs"),
        (lambda entries: [*entries, (0xA0, b"vendor")], "TLVs"),
        (lambda entries: [*entries, (0x2F, b"")], "TLVs"),
        (lambda entries: [(entries[0][0], entries[0][1] + b"\0"), *entries[1:]], "TLVs"),
        (lambda entries: [*entries, entries[1], (0x22, b"\x30\x06\x02\x01\x01\x02\x01\x01")], "signature"),
        (lambda entries: [entries[1], entries[2], entries[0]], "signature"),
    ],
    ids=[
        "two hashes",
        "no key before the signature",
        "another key before the signature",
        "key after the signature",
        "security counter outside the protected area",
        "vendor entry outside the protected area",
        "unknown entry outside the protected area",
        "hash of a wrong length",
        "a second signature of a known key that is bad",
        "hash after the signature",
    ],
)
def test_where_we_are_stricter_than_imgtool(change, check):
    parts = take_apart(image_of("ecdsa-p256"))
    mutant = Parts(parts.header, parts.payload, parts.protected, tuple(change(list(parts.entries)))).build()
    refusal = verify(BytesSource(mutant), images.keys("ecdsa-p256")).refusal
    assert refusal is not None
    assert refusal.name == check


def test_signatures_by_several_keys():
    parts = take_apart(image_of("ecdsa-p256"))
    other = take_apart(images.signed("1.2.3", key="ecdsa-p256", number=1, size=600, header_size=32))
    both = Parts(parts.header, parts.payload, (), (*parts.entries, *other.entries[1:])).build()
    first, second, third = (images.keys("ecdsa-p256", number) for number in (0, 1, 2))
    assert verify(BytesSource(both), first).ok
    assert verify(BytesSource(both), second).ok
    assert not verify(BytesSource(both), third).ok
    together = verify(BytesSource(both), VerificationKeys(first.keys + second.keys))
    assert together.ok
    assert together.checks[-1].detail == "ECDSA P-256, ECDSA P-256"


def test_signatures_of_several_kinds():
    parts = take_apart(image_of("ecdsa-p256"))
    rsa = take_apart(images.signed("1.2.3", key="rsa-2048", size=600, header_size=32))
    both = Parts(parts.header, parts.payload, (), (*parts.entries, *rsa.entries[1:])).build()
    keys = VerificationKeys(images.keys("ecdsa-p256").keys + images.keys("rsa-2048").keys)
    assert verify(BytesSource(both), keys).checks[-1].detail == "ECDSA P-256, RSA-2048"
    # A bootloader built for one kind does not know the other's entry, and its allow-list refuses it.
    refusal = verify(BytesSource(both), images.keys("rsa-2048")).refusal
    assert refusal is not None
    assert refusal.name == "TLVs"


def test_a_pure_signature_over_something_else_is_refused():
    parts = take_apart(image_of("ed25519 pure"))
    entries = [*parts.entries[:-1], (0x24, sign("ed25519", 0, b"", parts.entries[0][1]))]
    mutant = Parts(parts.header, parts.payload, (), tuple(entries)).build()
    assert not we_accept(mutant, "ed25519 pure")


def test_a_pure_signature_needs_no_hash_entry():
    parts = take_apart(image_of("ed25519 pure"))
    without = Parts(parts.header, parts.payload, (), parts.entries[1:]).build()
    assert oracle_accepts(without, "ed25519")
    assert we_accept(without, "ed25519 pure")


@pytest.mark.parametrize("kind", ["protected", "ed25519 pure"])
def test_an_image_cut_anywhere_is_a_fault_and_nothing_else(kind):
    image = image_of(kind)
    for size in range(len(image)):
        found = parse_image(BytesSource(image[:size]))
        assert isinstance(found, ImageFault)
        assert found.offset is not None
        assert found.offset <= max(size, 12)
    assert not isinstance(parse_image(BytesSource(image)), ImageFault)
