"""Keys and signed images for the demo, made by imgtool: real ones, as a build would make them."""

import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from keyswitch.errors import InputError, LocalError

HEADER_SIZE = 0x200
"""Bytes in front of the firmware; Zephyr's usual `CONFIG_ROM_START_OFFSET` with MCUboot."""

ALIGN = 4
"""Flash write block in bytes, as on the nRF52840."""

PAYLOAD_SIZE = 160 * 1024
"""Bytes of the firmware that the demo makes up where nobody brings one."""

SIGN_WITHIN_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """A signing key of the demo's own; both files are PEM."""

    private: Path
    public: Path


def make_keys(directory: Path) -> Keys:
    """Make an ECDSA P-256 key pair in `directory`."""
    keys = Keys(private=directory / "root-ec-p256.pem", public=directory / "root-ec-p256.pub.pem")
    _imgtool("keygen", "-k", str(keys.private), "-t", "ecdsa-p256")
    keys.private.chmod(0o600)
    _imgtool("getpub", "-k", str(keys.private), "-e", "pem", "-o", str(keys.public))
    return keys


def make_payload(path: Path, seed: int) -> None:
    """Write `PAYLOAD_SIZE` bytes that look like no image; the same for the same `seed`."""
    path.write_bytes(random.Random(seed).randbytes(PAYLOAD_SIZE))  # noqa: S311 - filler, not a secret


def sign(keys: Keys, payload: Path, version: str, slot_size: int, to: Path) -> None:
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


def flip_one_bit(image: Path, to: Path) -> int:
    """Copy a signed image with one bit of its firmware changed; returns the byte offset of that bit."""
    content = bytearray(image.read_bytes())
    offset = HEADER_SIZE + (len(content) - HEADER_SIZE) // 2
    content[offset] ^= 0x10
    to.write_bytes(content)
    return offset


def _imgtool(*arguments: str) -> None:
    command = [sys.executable, "-m", "imgtool.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SIGN_WITHIN_S)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or [f"imgtool ended with {done.returncode}"]
        raise LocalError(f"imgtool {arguments[0]}: {lines[-1]}")
