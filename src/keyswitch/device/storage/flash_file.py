"""A flash in a file: what a device keeps when its process dies.

Rules kept here, beside those of `keyswitch.mcuboot.flash.Flash`:

* a write is in the operating system when `write` returns, so it survives SIGKILL; `sync` is fdatasync, for power loss;
* nothing is held in memory but the file descriptor: a hundred devices cost a hundred descriptors;
* one process writes it: the state directory's lock is the caller's business.
"""

import os
from pathlib import Path
from typing import Self

from keyswitch import private_files
from keyswitch.errors import InputError
from keyswitch.files.writing import sync_directory
from keyswitch.mcuboot.flash import (
    NO_TIMES,
    FlashTimes,
    FlashWear,
    Geometry,
    WearCounter,
    check_erased,
    check_range,
)

_FILL_PIECE = 64 * 1024


class FlashFile:
    """A flash whose cells are the bytes of a file.

    Args:
        path: of the file.
        geometry: what the flash looks like; the file has exactly `geometry.size` bytes.
        times: what the work would cost.
        create: make an erased flash where there is none.

    Raises:
        InputError: if there is no such file and none is to be made, if it has another size, or if it is not this
            user's alone (`keyswitch.private_files`).
    """

    def __init__(self, path: Path, geometry: Geometry, times: FlashTimes = NO_TIMES, *, create: bool = False) -> None:
        self.geometry = geometry
        self._path = path
        self._counter = WearCounter(geometry, times)
        self._erased = bytes([geometry.erased_value]) * geometry.sector_size
        if create and not path.exists():
            _make(path, geometry)
        try:
            self._file = private_files.open_file(path, os.O_RDWR)
        except OSError as error:
            raise InputError(str(path), error.strerror or "cannot be opened", "a flash of the device") from error
        size = os.fstat(self._file).st_size
        if size != geometry.size:
            os.close(self._file)
            raise InputError(str(path), f"{size} bytes", f"{geometry.size} bytes, as the layout says")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; no error if that was done already."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    @property
    def wear(self) -> FlashWear:
        """What was done to it since it was opened."""
        return self._counter.wear

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`."""
        check_range(self.geometry, offset, size, 1)
        return os.pread(self._file, size, offset)

    def write(self, offset: int, data: bytes) -> None:
        """Write whole blocks into erased blocks."""
        check_range(self.geometry, offset, len(data), self.geometry.write_block)
        check_erased(self.geometry, offset, os.pread(self._file, len(data), offset))
        os.pwrite(self._file, data, offset)
        self._counter.count_write(len(data))

    def erase(self, offset: int, size: int) -> None:
        """Erase whole sectors."""
        check_range(self.geometry, offset, size, self.geometry.sector_size)
        for at in range(offset, offset + size, self.geometry.sector_size):
            os.pwrite(self._file, self._erased, at)
        self._counter.count_erase(size)

    def sync(self) -> None:
        """fdatasync: everything done so far survives a power loss."""
        os.fdatasync(self._file)
        self._counter.count_sync()


def _make(path: Path, geometry: Geometry) -> None:
    """Make an erased flash; the name appears only when all of it is there, and stays when the power goes then."""
    new = path.with_name(f"{path.name}.new")
    piece = bytes([geometry.erased_value]) * _FILL_PIECE
    with os.fdopen(private_files.replace_file(new), "wb") as file:
        for at in range(0, geometry.size, _FILL_PIECE):
            file.write(piece[: geometry.size - at])
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_directory(path.parent)
