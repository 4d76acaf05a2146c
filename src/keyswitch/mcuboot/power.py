"""A flash that loses power: the double for showing that nothing of an update depends on luck.

Rules kept here:

* an operation may be cut before it, in its middle (either half of the bytes done), or after it;
* what was not synced may be lost: none of it, all of it, or all but the last operation (the order is not kept);
* `Leftovers` names every content that a loss at this operation can leave; `CutFlash` leaves one of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from keyswitch.errors import KeyswitchError, LocalError
from keyswitch.mcuboot.flash import FlashWear, Geometry, RamFlash


class PowerLossError(KeyswitchError):
    """The power is gone: nothing after this happened."""


class Moment(Enum):
    """When, relative to an operation."""

    BEFORE = "before"
    FRONT = "first half done"
    BACK = "second half done"
    AFTER = "after"


class Loss(Enum):
    """What becomes of operations that were not synced."""

    NOTHING = "nothing lost"
    UNSYNCED = "all unsynced lost"


@dataclass(frozen=True, slots=True)
class Cut:
    """One way to lose power: at operation `number` (from 0; writes and erasures count, syncs do not)."""

    number: int
    moment: Moment
    loss: Loss


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What a power loss around one operation can leave.

    Attributes:
        durable: what was there at the last sync.
        present: what is there before the operation.
        offset: of the operation.
        done: the bytes that it leaves in its place.
    """

    durable: bytes
    present: bytes
    offset: int
    done: bytes

    def after(self, moment: Moment, loss: Loss) -> bytes:
        """The whole flash after this cut."""
        base = self.present if loss is Loss.NOTHING else self.durable
        end = self.offset + len(self.done)
        half = len(self.done) // 2
        old = base[self.offset : end]
        new = {
            Moment.BEFORE: old,
            Moment.FRONT: self.done[:half] + old[half:],
            Moment.BACK: old[:half] + self.done[half:],
            Moment.AFTER: self.done,
        }[moment]
        return base[: self.offset] + new + base[end:]

    def all(self) -> Iterator[bytes]:
        """Every content that can be left, repeated ones too."""
        for loss in Loss:
            for moment in Moment:
                yield self.after(moment, loss)


class WatchedFlash:
    """A flash in memory that shows what a power loss at each operation could leave.

    Args:
        geometry: of the flash.
        content: to begin with.
        watch: told before each write and each erasure.
    """

    def __init__(self, geometry: Geometry, content: bytes, watch: Callable[[Leftovers], None]) -> None:
        self._flash = RamFlash(geometry, content=content)
        self._durable = content
        self._watch = watch

    @property
    def geometry(self) -> Geometry:
        """What it looks like."""
        return self._flash.geometry

    @property
    def wear(self) -> FlashWear:
        """What was done to it so far."""
        return self._flash.wear

    @property
    def content(self) -> bytes:
        """All of it, as it is now."""
        return self._flash.read(0, self.geometry.size)

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes from `offset`."""
        return self._flash.read(offset, size)

    def write(self, offset: int, data: bytes) -> None:
        """Write whole blocks into erased blocks."""
        self._about_to(offset, data)
        self._flash.write(offset, data)

    def erase(self, offset: int, size: int) -> None:
        """Erase whole sectors."""
        erased = bytes([self.geometry.erased_value]) * size
        self._about_to(offset, erased)
        self._flash.erase(offset, size)

    def _about_to(self, offset: int, done: bytes) -> None:
        self._watch(self._leftovers(offset, done))

    def _leftovers(self, offset: int, done: bytes) -> Leftovers:
        return Leftovers(self._durable, self.content, offset, done)

    def sync(self) -> None:
        """What is there now can no longer be lost."""
        self._flash.sync()
        self._durable = self.content


class CutFlash(WatchedFlash):
    """A flash that loses power once, as `cut` says.

    Raises:
        PowerLossError: from the operation that is cut, and from every one after it.
    """

    def __init__(self, geometry: Geometry, content: bytes, cut: Cut) -> None:
        super().__init__(geometry, content, lambda _: None)
        self._cut = cut
        self._operations = 0
        self._left: bytes | None = None

    @property
    def left(self) -> bytes:
        """What is there when the power comes back.

        Raises:
            LocalError: if it was never lost.
        """
        if self._left is None:
            raise LocalError(f"flash: the power was not lost; there were {self._operations} operations")
        return self._left

    def _about_to(self, offset: int, done: bytes) -> None:
        if self._left is None and self._operations == self._cut.number:
            self._left = self._leftovers(offset, done).after(self._cut.moment, self._cut.loss)
        if self._left is not None:
            raise PowerLossError(f"power lost {self._cut.moment.value} flash operation {self._cut.number}")
        self._operations += 1
