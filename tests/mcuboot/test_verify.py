import hashlib
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)
from tests.mcuboot import imgtool_images as images
from tests.mcuboot.surgery import Parts, take_apart

from keyswitch.errors import InputError
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import ImageVersion
from keyswitch.mcuboot.keys import VerificationKeys, VerifiedHash, load_keys
from keyswitch.mcuboot.verify import ImageCheck, Limits, verify

KEYS = images.keys()
GOOD = images.signed("1.2.3", size=900, header_size=32)


def judge(data: bytes, keys: VerificationKeys = KEYS, limits: Limits | None = None) -> ImageCheck:
    return verify(BytesSource(data), keys, limits or Limits())


def line(data: bytes, keys: VerificationKeys = KEYS, limits: Limits | None = None) -> str:
    refusal = judge(data, keys, limits).refusal
    assert refusal is not None
    return refusal.detail


@pytest.mark.parametrize("kind", images.KEY_TYPES)
@pytest.mark.parametrize("key_format", ["hash", "full"])
def test_every_kind_of_key(kind, key_format):
    image = images.signed("1.2.3", "--public-key-format", key_format, key=kind, size=900)
    known = Limits(hash=VerifiedHash.SHA256 if kind == "ed25519" else None)
    assert judge(image, images.keys(kind), known).ok
    for other in images.KEY_TYPES:
        if other != kind:
            assert not judge(image, images.keys(other)).ok
    assert "by another key" in line(image, images.keys(kind, 1))


@pytest.mark.parametrize("kind", images.KEY_TYPES)
def test_a_private_key_file_gives_its_public_half(kind):
    loaded = load_keys(("private.pem", images.private_key(kind).read_bytes()))
    assert [key.der for key in loaded.keys] == [key.der for key in images.keys(kind).keys]


def test_hash_and_signature_of_a_padded_signature():
    """`--pad-sig` fills up to 72 bytes for MCUboot before 1.5: with none, one or two zeros."""
    for seed in range(8):
        assert judge(images.signed("1.2.3", "--pad-sig", seed=seed)).ok


def test_padding_behind_a_signature_is_zeros_and_nothing_else():
    parts = take_apart(GOOD)
    for padding, good in ((b"\0", True), (b"\0\0", True), (b"\0\1", False)):
        entries = (*parts.entries[:2], (parts.entries[2][0], parts.entries[2][1] + padding))
        assert judge(Parts(parts.header, parts.payload, (), entries).build()).ok is good


def test_no_keys_no_signature_asked_for():
    verdict = judge(images.signed("1.2.3", key=None), VerificationKeys())
    assert verdict.ok
    assert [check.name for check in verdict.checks] == ["format", "flags", "TLVs", "hash"]
    assert judge(GOOD, VerificationKeys()).ok


def test_everything_that_is_asked_for_is_listed_in_order():
    verdict = judge(
        images.signed("1.2.3", "--security-counter", "4"),
        limits=Limits(max_size=5000, min_counter=4, min_version=ImageVersion(1, 2, 3)),
    )
    assert [(check.name, check.ok) for check in verdict.checks] == [
        ("format", True),
        ("flags", True),
        ("TLVs", True),
        ("size", True),
        ("hash", True),
        ("signature", True),
        ("security counter", True),
        ("version", True),
    ]


@pytest.mark.parametrize(("limit", "ok"), [(-1, False), (0, True), (1, True)])
def test_size(limit, ok):
    limits = Limits(max_size=len(GOOD) + limit)
    assert judge(GOOD, limits=limits).ok is ok
    if not ok:
        assert line(GOOD, limits=limits) == f"size: found {len(GOOD)} bytes, expected at most {len(GOOD) - 1} bytes"


@pytest.mark.parametrize(("stored", "ok"), [(3, True), (4, True), (5, False)])
def test_security_counter(stored, ok):
    image = images.signed("1.2.3", "--security-counter", "4")
    assert judge(image, limits=Limits(min_counter=stored)).ok is ok


def test_a_missing_counter_is_refused_where_one_is_stored():
    assert line(GOOD, limits=Limits(min_counter=0)) == "security counter: found none, expected 0 or more"


@pytest.mark.parametrize(("lowest", "ok"), [("1.2.2", True), ("1.2.3", True), ("1.2.4", False), ("1.10.0", False)])
def test_version(lowest, ok):
    numbers = ImageVersion(*(int(number) for number in lowest.split(".")))
    assert judge(GOOD, limits=Limits(min_version=numbers)).ok is ok


def test_the_build_number_does_not_count():
    image = images.signed("1.2.3+4")
    assert judge(image, limits=Limits(min_version=ImageVersion(1, 2, 3, 9))).ok


@pytest.mark.parametrize(("address", "ok"), [(0x10000, True), (0x20000, False), (None, True)])
def test_an_image_for_a_fixed_address(address, ok):
    image = images.signed("1.2.3", "--rom-fixed", "0x10000")
    assert judge(image, limits=Limits(rom_address=address)).ok is ok


@pytest.mark.parametrize("bit", range(32))
def test_every_flag(bit):
    known_harmless = {0x20, 0x100}
    parts = take_apart(GOOD)
    header = bytearray(parts.header)
    header[16:20] = (1 << bit).to_bytes(4, "little")
    image = Parts(bytes(header), parts.payload, (), parts.entries).signed_again("ecdsa-p256").build()
    refusal = judge(image).refusal
    assert (refusal is None) == (1 << bit in known_harmless)
    assert refusal is None or refusal.name == "flags"


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("rsa-2048", ()),
        ("ecdsa-p256", ()),
        ("ecdsa-p256", ("--encrypt-keylen", "256")),
        ("x25519", ()),
        ("x25519", ("--hmac-sha", "512")),
    ],
)
def test_encrypted_images_are_recognised_and_refused_unless_the_bootloader_takes_them(kind, options):
    images.public_pem(kind)
    public = images.WORK / f"{kind}-0.pub.pem"
    signer = "ed25519" if kind == "x25519" else kind
    image = images.signed("1.2.3", "--encrypt", str(public), *options, key=signer)
    assert "an encrypted image, which this bootloader cannot decrypt" in line(image, images.keys(signer))
    verdict = judge(image, images.keys(signer), Limits(decrypts=True))
    assert verdict.inconclusive
    # Only for Ed25519 the key does not say what the bootloader is built to verify.
    build = ["build"] if signer == "ed25519" else []
    assert [check.name for check in verdict.checks if check.skipped] == [*build, "hash", "signature"]


@pytest.mark.parametrize("compression", ["lzma2", "lzma2armthumb"])
def test_compressed_images_are_recognised_and_refused_unless_the_bootloader_takes_them(compression):
    source, target = images.WORK / "zeros.raw", images.WORK / f"{compression}.bin"
    source.write_bytes(b"keyswitch " * 2000)
    images.run(
        "sign", "--key", str(images.private_key()), "--header-size", "512", "--pad-header", "--align", "4",
        "--version", "1.2.3", "--slot-size", "0x10000", "--compression", compression, str(source), str(target),
    )  # fmt: skip
    image = target.read_bytes()
    assert "a compressed image, which this bootloader cannot unpack" in line(image)
    assert judge(image, limits=Limits(unpacks=True)).ok


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("--boot-record", "AppFW"), "BOOT_RECORD"),
        (("--custom-tlv", "0x00a1", "vendor text"), "vendor 0x00a1"),
        (("--vid", "example.com", "--cid", "pump"), "UUID_VID"),
        (("--dependencies", "(0, 1.0.0)"), "DEPENDENCY"),
    ],
)
def test_protected_tlvs_that_mean_nothing_to_the_checks_are_taken(options, name):
    verdict = judge(images.signed("1.2.3", *options))
    assert verdict.ok
    assert verdict.image is not None
    assert name in [tlv.name for tlv in verdict.image.tlvs]


@pytest.mark.parametrize(
    ("protected", "said"),
    [
        ((0x50, b"\0\0\0"), "TLVs: found 3, expected SEC_CNT of 4 bytes"),
        ((0x40, b"\0" * 11), "TLVs: found 11, expected DEPENDENCY of 12 bytes"),
        ((0x10, b"\0" * 32), "TLVs: found SHA256, expected hash, key and signature outside the protected area"),
        ((0x25, b"\1"), "TLVs: found SIG_PURE, expected hash, key and signature outside the protected area"),
    ],
)
def test_protected_tlvs_that_are_wrong(protected, said):
    parts = take_apart(GOOD)
    image = Parts(parts.header, parts.payload, (protected,), parts.entries).signed_again("ecdsa-p256").build()
    assert line(image).startswith(said)


def test_a_wrong_hash_says_both():
    image = GOOD[:100] + bytes([GOOD[100] ^ 1]) + GOOD[101:]
    parts = take_apart(image)
    offset = len(parts.hashed()) + 4
    computed = hashlib.sha256(parts.hashed()).hexdigest()
    assert line(image) == f"hash: found {computed}, expected {parts.entries[0][1].hex()} at byte {offset} ({offset:#x})"


ED25519_IMAGES = {
    VerifiedHash.SHA256: images.signed("1.2.3", key="ed25519"),
    VerifiedHash.SHA512: images.signed("1.2.3", "--sha", "512", key="ed25519"),
    VerifiedHash.PURE: images.signed("1.2.3", "--pure", key="ed25519"),
}


@pytest.mark.parametrize("made_for", ED25519_IMAGES)
@pytest.mark.parametrize("built_for", ED25519_IMAGES)
def test_a_bootloader_takes_one_kind_of_ed25519_image(made_for, built_for):
    """Each of the nine was tried with the real MCUboot in its three builds."""
    verdict = judge(ED25519_IMAGES[made_for], images.keys("ed25519"), Limits(hash=built_for))
    assert verdict.ok is (made_for is built_for)
    assert (verdict.refusal is None) is (made_for is built_for)


@pytest.mark.parametrize("made_for", ED25519_IMAGES)
def test_no_yes_where_it_is_not_known_what_the_bootloader_is_built_for(made_for):
    verdict = judge(ED25519_IMAGES[made_for], images.keys("ed25519"))
    assert verdict.inconclusive
    (build,) = (check for check in verdict.checks if check.skipped)
    assert build.detail == f"yes, if the bootloader is built for {made_for.words}"


def test_a_policy_that_asks_for_another_hash_than_the_image_has():
    assert line(GOOD, limits=Limits(hash=VerifiedHash.SHA512)) == (
        "build: found an image for SHA-256, expected one for SHA-512, which the bootloader is built for"
    )


def signed_with(kind: str, entries: list[tuple[int, bytes]], protected: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    parts = take_apart(images.signed("1.2.3", key=kind, size=900, header_size=32))
    return Parts(parts.header, parts.payload, protected, tuple(entries)).signed_again(kind).build()


@pytest.mark.parametrize(("value", "ok"), [(b"", False), (b"\0", True)])
@pytest.mark.parametrize("kind", [0x00A0, 0x60, 0x74, 0x1234])
def test_an_empty_last_entry_of_the_protected_area(kind, value, ok):
    entries = list(take_apart(GOOD).entries)
    verdict = judge(signed_with("ecdsa-p256", entries, ((0xA1, b"first"), (kind, value))))
    assert verdict.ok is ok
    assert judge(signed_with("ecdsa-p256", entries, ((kind, value), (0xA1, b"last")))).ok


@pytest.mark.parametrize(("size", "ok"), [(31, True), (32, True), (33, False)])
@pytest.mark.parametrize("place", [0, 3])
def test_a_key_hash_that_is_longer_than_the_bootloaders_buffer(size, ok, place):
    """Shorter ones name no key; a longer one ends the check, wherever it stands (`KEY_BUF_SIZE`)."""
    entries = list(take_apart(GOOD).entries)
    entries.insert(place, (0x01, b"\0" * size))
    assert judge(signed_with("ecdsa-p256", entries)).ok is ok


def test_a_key_of_the_newer_encryption_is_no_entry_of_a_plain_image():
    entries = [*take_apart(GOOD).entries, (0x34, b"\0" * 32)]
    assert line(signed_with("ecdsa-p256", entries)).startswith("TLVs: found ENC_X25519_SHA512")
    assert judge(signed_with("ecdsa-p256", [*entries[:-1], (0x33, b"\0" * 32)])).ok


@pytest.mark.parametrize(("size", "ok"), [(127, True), (128, True), (129, False)])
def test_a_signature_longer_than_the_bootloaders_buffer(size, ok):
    parts = take_apart(GOOD)
    entries = (*parts.entries[:2], (parts.entries[2][0], parts.entries[2][1].ljust(size, b"\0")))
    assert judge(Parts(parts.header, parts.payload, (), entries).build()).ok is ok


def test_a_pure_signature_is_nothing_for_a_bootloader_without_keys():
    refusal = judge(ED25519_IMAGES[VerifiedHash.PURE], VerificationKeys()).refusal
    assert refusal is not None
    assert refusal.detail.startswith("TLVs: found SIG_PURE")


def test_a_hash_that_does_not_go_with_the_key():
    image = images.signed("1.2.3", "--sha", "512", key=None)
    assert "found SHA512, expected a hash that goes with ECDSA P-256" in line(image)


@pytest.mark.parametrize("sha", ["256", "384", "512"])
def test_every_hash_without_keys(sha):
    assert judge(images.signed("1.2.3", "--sha", sha, key=None), VerificationKeys()).ok


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (b"", "this is not a key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "this is not a key"),
        (GOOD, "this is not a key"),
    ],
)
def test_what_is_no_key_is_named(pem, said):
    with pytest.raises(InputError, match=rf"^key\.pem: {said} .expected a PEM file with an RSA-2048"):
        load_keys(("key.pem", pem))


def test_keys_that_mcuboot_does_not_know():
    def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
        return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    with pytest.raises(InputError, match="an RSA key of 1024 bits"):
        load_keys(("key.pem", pem(rsa.generate_private_key(65537, 1024))))  # noqa: S505 - refused is the point
    with pytest.raises(InputError, match="a key on the curve secp521r1"):
        load_keys(("key.pem", pem(ec.generate_private_key(ec.SECP521R1()))))
    with pytest.raises(InputError, match="a key that signs nothing"):
        load_keys(("key.pem", images.public_pem("x25519")))
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    with pytest.raises(InputError, match="the private key is encrypted"):
        load_keys(("key.pem", locked))


def test_reading_images_and_booting_without_keys_imports_no_cryptography():
    code = "import sys, keyswitch.mcuboot.bootloader, keyswitch.mcuboot.accept; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
