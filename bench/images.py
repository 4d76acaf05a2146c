"""What checking an image costs, beside hashing it and checking one signature with `cryptography` alone."""

import hashlib
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from tests.mcuboot import imgtool_images as images

from keyswitch.mcuboot.files import FileSource
from keyswitch.mcuboot.image import HASH_CHUNK, Image, parse_image
from keyswitch.mcuboot.keys import KeyKind, VerificationKeys
from keyswitch.mcuboot.tlvs import SIGNATURES, TlvType
from keyswitch.mcuboot.verify import verify

SIZE = 1024 * 1024
RATIO = 1.3
"""The mark: how much more than hashing and one signature check a verification may cost."""
FLAT_BYTES = 512 * 1024
"""The mark: how much memory a verification may take, whatever the image's size."""
ROUNDS = 20
BATCH = 5

KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "RSA-2048": ("rsa-2048", ()),
    "RSA-3072": ("rsa-3072", ()),
    "ECDSA P-256": ("ecdsa-p256", ()),
    "ECDSA P-384": ("ecdsa-p384", ()),
    "Ed25519": ("ed25519", ()),
    "Ed25519 pure": ("ed25519", ("--pure",)),
}


def run() -> dict[str, object]:
    """Measure every kind of signature."""
    cells: list[dict[str, object]] = []
    missed: list[str] = []
    for name, (key, options) in KINDS.items():
        path = make(name, key, options, SIZE)
        keys = images.keys(key)
        ours_us, alone_us = by_turns(lambda path=path, keys=keys: check(path, keys), alone(path, keys))
        ratio = ours_us / alone_us
        peak_bytes = max(memory(path, keys), memory(make(name, key, options, 4 * SIZE), keys))
        cells.append(
            {
                "signature": name,
                "image_bytes": SIZE,
                "verify_us": round(ours_us),
                "hash_and_signature_us": round(alone_us),
                "ratio": round(ratio, 3),
                "peak_bytes": peak_bytes,
            }
        )
        print(f"{name:<13} {ours_us:7.0f} us, alone {alone_us:7.0f} us, ratio {ratio:.2f}, {peak_bytes // 1024} KiB")
        if ratio > RATIO:
            missed.append(f"{name}: verification costs {ratio:.2f} times hash and signature alone, mark {RATIO}")
        if peak_bytes > FLAT_BYTES:
            missed.append(f"{name}: verification takes {peak_bytes} bytes of memory, mark {FLAT_BYTES}")
    return {"images": cells, "missed": missed}


def make(name: str, key: str, options: tuple[str, ...], size: int) -> Path:
    """A signed image of `size` bytes of payload, as a file."""
    path = images.WORK / f"bench {name} {size}.bin"
    path.write_bytes(images.signed("1.0.0", *options, size=size, key=key, slot_size=2 * size))
    return path


def check(path: Path, keys: VerificationKeys) -> None:
    """Everything that the product does, the file opened and read in pieces."""
    with path.open("rb") as file:
        if not verify(FileSource(file), keys).ok:
            raise RuntimeError(f"{path}: refused")


def alone(path: Path, keys: VerificationKeys) -> Callable[[], None]:
    """Hashing the same bytes in the same pieces, and one signature check; nothing is parsed."""
    with path.open("rb") as file:
        source = FileSource(file)
        image = parse_image(source)
    if not isinstance(image, Image):
        raise TypeError(image.line)
    hashed_size = image.header.hashed_size
    signature = next(tlv.value for tlv in image.tlvs if tlv.type in SIGNATURES)
    pure = bool(image.find(TlvType.SIG_PURE))
    algorithm = {48: hashlib.sha384, 64: hashlib.sha512}.get(len(image.hash), hashlib.sha256)
    key = keys.keys[0]

    def work() -> None:
        with path.open("rb") as file:
            hasher = algorithm()
            left = hashed_size
            while left:
                piece = file.read(min(HASH_CHUNK, left))
                hasher.update(piece)
                left -= len(piece)
            file.seek(0)
            signed = file.read(hashed_size) if pure else hasher.digest()
        if isinstance(key.public, RSAPublicKey):
            pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32)
            key.public.verify(signature, signed, pss, utils.Prehashed(SHA256()))
        elif isinstance(key.public, ec.EllipticCurvePublicKey):
            digest = SHA384() if key.kind is KeyKind.ECDSA_P384 else SHA256()
            key.public.verify(signature, signed, ec.ECDSA(utils.Prehashed(digest)))
        else:
            key.public.verify(signature, signed)

    return work


def by_turns(first: Callable[[], None], second: Callable[[], None]) -> tuple[float, float]:
    """The least microseconds of two things done by turns: what they cost where nothing else disturbs them."""
    times: tuple[list[float], list[float]] = ([], [])
    first(), second()
    for number in range(ROUNDS):
        # Whoever comes second finds the file in the processor's cache, so the order changes.
        turns = list(zip((first, second), times, strict=True))
        for work, taken in turns if number % 2 else reversed(turns):
            began = time.perf_counter()
            for _ in range(BATCH):
                work()
            taken.append((time.perf_counter() - began) * 1e6 / BATCH)
    return min(times[0]), min(times[1])


def memory(path: Path, keys: VerificationKeys) -> int:
    """The most memory in bytes that one check takes; mapped pages of the file are not counted, they can be dropped."""
    tracemalloc.start()
    try:
        check(path, keys)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
