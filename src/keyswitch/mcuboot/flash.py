"""Flash memory as firmware meets it, and a flash in RAM.

Rules that every `Flash` keeps:

* reads take any offset and length inside the flash; erasing takes whole sectors, writing whole write blocks;
* a block is written once: writing to a block that is not erased is a bug of the caller (`LocalError`), never a merge;
* what was written or erased is *durable* only after `sync`; without it a power loss may drop it, in any order;
* the flash never waits: it reports what the work would have cost (`FlashWear.cost_us`); the runtime does the waiting.
"""

from dataclasses import dataclass, field
from typing import Final, Protocol

from keyswitch.errors import LocalError


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """What a flash looks like.

    Attributes:
        size: in bytes, a multiple of `sector_size`.
        sector_size: smallest piece in bytes that can be erased.
        write_block: smallest piece in bytes that can be written, a power of two that divides `sector_size`.
        erased_value: what an erased byte reads as, 0xFF or 0x00.
    """

    size: int
    sector_size: int = 4096
    write_block: int = 4
    erased_value: int = 0xFF

    def __post_init__(self) -> None:
        block = self.write_block
        if block <= 0 or block & (block - 1) or self.sector_size <= 0 or self.sector_size % block:
            raise LocalError(
                f"flash: write block {block} must be a power of two that divides sector {self.sector_size}"
            )
        if self.size <= 0 or self.size % self.sector_size:
            raise LocalError(f"flash: size {self.size} is not a multiple of the sector size {self.sector_size}")
        if self.erased_value not in {0x00, 0xFF}:
            raise LocalError(f"flash: erased value {self.erased_value:#x} is neither 0xff nor 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashTimes:
    """What the work costs, in microseconds."""

    erase_us_per_sector: int = 0
    write_us_per_block: int = 0


NO_TIMES: Final = FlashTimes()
NRF52840_TIMES: Final = FlashTimes(erase_us_per_sector=85_000, write_us_per_block=41)
"""nRF52840 product specification, NVMC: page erase 85 ms (4 KiB), word write 41 us (4 bytes)."""

TIMES_BY_PROFILE: Final = {"none": NO_TIMES, "nrf52840": NRF52840_TIMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashWear:
    """What has been done to a flash since it was opened.

    Attributes:
        sectors_erased: sector erasures.
        blocks_written: write blocks programmed.
        syncs: times that durability was asked for.
        cost_us: what all of it would have taken on the profile's flash.
    """

    sectors_erased: int = 0
    blocks_written: int = 0
    syncs: int = 0
    cost_us: int = 0


class Flash(Protocol):
    """A flash memory; the rules are in the module's docstring."""

    @property
    def geometry(self) -> Geometry:
        """What it looks like."""
        ...

    @property
    def wear(self) -> FlashWear:
        """What was done to it so far; take the difference of two to know what a piece of work cost."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`."""
        ...

    def write(self, offset: int, data: bytes) -> None:
        """Write whole blocks into erased blocks."""
        ...

    def erase(self, offset: int, size: int) -> None:
        """Erase whole sectors."""
        ...

    def sync(self) -> None:
        """Make everything done so far survive a power loss."""
        ...


class Source(Protocol):
    """Bytes to read an image from: a slot, a file, a buffer."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`; the caller stays inside."""
        ...

    def view(self, offset: int, size: int) -> bytes | memoryview:
        """As `read`, without a copy where that is possible."""
        ...


@dataclass(frozen=True, slots=True)
class BytesSource:
    """A buffer as a `Source`; a mapped file can be one."""

    data: bytes | memoryview

    @property
    def size(self) -> int:
        """Length of the buffer."""
        return len(self.data)

    def read(self, offset: int, size: int) -> bytes:
        """A slice of the buffer."""
        return bytes(self.data[offset : offset + size])

    def view(self, offset: int, size: int) -> memoryview:
        """A slice of the buffer, not copied."""
        return memoryview(self.data)[offset : offset + size]


def check_range(geometry: Geometry, offset: int, size: int, unit: int) -> None:
    """Refuse what is outside the flash or not made of whole units of `unit` bytes.

    Raises:
        LocalError: naming the range.
    """
    if offset < 0 or size < 0 or offset + size > geometry.size:
        raise LocalError(f"flash: [{offset:#x}, {offset + size:#x}) is outside the flash of {geometry.size:#x} bytes")
    if offset % unit or size % unit:
        raise LocalError(f"flash: [{offset:#x}, {offset + size:#x}) is not made of whole units of {unit} bytes")


@dataclass(slots=True)
class WearCounter:
    """Counts for a flash; shared by its implementations."""

    geometry: Geometry
    times: FlashTimes
    wear: FlashWear = field(default_factory=FlashWear)

    def count_write(self, size: int) -> None:
        """Count `size` bytes written."""
        blocks = size // self.geometry.write_block
        self._add(blocks=blocks, cost_us=blocks * self.times.write_us_per_block)

    def count_erase(self, size: int) -> None:
        """Count `size` bytes erased."""
        sectors = size // self.geometry.sector_size
        self._add(sectors=sectors, cost_us=sectors * self.times.erase_us_per_sector)

    def count_sync(self) -> None:
        """Count one sync."""
        self._add(syncs=1)

    def _add(self, *, sectors: int = 0, blocks: int = 0, syncs: int = 0, cost_us: int = 0) -> None:
        self.wear = FlashWear(
            sectors_erased=self.wear.sectors_erased + sectors,
            blocks_written=self.wear.blocks_written + blocks,
            syncs=self.wear.syncs + syncs,
            cost_us=self.wear.cost_us + cost_us,
        )


class RamFlash:
    """A flash in memory: for tests, simulations and the double that cuts power."""

    def __init__(self, geometry: Geometry, times: FlashTimes = NO_TIMES, content: bytes | None = None) -> None:
        self.geometry = geometry
        self._counter = WearCounter(geometry, times)
        self._erased = bytes([geometry.erased_value]) * geometry.sector_size
        erased = bytes([geometry.erased_value]) * geometry.size
        self._cells = bytearray(erased if content is None else content)
        if len(self._cells) != geometry.size:
            raise LocalError(f"flash: content of {len(self._cells)} bytes for a flash of {geometry.size}")

    @property
    def wear(self) -> FlashWear:
        """What was done to it so far."""
        return self._counter.wear

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`."""
        check_range(self.geometry, offset, size, 1)
        return bytes(self._cells[offset : offset + size])

    def write(self, offset: int, data: bytes) -> None:
        """Write whole blocks into erased blocks."""
        check_range(self.geometry, offset, len(data), self.geometry.write_block)
        check_erased(self.geometry, offset, self._cells[offset : offset + len(data)])
        self._cells[offset : offset + len(data)] = data
        self._counter.count_write(len(data))

    def erase(self, offset: int, size: int) -> None:
        """Erase whole sectors."""
        check_range(self.geometry, offset, size, self.geometry.sector_size)
        self._cells[offset : offset + size] = self._erased * (size // self.geometry.sector_size)
        self._counter.count_erase(size)

    def sync(self) -> None:
        """Nothing is held back in RAM; it is counted."""
        self._counter.count_sync()


def check_erased(geometry: Geometry, offset: int, present: bytes | bytearray) -> None:
    """Refuse to write where something is written already.

    Args:
        geometry: of the flash.
        offset: where `present` lies, for the message.
        present: what is there now.

    Raises:
        LocalError: naming the first byte that is not erased.
    """
    if present.count(geometry.erased_value) != len(present):
        first = next(i for i, byte in enumerate(present) if byte != geometry.erased_value)
        raise LocalError(f"flash: byte {offset + first:#x} is written already; erase its sector first")


@dataclass(frozen=True, slots=True)
class Area:
    """A window onto a flash: one slot. Offsets are relative to its start. It is a `Source` too."""

    flash: Flash
    offset: int
    size: int

    @property
    def geometry(self) -> Geometry:
        """The flash's geometry; its size is the flash's, not the area's."""
        return self.flash.geometry

    def _inside(self, offset: int, size: int) -> int:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise LocalError(f"area: [{offset:#x}, {offset + size:#x}) is outside the area of {self.size:#x} bytes")
        return self.offset + offset

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`."""
        return self.flash.read(self._inside(offset, size), size)

    def view(self, offset: int, size: int) -> bytes:
        """As `read`: what is in a flash may change."""
        return self.read(offset, size)

    def write(self, offset: int, data: bytes) -> None:
        """Write whole blocks into erased blocks."""
        self.flash.write(self._inside(offset, len(data)), data)

    def erase(self, offset: int, size: int) -> None:
        """Erase whole sectors."""
        self.flash.erase(self._inside(offset, size), size)

    def sync(self) -> None:
        """Make everything done so far to the whole flash durable."""
        self.flash.sync()

    def is_erased(self, data: bytes) -> bool:
        """Whether all of `data` reads as erased."""
        return data.count(self.geometry.erased_value) == len(data)

    def part(self, offset: int) -> "Area":
        """The area from `offset` to its end."""
        return Area(self.flash, self._inside(offset, 0), self.size - offset)
