"""Image files as people have them: binary, Intel HEX, and DFU packages (a zip with `manifest.json`, several images).

Rules kept here:

* what a file is, is told by its content, never by its name;
* an image is a regular file (`open_file`); a binary is read in pieces and mapped where it is needed whole;
* nothing that a file says about sizes is believed before it is bounded (`MAX_FILE_SIZE`): of a package all that is
  unpacked counts together, each file in it once, and only the two compressions that such packages use are unpacked;
* what cannot be read is one line: the file, what is wrong, what was expected;
* a package is one however it was zipped: inside a folder, with `./` or backslashes before its names.

The manifest is Nordic's (nRF Connect SDK, `dfu_application.zip`): `files`, each with `file` and `image_index`; of an
image that is executed in place two files, each with the `slot` that it is linked for (2 * image, or that plus one).
"""

import codecs
import io
import mmap
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, cast

from keyswitch.errors import InputError
from keyswitch.files.documents import parse_json
from keyswitch.files.reading import open_regular
from keyswitch.mcuboot.flash import BytesSource, Source
from keyswitch.mcuboot.intel_hex import begins_hex, read_hex
from keyswitch.text import short

MAX_FILE_SIZE: Final = 64 * 1024 * 1024
"""More than any slot that MCUboot swaps; keeps a zip bomb or a HEX file with a wide gap from filling the memory."""
MANIFEST: Final = "manifest.json"
_ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
"""A zip file, an empty one, one of several parts (APPNOTE.TXT 4.3.7, 4.3.16, 8.5.3)."""
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TOLD_BY: Final = 256
"""Bytes at the start of a file that tell what it is: an Intel HEX file may begin with empty lines."""
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
        slot: that it is linked for and runs in, 0 or 1, if its bootloader moves nothing; None if the file says none.
        left_out: addresses of a HEX file that are no part of the image, in words; empty if there are none.
    """

    name: str
    image: int | None
    source: Source
    slot: int | None = None
    left_out: str = ""


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
    start = file.read(_TOLD_BY)
    file.seek(0)
    if start.startswith(_ZIP_STARTS):
        return _open_package(where, file)
    if begins_hex(start):
        return (_hex_image(where, where, file),)
    if start.startswith(_UTF16):
        raise InputError(where, "this is text in UTF-16, as some Windows programs save it", "an image, or plain text")
    return (NamedImage(name=where, image=None, source=FileSource(file)),)


def _hex_image(name: str, where: str, file: BinaryIO, image: int | None = None, slot: int | None = None) -> NamedImage:
    content = read_hex(where, file, MAX_FILE_SIZE)
    source = BytesSource(content.data)
    return NamedImage(name=name, image=image, source=source, slot=slot, left_out=content.left_out)


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
    """An opened package: gives each of its files once, and no more than `MAX_FILE_SIZE` in all.

    Its files are named as the manifest beside them does: relative to the folder that it lies in.
    """

    def __init__(self, where: str, package: zipfile.ZipFile) -> None:
        self._where = where
        self._package = package
        self._infos: dict[str, list[zipfile.ZipInfo]] = {}
        for info in package.infolist():
            if not info.is_dir():
                self._infos.setdefault(_inner_path(info.filename), []).append(info)
        self._given: set[str] = set()
        self._room = MAX_FILE_SIZE
        self._folder = self._folder_of_manifest()

    def _folder_of_manifest(self) -> str:
        """The folder that everything lies in, with its slash; empty if it is none.

        Raises:
            InputError: there is no manifest, or there are several.
        """
        if not self._infos:
            raise InputError(self._where, "the package is empty", _PACKAGE)
        found = [path for path in self._infos if path == MANIFEST or path.endswith(f"/{MANIFEST}")]
        if MANIFEST in found or len(found) == 1:
            return "" if MANIFEST in found else found[0].removesuffix(MANIFEST)
        if found:
            places = ", ".join(short(path) for path in found[:_SHOWN])
            raise InputError(self._where, f"{len(found)} packages in one file: {places}", "one of them")
        inner = next((path for path in self._infos if path.lower().endswith(".zip")), None)
        expected = _PACKAGE if inner is None else f"the package inside it: unpack {short(inner)} first"
        raise InputError(self._where, f"no {MANIFEST} in the package", expected)

    def unpack(self, name: str, limit: int) -> bytes:
        """The content of one file.

        Raises:
            InputError: it is too large, was given before, or is packed in a way that is not unpacked here.
            KeyError: there is none of that name.
        """
        place = f"{self._where}: {name}"
        path = self._folder + _inner_path(name)
        infos = self._infos[path]
        info = infos[0]
        if path in self._given:
            raise InputError(place, "listed twice", "each file of the package once")
        if info.compress_type not in _UNPACKED:
            raise InputError(place, f"packed by method {info.compress_type}", " or ".join(_UNPACKED.values()))
        if len(infos) > 1:
            raise InputError(place, "the package holds two files of this name", "one")
        self._given.add(path)
        most = min(limit, self._room)
        with self._package.open(info) as file:
            content = file.read(most + 1)
        if len(content) > most:
            whole = f"at most {MAX_FILE_SIZE} bytes in all of the package" if most < limit else "an image"
            raise InputError(place, f"more than {most} bytes", whole)
        self._room -= len(content)
        return content


_PACKAGE: Final = "a DFU package (dfu_application.zip)"
_SHOWN: Final = 3
"""Places that are named one by one."""


def _inner_path(name: str) -> str:
    """The path of a file in a package as everybody may write it, in one spelling: no backslash, no `./` before it."""
    return str(PurePosixPath(name.replace("\\", "/")))


def _read_manifest(where: str, package: _Package) -> list[Any]:
    place = f"{where}: {MANIFEST}"
    text = package.unpack(MANIFEST, _MAX_MANIFEST_SIZE)
    manifest = parse_json(text, place, "the manifest of a DFU package")
    fields = cast("dict[str, list[Any]]", manifest) if isinstance(manifest, dict) else {}
    entries = fields.get("files")
    if "manifest" in fields and entries is None:
        raise InputError(where, "a package for the bootloader of the nRF5 SDK (nrfutil), not for MCUboot", _PACKAGE)
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
    slot = _linked_for(fields["slot"], index, f"{place}.slot") if "slot" in fields else None
    try:
        content = package.unpack(name, MAX_FILE_SIZE)
    except KeyError as error:
        raise InputError(f"{place}.file", f"{short(name)} is not in the package") from error
    size: Any = fields.get("size")
    if isinstance(size, int) and size != len(content):
        raise InputError(f"{place}.size", f"{size}", f"{len(content)}, the size of {name}")
    if begins_hex(content[:_TOLD_BY]):
        return _hex_image(name, f"{where}: {name}", io.BytesIO(content), index, slot)
    return NamedImage(name=name, image=index, source=BytesSource(content), slot=slot)


def _linked_for(slot: object, image: int, where: str) -> int:
    """The slot of its pair, 0 or 1. Older packages say that itself, newer ones count the slots of all images."""
    number = _decimal(slot)
    first = 2 * image
    if number in {first, first + 1}:
        return number - first
    if number in {0, 1}:
        return number
    raise InputError(where, f"found {short(slot)}", f"a slot of image {image}: {first} or {first + 1}")


def _image_number(index: object, where: str) -> int:
    number = _decimal(index)
    if number is None or not 0 <= number <= _MAX_IMAGE_NUMBER:
        raise InputError(where, f"found {short(index)}", f"an image number, 0 to {_MAX_IMAGE_NUMBER}")
    return number


def _decimal(value: object) -> int | None:
    """A small whole number, None if it is none. Nordic's tool writes numbers as strings."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= len(str(_MAX_IMAGE_NUMBER)):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
