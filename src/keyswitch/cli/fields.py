"""How the command line spells the fields of a request: the one place that knows that `permit` is `--permit`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from keyswitch.errors import InputError, KeyswitchError, Phrase
from keyswitch.schema.output import to_line

_OTHERWISE: Final = {
    "image": "IMAGE",
    "target": "TARGET",
    "keys": "--key",
    "variables": "--set",
    "first_image": "--image",
    "loader": "--loader",
}
"""Arguments, and options with another name; all others are `--` and the name."""


def option(field: str) -> str:
    """The option or argument that fills a field."""
    return _OTHERWISE.get(field) or f"--{field.replace('_', '-')}"


def in_options(said: KeyswitchError | str) -> str:
    """An error's line, or an advice, for somebody at the command line."""
    return said.spelled(option) if isinstance(said, InputError | Phrase) else str(said)


def json_line(values: Mapping[str, Any]) -> str:
    """An object as the command line prints it: what it advises names options."""
    return to_line({key: _in_options(value) for key, value in values.items()})


def _in_options(value: Any) -> Any:
    if isinstance(value, Phrase):
        return in_options(value)
    if isinstance(value, dict):
        return {key: _in_options(each) for key, each in cast("dict[str, Any]", value).items()}
    return [_in_options(each) for each in cast("Iterable[Any]", value)] if isinstance(value, list) else value
