"""Images for the boards, signed by imgtool as MCUboot wants them. The payload is the program that runs already.

So an image made here really boots, answers, and can be told apart by its version.
"""

import hashlib
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.rigs.qemu import MICROBIT, MPS2, Build

_HEADER_SIZE: Final = 0x200
_SIGN: Final[dict[str, list[str]]] = {
    MICROBIT.machine: ["--slot-size", "0x1a000", "--align", "4"],
    MPS2.machine: ["--slot-size", "0x40000", "--align", "1", "--load-addr", "0x20240000"],
}
_TIMEOUT_S: Final = 60

# MCUboot image header: magic, load address, header size, protected TLV size, image size; then flags and version.
_HEADER: Final = struct.Struct("<IIHHI")
_TLV_INFO: Final = struct.Struct("<HH")
_TLV_SHA256: Final = 0x10


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A signed image.

    Attributes:
        data: the file.
        version: as a device prints it.
        hash: SHA-256 of header and payload, as the TLV says; what state answers name the image by.
    """

    data: bytes
    version: str
    hash: bytes

    @property
    def sha(self) -> bytes:
        """SHA-256 of the whole file, which an upload may name it by."""
        return hashlib.sha256(self.data).digest()


def payload_of(signed: bytes) -> bytes:
    """What lies between header and TLVs."""
    _, _, header_size, _, size = _HEADER.unpack_from(signed)
    return signed[header_size : header_size + size]


def hash_of(signed: bytes) -> bytes:
    """The SHA-256 in the TLVs of an image without protected ones."""
    _, _, header_size, protected_size, size = _HEADER.unpack_from(signed)
    assert protected_size == 0
    position = header_size + size + _TLV_INFO.size
    while True:
        kind, length = _TLV_INFO.unpack_from(signed, position)
        position += _TLV_INFO.size
        if kind == _TLV_SHA256:
            return signed[position : position + length]
        position += length


def make(build: Build, version: str, *options: str, payload: bytes | None = None) -> Image:
    """An image for a board.

    Args:
        build: the board and the program on it.
        version: the new image's, as imgtool takes it: `1.2.3` or `1.2.3+4`.
        options: more for `imgtool sign`, such as `--pad` and `--confirm`.
        payload: another program; it need not run.
    """
    with TemporaryDirectory() as name:
        source, target = Path(name, "payload.bin"), Path(name, "image.bin")
        source.write_bytes(payload_of(build.image_file().read_bytes()) if payload is None else payload)
        command: list[str | Path] = [
            Path(sys.executable).with_name("imgtool"),
            "sign",
            "--header-size",
            hex(_HEADER_SIZE),
            "--pad-header",
        ]
        command += ["--version", version, *_SIGN[build.machine], *options, source, target]
        subprocess.run(command, check=True, capture_output=True, timeout=_TIMEOUT_S)
        data = target.read_bytes()
    return Image(data=data, version=version.replace("+", "."), hash=hash_of(data))


def running(build: Build) -> Image:
    """The image that runs on a board when it starts."""
    data = build.image_file().read_bytes()
    return Image(data=data, version="0.0.0", hash=hash_of(data))
