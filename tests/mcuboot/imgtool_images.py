"""Images for the tests, made by imgtool itself; no binary fixtures."""

import contextlib
import io
import os
import random
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from imgtool import keys as imgtool_keys
from imgtool.main import imgtool

from keyswitch.mcuboot.keys import VerificationKeys, load_keys

HEADER_SIZE = 0x200
KEY_TYPES = ("rsa-2048", "rsa-3072", "ecdsa-p256", "ecdsa-p384", "ed25519")

_WORK = TemporaryDirectory(prefix="keyswitch-images-")
WORK = Path(_WORK.name)


def run(*arguments: str) -> None:
    """One imgtool command, in this process."""
    with contextlib.redirect_stdout(io.StringIO()):
        imgtool.main(args=list(arguments), standalone_mode=False)


def private_key(kind: str = "ecdsa-p256", number: int = 0) -> Path:
    """A signing key; the same file for the same arguments."""
    path = WORK / f"{kind}-{number}.pem"
    if not path.exists():
        run("keygen", "-k", str(path), "-t", kind)
    return path


@cache
def public_pem(kind: str = "ecdsa-p256", number: int = 0) -> bytes:
    """The public half of `private_key`."""
    path = WORK / f"{kind}-{number}.pub.pem"
    run("getpub", "-k", str(private_key(kind, number)), "-e", "pem", "-o", str(path))
    return path.read_bytes()


@cache
def keys(kind: str = "ecdsa-p256", number: int = 0) -> VerificationKeys:
    """The public key, loaded."""
    return load_keys((f"{kind}-{number}.pub.pem", public_pem(kind, number)))


@cache
def imgtool_key(kind: str = "ecdsa-p256", number: int = 0) -> object:
    """The same key for the oracle."""
    return imgtool_keys.load(str(private_key(kind, number)))


@cache
def payload(size: int, seed: int = 0) -> bytes:
    """Bytes that look like no image."""
    return random.Random(seed).randbytes(size)


@cache
def signed(
    version: str = "1.0.0",
    *options: str,
    size: int = 2000,
    seed: int = 0,
    key: str | None = "ecdsa-p256",
    number: int = 0,
    slot_size: int = 0x10000,
    header_size: int = HEADER_SIZE,
    suffix: str = ".bin",
) -> bytes:
    """What `imgtool sign` makes of a payload."""
    # Processes that share this directory after a fork must not share files.
    name = f"{os.getpid()}-{abs(hash((version, options, size, seed, key, number, slot_size, header_size)))}"
    source, target = WORK / f"{name}.raw", WORK / f"{name}{suffix}"
    source.write_bytes(payload(size, seed))
    signing = () if key is None else ("--key", str(private_key(key, number)))
    run(
        "sign", *signing, "--header-size", str(header_size), "--pad-header", "--align", "4", "--version", version,
        "--slot-size", str(slot_size), *options, str(source), str(target),
    )  # fmt: skip
    return target.read_bytes()
