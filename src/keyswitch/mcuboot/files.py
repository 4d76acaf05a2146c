"""Image files as people have them: binary, Intel HEX, and DFU packages (a zip with `manifest.json`, several images).

Rules kept here:

* what a file is, is told by its content, never by its name;
* an image is a regular file (`open_file`); a binary is read in pieces and mapped where it is needed whole;
* nothing that a file says about sizes is believed before it is bounded (`MAX_FILE_SIZE`);
* what cannot be read is one line: the file, what is wrong, what was expected.

The manifest is Nordic's (nRF Connect SDK, `dfu_application.zip`): `files`, each with `file` and `image_index`.
"""

import io
import json
import mmap
import stat
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from keyswitch.errors import InputError
from keyswitch.mcuboot.flash import BytesSource, Source

MAX_FILE_SIZE: Final = 64 * 1024 * 1024
"""More than any slot that MCUboot swaps; keeps a zip bomb or a HEX file with a wide gap from filling the memory."""
MANIFEST: Final = "manifest.json"
_ZIP_START: Final = b"PK\x03\x04"
_MAX_MANIFEST_SIZE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """One image of a file.

    Attributes:
        name: the file, or the file inside the package.
        image: the image number that the package gives it; None if the file says none.
        source: its bytes, from header to the end of the file.
    """

    name: str
    image: int | None
    source: Source


class FileSource:
    """An opened binary file as a `Source`: read in pieces, mapped when it is asked for whole."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._map: mmap.mmap | None = None
        self.size = file.seek(0, io.SEEK_END)
        self._at = self.size

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`."""
        if offset != self._at:
            # Seeking throws the file's buffer away, so it is left out where pieces follow each other.
            self._file.seek(offset)
        data = self._file.read(size)
        self._at = offset + len(data)
        return data

    def view(self, offset: int, size: int) -> bytes | memoryview:
        """The same without a copy, if the file is one that can be mapped."""
        if self._map is None:
            try:
                self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
            except (OSError, ValueError):
                return self.read(offset, size)
        return memoryview(self._map)[offset : offset + size]


def open_file(path: Path) -> BinaryIO:
    """A file of images, opened; a pipe or a device is none, and opening one may never end.

    Raises:
        InputError: if it is no regular file, or cannot be opened.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
        if regular:
            return path.open("rb")
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "a firmware image") from error
    raise InputError(str(path), "this is no regular file", "a firmware image")


def open_images(where: str, file: BinaryIO) -> tuple[NamedImage, ...]:
    """The images in an opened file.

    Args:
        where: its name, for messages.
        file: opened for reading bytes, seekable.

    Raises:
        InputError: if it cannot be read, or is a HEX file or a package that cannot be used.
    """
    try:
        return _open_images(where, file)
    except OSError as error:
        raise InputError(where, error.strerror or "cannot be read", "a firmware image") from error


def _open_images(where: str, file: BinaryIO) -> tuple[NamedImage, ...]:
    start = file.read(len(_ZIP_START))
    file.seek(0)
    if start == _ZIP_START:
        return _open_package(where, file)
    if start[:1] == b":":
        return (NamedImage(name=where, image=None, source=BytesSource(_read_hex(where, file))),)
    return (NamedImage(name=where, image=None, source=FileSource(file)),)


def _read_hex(where: str, file: BinaryIO) -> bytes:
    from intelhex import IntelHex, IntelHexError  # noqa: PLC0415 - only HEX files need it

    expected = "an Intel HEX file with one signed image"
    try:
        text = io.StringIO(file.read(4 * MAX_FILE_SIZE).decode("ascii"))
        content = IntelHex(text)
    except (IntelHexError, UnicodeDecodeError, ValueError) as error:
        raise InputError(where, f"this is no Intel HEX file: {error}", expected) from error
    first, last = cast("int | None", content.minaddr()), cast("int | None", content.maxaddr())
    if first is None or last is None:
        raise InputError(where, "the HEX file holds no data", expected)
    if last - first >= MAX_FILE_SIZE:
        found = f"the HEX file spans addresses {first:#x} to {last:#x}"
        raise InputError(where, found, f"at most {MAX_FILE_SIZE} bytes")
    return cast("bytes", content.tobinstr(start=first, end=last))  # pyright: ignore[reportUnknownMemberType] - no types


def _open_package(where: str, file: BinaryIO) -> tuple[NamedImage, ...]:
    try:
        package = zipfile.ZipFile(file)
        manifest = _read_manifest(where, package)
        return tuple(_package_entry(where, package, number, entry) for number, entry in enumerate(manifest))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError) as error:
        raise InputError(where, f"the package cannot be unpacked: {error}", "a DFU package (zip)") from error


def _read_manifest(where: str, package: zipfile.ZipFile) -> list[Any]:
    place = f"{where}: {MANIFEST}"
    try:
        text = _unpack(place, package, MANIFEST, _MAX_MANIFEST_SIZE)
    except KeyError as error:
        raise InputError(where, f"no {MANIFEST} in the package", "a DFU package (dfu_application.zip)") from error
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(place, f"not JSON: {error}") from error
    fields = cast("dict[str, list[Any]]", manifest) if isinstance(manifest, dict) else {}
    entries = fields.get("files")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{place}: files", "no list of files", "a list with one entry for each image")
    return entries


def _package_entry(where: str, package: zipfile.ZipFile, number: int, entry: Any) -> NamedImage:
    place = f"{where}: {MANIFEST}: files[{number}]"
    fields = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    name = fields.get("file")
    if not isinstance(name, str):
        raise InputError(f"{place}.file", f"found {name!r}", "the name of a file in the package")
    index: Any = fields.get("image_index", "0")
    # Nordic's tool writes numbers as strings.
    if isinstance(index, bool) or not (isinstance(index, int) or (isinstance(index, str) and index.isdecimal())):
        raise InputError(f"{place}.image_index", f"found {index!r}", "an image number")
    try:
        content = _unpack(f"{where}: {name}", package, name, MAX_FILE_SIZE)
    except KeyError as error:
        raise InputError(f"{place}.file", f"{name!r} is not in the package") from error
    size: Any = fields.get("size")
    if isinstance(size, int) and size != len(content):
        raise InputError(f"{place}.size", f"{size}", f"{len(content)}, the size of {name}")
    if content[:1] == b":":
        content = _read_hex(f"{where}: {name}", io.BytesIO(content))
    return NamedImage(name=name, image=int(index), source=BytesSource(content))


def _unpack(place: str, package: zipfile.ZipFile, name: str, limit: int) -> bytes:
    with package.open(name) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InputError(place, f"more than {limit} bytes", "an image")
    return content
