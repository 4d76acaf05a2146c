"""Keys and signed images, made by imgtool as a build makes them: by its command line, which it promises to keep.

It runs in this process: starting Python anew for each image took most of the time of making them. Used where an image
is needed that somebody else's tool has made: the demo, the pytest plugin, benchmarks and tests.
"""

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from keyswitch.errors import InputError, LocalError

HEADER_SIZE: Final = 0x200
"""Bytes in front of the firmware; Zephyr's usual `CONFIG_ROM_START_OFFSET` with MCUboot."""

ALIGN: Final = 4
"""Flash write block in bytes, as on the nRF52840."""


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
    imgtool: Any = import_module("imgtool.main").imgtool  # not with this module: it brings cryptography
    said = io.StringIO()
    code: object = 0
    try:
        with redirect_stdout(said), redirect_stderr(said):
            imgtool.main(args=list(arguments), prog_name="imgtool", standalone_mode=False)
    except SystemExit as end:
        code = end.code
    except Exception as error:
        raise LocalError(f"imgtool {arguments[0]}: {str(error) or type(error).__name__}") from error
    if code:
        lines = said.getvalue().strip().splitlines() or [f"imgtool ended with {code}"]
        raise LocalError(f"imgtool {arguments[0]}: {lines[-1]}")
