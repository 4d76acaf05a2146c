"""Group os, date-time: a clock that somebody sets and that is lost at reset. Nothing else here believes it."""

import re
from datetime import datetime, timedelta
from typing import Final

from keyswitch.device import events
from keyswitch.device.server.handlers import fields
from keyswitch.device.server.handlers.views import ClockView
from keyswitch.device.server.reply import DONE, Call, GroupError, Reply, SmpError
from keyswitch.smp.codes import Rc
from keyswitch.smp.groups import os

_SHAPE: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d{1,5})?", re.ASCII)
"""19 to 25 characters (Zephyr `os_mgmt.c`, `RTC_DATETIME_MIN_STRING_SIZE` to `..._MAX_STRING_SIZE`)."""
_RANGES: Final = ((1900, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 59))
"""Of each field. A day that its month does not have is the clock's own refusal."""


def read(core: ClockView, call: Call) -> Reply:
    """The time, if it was ever set."""
    if core.clock is None:
        return GroupError(os.Err.RTC_NOT_SET)
    then, set_at_ms = core.clock
    try:
        now = then + timedelta(milliseconds=call.now_ms - set_at_ms)
    except OverflowError:
        return GroupError(os.Err.RTC_COMMAND_FAILED)  # past the year 9999
    return {"datetime": now.strftime("%Y-%m-%dT%H:%M:%S")}


def write(core: ClockView, call: Call) -> Reply:
    """Set it."""
    found = _SHAPE.fullmatch(fields.text(call.body, "datetime") or "")
    if found is None:
        return SmpError(Rc.EINVAL)
    numbers = [int(digits) for digits in found.groups()]
    if not all(least <= number <= most for number, (least, most) in zip(numbers, _RANGES, strict=True)):
        return SmpError(Rc.EINVAL)
    try:
        year, month, day, hour, minute, second = numbers
        core.clock = (datetime(year, month, day, hour, minute, second), call.now_ms)  # noqa: DTZ001  SMP has no zones
    except ValueError:
        return GroupError(os.Err.RTC_COMMAND_FAILED)
    core.note(events.ClockSet(to=found.group(), by=events.by(call.peer)))
    return DONE
