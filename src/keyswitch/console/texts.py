"""The words of the pages: all in one file (`texts.toml`), so that they can be read, and translated, at once."""

import tomllib
from functools import cache
from importlib.resources import files


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
    """A duration as people say it: `8 s`, `3 min 20 s`, `1 h 5 min`."""
    seconds = max(0, round(duration_ms / 1000))
    if seconds < 60:  # noqa: PLR2004 - of a minute
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:  # noqa: PLR2004 - of an hour
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
