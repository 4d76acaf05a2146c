"""The upload's window: which piece of the image goes next, and what each answer means. Pure; no I/O, no clock.

Rules:

* The device's word is the truth. Each answer names the offset that the device wants next; an offset other than the
  one expected is no error (SMP image upload, Zephyr `smp_group_1.rst`).
* The first piece travels alone: it opens the session, and the device may erase a whole slot before it answers.
* After a loss we go back to the offset that the device wants (go-back-N). What was under way then is *stale*: it takes
  a buffer of the device until it is answered, but its answer moves nothing, so nothing is sent twice for one loss.
* Devices answer in order. A piece whose successor was answered is not waited for any more.
* Never more than a window of the image is sent again for one loss.
* A device that loses requests gets one at a time; the window opens again step by step, later after each loss.
* Offset 0 after something was accepted means that the device has no session any more: finished, reset or taken over.
  This module cannot know which; it says `GONE` and the caller looks at the device's slots.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from keyswitch.errors import RemoteError

REOPEN_AFTER = 16
"""Answers in a row without a loss before the window opens by one again; doubled by each loss."""

REOPEN_AFTER_MOST = 1024
"""Bound of that doubling: about 2.5 MB at the usual 2475 bytes a request."""


class Moved(Enum):
    """What an answer did."""

    ON = "on"
    """The device wants more than before."""
    SAME = "same"
    """Nothing new: a stale answer, or one that repeats the offset."""
    BACK = "back"
    """The device missed something: the next piece starts at its offset."""
    GONE = "gone"
    """The device has no session (any more): look at its slots before starting over."""
    DONE = "done"
    """The device has every byte."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the image under way.

    Attributes:
        number: counts pieces sent, in order; names this one in `Window.answered`.
        off: where it starts in the image, in bytes.
        end: one behind its last byte.
    """

    number: int
    off: int
    end: int


class Sent:
    """What of one image was sent, over all its uploads: a window begins anew with each, this does not.

    Attributes:
        bytes: of the image that were sent, each as often as it was sent.
        resent_bytes: those of them that had been sent before.
        already_there: bytes that the device had before the first was sent; 0 once it has dropped them.
        taken_bytes: bytes by which the device got on.
        taking_ms: how long that took; what lies between two uploads does not count.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self.resent_bytes = 0
        self.already_there: int | None = None
        self.taken_bytes = 0
        self.taking_ms = 0
        self._highest = 0

    def add(self, piece: Piece) -> None:
        """Count this piece."""
        self.bytes += piece.end - piece.off
        self.resent_bytes += max(0, min(piece.end, self._highest) - piece.off)
        self._highest = max(self._highest, piece.end)

    def opened(self, there: int) -> None:
        """An upload was opened at a device that says that it has so many bytes already."""
        self.already_there = there if self.already_there is None else min(there, self.already_there)

    def taken(self, count: int, *, within_ms: int) -> None:
        """The device got on by so many bytes while they were sent."""
        self.taken_bytes += max(0, count)
        self.taking_ms += within_ms


class Window:
    """What to send next, given everything that was answered so far.

    Args:
        size: of the image, in bytes; at least 1.
        limit: most requests to have outstanding; at least 1.
        room: how many bytes of the image fit into a request at a given offset; at least 1.
        sent: counts the pieces, also over several windows.
    """

    def __init__(self, *, size: int, limit: int, room: Callable[[int], int], sent: Sent | None = None) -> None:
        self.size = size
        self.wanted = 0
        """The offset that the device wants next, as far as is known."""
        self.limit = 1
        """Most requests to have outstanding now."""
        self.ceiling = max(1, limit)
        self.sent = sent or Sent()
        self.losses = 0
        self._room = room
        self._opened = False
        self._next = 0
        self._number = 0
        self._flying: deque[Piece] = deque()
        self._first_fresh = 0
        self._good = 0
        self._reopen_after = REOPEN_AFTER

    @property
    def outstanding(self) -> int:
        """How many requests are under way."""
        return len(self._flying)

    @property
    def done(self) -> bool:
        """Whether the device has every byte."""
        return self.wanted == self.size

    @property
    def all_sent(self) -> bool:
        """Whether the last piece is under way."""
        return self._next >= self.size

    def next(self) -> Piece | None:
        """The piece to send now, or None if an answer has to be waited for. Counts as sent."""
        if self.done or len(self._flying) >= self.limit or self._next >= self.size:
            return None
        off = self._next
        end = min(self.size, off + self._room(off))
        piece = Piece(self._number, off, end)
        self._number += 1
        self._next = end
        self.sent.add(piece)
        self._flying.append(piece)
        return piece

    def answered(self, number: int, wanted: int) -> Moved:
        """The device answered the piece with this number: it wants `wanted` next.

        Raises:
            RemoteError: the offset is none that this image has.
        """
        if not 0 <= wanted <= self.size:
            raise RemoteError(f"the device wants offset {wanted} of an image of {self.size} bytes")
        piece = self._land(number)
        if piece is None:
            return Moved.SAME
        if wanted == self.size:
            return self._finish()
        if number < self._first_fresh:
            return Moved.SAME
        if wanted == piece.end:
            return self._accept(wanted)
        return self._jump(wanted)

    def refused(self, number: int) -> None:
        """The device had no buffer for this piece (rc 2): back to one at a time, from the last known offset."""
        if self._land(number) is not None:
            self._go_back()

    def lost(self) -> None:
        """Nothing was answered in time: everything under way is given up, and one piece asks what the device has."""
        self._flying.clear()
        self._go_back()

    def restart(self) -> None:
        """Begin at offset 0 again: the device has no session and not the whole image."""
        self._flying.clear()
        self.wanted = self._next = 0
        self._opened = False
        self._first_fresh = self._number
        self.limit = 1
        self._good = 0

    def _land(self, number: int) -> Piece | None:
        """Take this piece out of the air, and those sent before it: requests are answered in order, or not at all."""
        while self._flying and self._flying[0].number <= number:
            piece = self._flying.popleft()
            if piece.number == number:
                return piece
        return None

    def _finish(self) -> Moved:
        self.wanted = self._next = self.size
        return Moved.DONE

    def _accept(self, wanted: int) -> Moved:
        moved = Moved.ON if wanted > self.wanted else Moved.SAME
        self.wanted = wanted
        self._next = max(self._next, wanted)
        if not self._opened:
            self._opened = True
            self.limit = self.ceiling
        else:
            self._reopen()
        return moved

    def _jump(self, wanted: int) -> Moved:
        """The device is elsewhere: further on (it had more than we knew) or further back (it lost something)."""
        if wanted == 0 and self.wanted > 0:
            return Moved.GONE
        forward = wanted > self.wanted
        back = wanted < self._next
        self.wanted = self._next = wanted
        self._first_fresh = self._number
        if not self._opened and wanted > 0:
            # The answer to the first piece names where an earlier run got to.
            self._opened = True
            self.limit = self.ceiling
        elif back:
            self._slow_down()
        if forward:
            return Moved.ON
        return Moved.BACK if back else Moved.SAME

    def _go_back(self) -> None:
        self._next = self.wanted
        self._first_fresh = self._number
        self._slow_down()

    def _slow_down(self) -> None:
        self.losses += 1
        if self.limit > 1:
            self._reopen_after = min(REOPEN_AFTER_MOST, self._reopen_after * 2)
        self.limit = 1
        self._good = 0

    def _reopen(self) -> None:
        if self.limit >= self.ceiling:
            return
        self._good += 1
        if self._good >= self._reopen_after:
            self._good = 0
            self.limit += 1
