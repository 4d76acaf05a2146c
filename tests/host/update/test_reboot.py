from dataclasses import replace

import pytest

from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.update.job import BeforeReset, JobImage, Observed
from keyswitch.host.update.reboot import has_rebooted, was_tried

OLD, NEW = b"old" * 8, b"new" * 8
A, B = b"boot aaa", b"boot bbb"


def view(number: int, digest: bytes, **flags: bool) -> SlotInfo:
    known = {"bootable": True, "pending": False, "confirmed": False, "active": False, "permanent": False}
    return SlotInfo(image=0, slot=number, version="1.0.0", hash=digest, **{**known, **flags})


BEFORE = (view(0, OLD, active=True, confirmed=True), view(1, NEW, pending=True))
SAME = BEFORE
SWAPPED = (view(0, NEW, active=True), view(1, OLD, confirmed=True))
GIVEN_UP = (view(0, OLD, active=True, confirmed=True), view(1, NEW))
UNMARKED = (view(0, OLD, active=True, confirmed=True), view(1, NEW))


@pytest.mark.parametrize(
    ("before_id", "before", "now_id", "now", "ended", "rebooted"),
    [
        (A, BEFORE, A, None, False, False),
        (A, BEFORE, A, SWAPPED, True, False),
        (A, BEFORE, B, None, False, True),
        (A, BEFORE, B, SAME, False, True),
        (b"", BEFORE, B, SAME, False, False),
        (A, BEFORE, b"", SAME, True, False),
        (b"", BEFORE, b"", SWAPPED, False, True),
        (b"", BEFORE, b"", GIVEN_UP, False, True),
        (b"", BEFORE, b"", SAME, False, False),
        (b"", UNMARKED, b"", UNMARKED, False, False),
        (b"", UNMARKED, b"", UNMARKED, True, True),
        (b"", BEFORE, b"", None, True, True),
        (b"", BEFORE, b"", None, False, None),
    ],
)
def test_what_shows_a_reset(
    before_id: bytes,
    before: tuple[SlotInfo, ...],
    now_id: bytes,
    now: tuple[SlotInfo, ...] | None,
    *,
    ended: bool,
    rebooted: bool | None,
):
    told = has_rebooted(
        BeforeReset(boot_id=before_id, slots=before),
        boot_id=now_id,
        slots=now,
        hashes=frozenset({NEW}),
        link_ended=ended,
    )
    assert told is rebooted


@pytest.mark.parametrize(
    ("slots", "tried"),
    [
        (GIVEN_UP, True),
        (SWAPPED, False),
        (BEFORE, False),
        (GIVEN_UP[:1], False),
        ((), False),
    ],
)
def test_an_image_that_was_tried_and_given_up(slots: tuple[SlotInfo, ...], *, tried: bool):
    seen = Observed(images=(JobImage(data=b"", hash=NEW, version="1.1.0"),), slots=slots)
    assert was_tried(seen) is tried
    assert was_tried(replace(seen, slots=None)) is False
