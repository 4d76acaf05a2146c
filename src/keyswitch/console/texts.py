"""The words of the pages: all in one file (`texts.toml`), so that they can be read, and translated, at once."""

import tomllib
from functools import cache
from importlib.resources import files
from typing import Final

MINUTE: Final = 60
"""Seconds."""

HOUR: Final = 60
"""Minutes."""


@cache
def catalogue() -> dict[str, str]:
    """Each text by its name, `table.key`."""
    tables = tomllib.loads(files("keyswitch.console").joinpath("texts.toml").read_text())
    return {f"{table}.{key}": text for table, keys in tables.items() for key, text in keys.items()}


def text(name: str, /, **values: object) -> str:
    """The text of that name, with its values in their places. Not yet safe in HTML: what shows it escapes it.

    Raises:
        KeyError: there is no such text, or it needs a value that was not given.
    """
    return catalogue()[name].format(**values)


def duration(duration_ms: int) -> str:
    """A duration as people say it: `under 1 s`, `8 s`, `3 min 20 s`, `1 h 5 min`."""
    seconds = max(0, round(duration_ms / 1000))
    if not seconds and duration_ms > 0:
        return text("time.under")
    if seconds < MINUTE:
        return text("time.seconds", seconds=seconds)
    minutes, seconds = divmod(seconds, MINUTE)
    if minutes < HOUR:
        name = "time.minutes_seconds" if seconds else "time.minutes"
        return text(name, minutes=minutes, seconds=seconds)
    hours, minutes = divmod(minutes, HOUR)
    return text("time.hours_minutes" if minutes else "time.hours", hours=hours, minutes=minutes)
