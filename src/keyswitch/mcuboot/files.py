"""Image files as people have them: binary, Intel HEX, and DFU packages (a zip with `manifest.json`, several images).

Rules kept here:

* what a file is, is told by its content, never by its name;
* an image is a regular file (`open_file`); a binary is read in pieces and mapped where it is needed whole;
* nothing that a file says about sizes is believed before it is bounded (`MAX_FILE_SIZE`): of a package all that is
  unpacked counts together, each file in it once, and only the two compressions that such packages use are unpacked;
* what cannot be read is one line: the file, what is wrong, what was expected.

The manifest is Nordic's (nRF Connect SDK, `dfu_application.zip`): `files`, each with `file` and `image_index`.
"""

import io
import mmap
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from keyswitch.errors import InputError
from keyswitch.files.documents import parse_json
from keyswitch.files.reading import open_regular
from keyswitch.mcuboot.flash import BytesSource, Source
from keyswitch.mcuboot.intel_hex import read_hex
from keyswitch.text import short

MAX_FILE_SIZE: Final = 64 * 1024 * 1024
"""More than any slot that MCUboot swaps; keeps a zip bomb or a HEX file with a wide gap from filling the memory."""
MANIFEST: Final = "manifest.json"
_ZIP_START: Final = b"PK\x03\x04"
_MAX_MANIFEST_SIZE: Final = 1024 * 1024
_MAX_ENTRIES: Final = 64
"""Images in a package; two of each number where they are executed in place."""
_MAX_IMAGE_NUMBER: Final = 255
"""What `--image-number` takes, too."""
_MAX_DIRECTORY_SIZE: Final = 1024 * 1024
"""Of the zip file: some 10,000 names."""
_UNPACKED: Final = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
"""What Nordic's and everybody's tools write. LZMA would let the file choose how much memory unpacking takes."""


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
    return open_regular(path, "a firmware image")


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
        return (NamedImage(name=where, image=None, source=BytesSource(read_hex(where, file, MAX_FILE_SIZE))),)
    return (NamedImage(name=where, image=None, source=FileSource(file)),)


def _open_package(where: str, file: BinaryIO) -> tuple[NamedImage, ...]:
    try:
        _check_directory(where, file)
        package = _Package(where, zipfile.ZipFile(file))
        manifest = _read_manifest(where, package)
        return tuple(_package_entry(where, package, number, entry) for number, entry in enumerate(manifest))
    except _ZIP_ERRORS as error:
        raise InputError(where, f"the package cannot be unpacked: {error}", "a DFU package (zip)") from error


_ZIP_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
)
"""What Python's zipfile raises for damaged files."""

_END: Final = b"PK\x05\x06"
_END_SIZE: Final = 22
_MAX_COMMENT_SIZE: Final = 0xFFFF
_LOCATOR_64: Final = b"PK\x06\x07"
_LOCATOR_64_SIZE: Final = 20


def _check_directory(where: str, file: BinaryIO) -> None:
    """Refuse a directory of names that would fill the memory: zipfile holds all of it.

    APPNOTE.TXT 4.3.16, end of central directory record: the directory's size stands at byte 12.
    """
    size = file.seek(0, io.SEEK_END)
    start = max(0, size - _END_SIZE - _MAX_COMMENT_SIZE - _LOCATOR_64_SIZE)
    file.seek(start)
    tail = file.read(size - start)
    file.seek(0)
    at = len(tail) - _END_SIZE
    if not tail.startswith(_END, max(at, 0)):
        at = tail.rfind(_END)
    if at < 0 or at + _END_SIZE > len(tail):
        raise InputError(where, "the package has no end record: it is cut off", "a DFU package (zip)")
    (directory,) = struct.unpack_from("<I", tail, at + 12)
    if directory > _MAX_DIRECTORY_SIZE or _LOCATOR_64 in tail[max(0, at - _LOCATOR_64_SIZE) : at]:
        raise InputError(where, "the package lists too many files", f"a list of at most {_MAX_DIRECTORY_SIZE} bytes")


class _Package:
    """An opened package: gives each of its files once, and no more than `MAX_FILE_SIZE` in all."""

    def __init__(self, where: str, package: zipfile.ZipFile) -> None:
        self._where = where
        self._package = package
        self._given: set[str] = set()
        self._room = MAX_FILE_SIZE

    def unpack(self, name: str, limit: int) -> bytes:
        """The content of one file.

        Raises:
            InputError: it is too large, was given before, or is packed in a way that is not unpacked here.
            KeyError: there is none of that name.
        """
        place = f"{self._where}: {name}"
        info = self._package.getinfo(name)
        if name in self._given:
            raise InputError(place, "listed twice", "each file of the package once")
        if info.compress_type not in _UNPACKED:
            raise InputError(place, f"packed by method {info.compress_type}", " or ".join(_UNPACKED.values()))
        if self._package.namelist().count(name) > 1:
            raise InputError(place, "the package holds two files of this name", "one")
        self._given.add(name)
        most = min(limit, self._room)
        with self._package.open(info) as file:
            content = file.read(most + 1)
        if len(content) > most:
            whole = f"at most {MAX_FILE_SIZE} bytes in all of the package" if most < limit else "an image"
            raise InputError(place, f"more than {most} bytes", whole)
        self._room -= len(content)
        return content


def _read_manifest(where: str, package: _Package) -> list[Any]:
    place = f"{where}: {MANIFEST}"
    try:
        text = package.unpack(MANIFEST, _MAX_MANIFEST_SIZE)
    except KeyError as error:
        raise InputError(where, f"no {MANIFEST} in the package", "a DFU package (dfu_application.zip)") from error
    manifest = parse_json(text, place, "the manifest of a DFU package")
    fields = cast("dict[str, list[Any]]", manifest) if isinstance(manifest, dict) else {}
    entries = fields.get("files")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{place}: files", "no list of files", "a list with one entry for each image")
    if len(entries) > _MAX_ENTRIES:
        raise InputError(f"{place}: files", f"{len(entries)} entries", f"at most {_MAX_ENTRIES}")
    return entries


def _package_entry(where: str, package: _Package, number: int, entry: Any) -> NamedImage:
    place = f"{where}: {MANIFEST}: files[{number}]"
    fields = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    name = fields.get("file")
    if not isinstance(name, str):
        raise InputError(f"{place}.file", f"found {short(name)}", "the name of a file in the package")
    index = _image_number(fields.get("image_index", "0"), f"{place}.image_index")
    try:
        content = package.unpack(name, MAX_FILE_SIZE)
    except KeyError as error:
        raise InputError(f"{place}.file", f"{short(name)} is not in the package") from error
    size: Any = fields.get("size")
    if isinstance(size, int) and size != len(content):
        raise InputError(f"{place}.size", f"{size}", f"{len(content)}, the size of {name}")
    if content[:1] == b":":
        content = read_hex(f"{where}: {name}", io.BytesIO(content), MAX_FILE_SIZE)
    return NamedImage(name=name, image=index, source=BytesSource(content))


def _image_number(index: object, where: str) -> int:
    """Nordic's tool writes numbers as strings."""
    if isinstance(index, str) and index.isascii() and index.isdecimal() and len(index) <= len(str(_MAX_IMAGE_NUMBER)):
        index = int(index)
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index <= _MAX_IMAGE_NUMBER:
        raise InputError(where, f"found {short(index)}", f"an image number, 0 to {_MAX_IMAGE_NUMBER}")
    return index
