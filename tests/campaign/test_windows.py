"""Windows at their limits, past midnight, and in the nights in which summer time begins and ends."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.campaign.windows import DAYS, Day, Window, closes_at, done_at, opens_at

DAY = Window(days=(Day.MONDAY,), opens_min=8 * 60, closes_min=17 * 60, zone="UTC")
NIGHT = Window(days=(Day.SATURDAY,), opens_min=22 * 60, closes_min=5 * 60, zone="Europe/Berlin")
MINUTE = timedelta(minutes=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "at", "is_open"),
    [
        (DAY, "2026-11-30T07:59:59", False),
        (DAY, "2026-11-30T08:00:00", True),
        (DAY, "2026-11-30T16:59:59", True),
        (DAY, "2026-11-30T17:00:00", False),
        (DAY, "2026-12-01T08:00:00", False),  # a Tuesday
        (NIGHT, "2026-11-28T20:59:59", False),  # 21:59:59 in Berlin
        (NIGHT, "2026-11-28T21:00:00", True),
        (NIGHT, "2026-11-29T03:59:59", True),  # it is Sunday, and the window is Saturday's
        (NIGHT, "2026-11-29T04:00:00", False),
        (NIGHT, "2026-11-28T03:00:00", False),  # Friday has none
        (NIGHT, "2026-07-04T20:00:00", True),  # summer: 22:00 in Berlin
        (NIGHT, "2026-07-04T19:59:59", False),
        (NIGHT, "2026-10-25T03:59:59", True),  # summer time ended an hour before
    ],
)
def test_limits(window: Window, at: str, is_open: bool):
    assert window.is_open(utc(at)) is is_open


@pytest.mark.parametrize(
    ("window", "at", "opens"),
    [
        (DAY, "2026-11-30T07:59:59", "2026-11-30T08:00:00"),
        (DAY, "2026-11-30T08:00:00", "2026-12-07T08:00:00"),
        (NIGHT, "2026-10-20T12:00:00", "2026-10-24T20:00:00"),
        (NIGHT, "2026-10-25T12:00:00", "2026-10-31T21:00:00"),  # summer time ended meanwhile
    ],
)
def test_the_next_opening(window: Window, at: str, opens: str):
    assert window.next_opening(utc(at)) == utc(opens)


def test_without_windows_it_is_always_time_and_of_several_the_next_one_counts():
    at = utc("2026-11-28T12:00:00")
    assert opens_at([], at) == at
    assert opens_at([DAY, NIGHT], at) == utc("2026-11-28T21:00:00")
    assert opens_at([NIGHT, DAY], utc("2026-11-30T08:00:00")) == utc("2026-11-30T08:00:00")


@given(
    st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
    st.integers(0, 1439),
    st.integers(1, 1439),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),  # noqa: DTZ001 - made aware below
)
def test_a_window_is_shut_before_it_opens_and_open_then(
    days: list[Day], opens_min: int, length_min: int, zone: str, at: datetime
):
    window = Window(days=tuple(days), opens_min=opens_min, closes_min=(opens_min + length_min) % 1440, zone=zone)
    assert Window.from_plain(window.to_plain()) == window
    now = at.replace(tzinfo=UTC, microsecond=0)
    opening = window.next_opening(now)
    assert now < opening <= now + timedelta(days=8)
    if length_min > 120:  # an hour that summer time skips, or repeats, may be all of a shorter one
        assert window.is_open(opening)
    assert opens_at([window], now) == (now if window.is_open(now) else opening)


@pytest.mark.parametrize(
    ("windows", "at", "closes"),
    [
        ([DAY], "2026-11-30T16:59:59", "2026-11-30T17:00:00"),
        ([DAY], "2026-11-30T08:00:00", "2026-11-30T17:00:00"),
        ([NIGHT], "2026-11-28T21:00:00", "2026-11-29T04:00:00"),
        ([NIGHT], "2026-11-29T03:59:59", "2026-11-29T04:00:00"),
        ([DAY, Window(days=DAYS, opens_min=16 * 60, closes_min=18 * 60, zone="UTC")], "2026-11-30T09:00:00",
         "2026-11-30T18:00:00"),  # they overlap
        ([Window(days=DAYS, opens_min=0, closes_min=720, zone="UTC"),
          Window(days=DAYS, opens_min=720, closes_min=0, zone="UTC")], "2026-11-30T09:00:00", None),
    ],
)  # fmt: skip
def test_when_they_close(windows: list[Window], at: str, closes: str | None):
    assert closes_at(windows, utc(at)) == (None if closes is None else utc(closes))


@pytest.mark.parametrize(
    ("windows", "hours", "done"),
    [
        ([], 3, "2026-11-28T15:00:00"),
        ([NIGHT], 0, "2026-11-28T21:00:00"),
        ([NIGHT], 7, "2026-11-29T04:00:00"),  # exactly the window
        ([NIGHT], 8, "2026-12-05T22:00:00"),  # and an hour of the next one
        ([Window(days=DAYS, opens_min=0, closes_min=720, zone="UTC")], 30, "2026-12-01T06:00:00"),
    ],
)
def test_work_goes_on_while_a_window_is_open(windows: list[Window], hours: int, done: str):
    assert done_at(windows, utc("2026-11-28T12:00:00"), timedelta(hours=hours)) == utc(done)
