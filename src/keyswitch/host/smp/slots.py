"""What a list of slots means for whoever wants one of them. Pure.

Rules:

* A trial is told by two rows: what runs is not confirmed, and another row of the same image is: the way back (Zephyr
  `img_mgmt_state_flags`). One of the two alone says nothing: recoveries mark nothing as confirmed.
* A list that does not tell image numbers is taken for that of image 0: what it says of others is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from keyswitch.errors import Phrase
from keyswitch.host.smp.queries import SlotInfo

MARKED_STEP: Final = "reset the device, which starts the marked image; then run the same command again"
"""What a person can do about an image that is marked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """An image that runs on trial.

    Attributes:
        runs: its row.
        way_back: the row of the image that a reset brings back.
    """

    runs: SlotInfo
    way_back: SlotInfo

    @property
    def words(self) -> str:
        """What is, for a person."""
        return f"{self.runs.version} runs on trial, and the other slot holds the way back"

    @property
    def next_step(self) -> str:
        """What a person can do."""
        back = f"reset the device to go back to {self.way_back.version}"
        return Phrase(f"confirm it ({{only}} confirm), or {back}; then run the same command again")


def trial_of(slots: Sequence[SlotInfo] | None, number: int | None = None) -> Trial | None:
    """The trial that the list tells.

    Args:
        slots: the list; None if it was not told.
        number: of the image; None: of any.
    """
    for runs in slots or ():
        if not runs.active or runs.confirmed or number not in {None, runs.image}:
            continue
        for other in slots or ():
            if other.image == runs.image and other.confirmed and not other.active:
                return Trial(runs=runs, way_back=other)
    return None


def marked_of(slots: Sequence[SlotInfo] | None, number: int | None = None) -> SlotInfo | None:
    """The row of an image that the next reset starts, by the list; `number` as in `trial_of`."""
    marked = (view for view in slots or () if view.pending and not view.active)
    return next((view for view in marked if number in {None, view.image}), None)


def none_runs(slots: Sequence[SlotInfo]) -> bool:
    """Whether there are images in the list and none of them runs: a recovery or loader tells it, and runs itself."""
    return bool(slots) and not any(view.active for view in slots)


def marked_words(view: SlotInfo) -> str:
    """What is, for a person."""
    return f"another image, {view.version}, is marked: the next reset starts it"
