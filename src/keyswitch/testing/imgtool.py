"""Keys and signed images, made by imgtool as a build makes them. It runs as a process: it is a program, not a library.

Used where an image is needed that somebody else's tool has made: the demo, the pytest plugin, benchmarks and tests.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError, LocalError

HEADER_SIZE: Final = 0x200
"""Bytes in front of the firmware; Zephyr's usual `CONFIG_ROM_START_OFFSET` with MCUboot."""

ALIGN: Final = 4
"""Flash write block in bytes, as on the nRF52840."""

SIGN_WITHIN_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """A signing key of the demo's own; both files are PEM."""

    private: Path
    public: Path


def keys_in(directory: Path) -> SigningKeys:
    """The key pair that `make_keys` makes, or has made, in `directory`."""
    return SigningKeys(private=directory / "root-ec-p256.pem", public=directory / "root-ec-p256.pub.pem")


def make_keys(directory: Path) -> SigningKeys:
    """Make an ECDSA P-256 key pair in `directory`."""
    keys = keys_in(directory)
    _imgtool("keygen", "-k", str(keys.private), "-t", "ecdsa-p256")
    keys.private.chmod(0o600)
    _imgtool("getpub", "-k", str(keys.private), "-e", "pem", "-o", str(keys.public))
    return keys


def sign(keys: SigningKeys, payload: Path, version: str, slot_size: int, to: Path) -> None:
    """Sign `payload` as an MCUboot image.

    Raises:
        InputError: the payload cannot be read, or is too large for the slot; says what imgtool said.
    """
    if not payload.is_file():
        raise InputError(str(payload), "no such file", "a firmware binary")
    if payload.stat().st_size == 0:
        raise InputError(str(payload), "the file is empty", "a firmware binary")
    try:
        _imgtool(
            "sign", "--key", str(keys.private), "--header-size", hex(HEADER_SIZE), "--pad-header",
            "--align", str(ALIGN), "--version", version, "--slot-size", str(slot_size), str(payload), str(to),
        )  # fmt: skip
    except LocalError as error:
        raise InputError(str(payload), f"cannot be signed for a slot of {slot_size} bytes: {error}") from error


def _imgtool(*arguments: str) -> None:
    command = [sys.executable, "-m", "imgtool.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SIGN_WITHIN_S)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"imgtool ended with {done.returncode}"]
        raise LocalError(f"imgtool {arguments[0]}: {lines[-1]}")
