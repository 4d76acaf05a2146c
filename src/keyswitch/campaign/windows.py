"""When devices may be updated: windows by the time of day, and a deadline. Pure: the time is handed in.

Rules:

* A window is of the place where the devices are: its days and hours are those of its time zone, summer time or not.
* One that closes before it opens goes on past midnight, and belongs to the day on which it opens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from zoneinfo import ZoneInfo


class Day(StrEnum):
    """A day of the week, as a campaign file has it."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


DAYS = tuple(Day)
"""In the order of `datetime.weekday`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Hours of some days.

    Attributes:
        days: on which it opens.
        opens_min: minute of the day.
        closes_min: minute of the day, or of the next one; never the same.
        zone: IANA name of the time zone.
    """

    days: tuple[Day, ...]
    opens_min: int
    closes_min: int
    zone: str

    def is_open(self, at: datetime) -> bool:
        """Whether it is open at that moment."""
        there = at.astimezone(ZoneInfo(self.zone))
        minute = there.hour * 60 + there.minute
        today, yesterday = DAYS[there.weekday()] in self.days, DAYS[there.weekday() - 1] in self.days
        if self.opens_min < self.closes_min:
            return today and self.opens_min <= minute < self.closes_min
        return (today and minute >= self.opens_min) or (yesterday and minute < self.closes_min)

    def next_opening(self, at: datetime) -> datetime:
        """When it opens next, behind that moment; in UTC."""
        there = at.astimezone(ZoneInfo(self.zone))
        hour, minute = divmod(self.opens_min, 60)
        openings = (
            datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
            for day in (there + timedelta(days=later) for later in range(9))
            if DAYS[day.weekday()] in self.days
        )
        return next(opening for opening in openings if opening > at)

    def closings(self, at: datetime) -> tuple[datetime, ...]:
        """When it closes in the days behind that moment, in order; in UTC."""
        there = at.astimezone(ZoneInfo(self.zone))
        hour, minute = divmod(self.closes_min, 60)
        past_midnight = timedelta(days=self.closes_min < self.opens_min)
        closings = (
            datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(self.zone)).astimezone(UTC)
            for opens_on in (there + timedelta(days=later) for later in range(-1, 9))
            if DAYS[opens_on.weekday()] in self.days
            for day in (opens_on + past_midnight,)
        )
        return tuple(closing for closing in closings if closing > at)

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "days": [day.value for day in self.days],
            "opens_min": self.opens_min,
            "closes_min": self.closes_min,
            "zone": self.zone,
        }

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """The same from JSON values."""
        return cls(
            days=tuple(Day(word) for word in plain["days"]),
            opens_min=plain["opens_min"],
            closes_min=plain["closes_min"],
            zone=plain["zone"],
        )


def opens_at(windows: Iterable[Window], at: datetime) -> datetime:
    """When a device may be updated next: `at` itself while one is open, or where there are none."""
    each = tuple(windows)
    if not each or any(window.is_open(at) for window in each):
        return at
    return min(window.next_opening(at) for window in each)


def closes_at(windows: Iterable[Window], at: datetime) -> datetime | None:
    """When no window is open any more, behind a moment at which one is; None: that is not within a week."""
    each = tuple(windows)
    closings = sorted(closing for window in each for closing in window.closings(at))
    return next((moment for moment in closings if not any(window.is_open(moment) for window in each)), None)


def done_at(windows: Iterable[Window], at: datetime, work: timedelta) -> datetime:
    """When so much work is done that goes on while a window is open, begun at that moment or as soon as one opens."""
    each = tuple(windows)
    begins = opens_at(each, at)
    while each and (closes := closes_at(each, begins)) is not None and closes - begins < work:
        work -= closes - begins
        begins = opens_at(each, closes)
    return begins + work
