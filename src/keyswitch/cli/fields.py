"""How the command line spells the fields of a request: the one place that knows that `permit` is `--permit`."""

from typing import Final

from keyswitch.errors import InputError, KeyswitchError

_OTHERWISE: Final = {"image": "IMAGE", "target": "TARGET", "keys": "--key", "variables": "--set"}
"""Arguments, and options that may be repeated; all others are `--` and the name."""


def option(field: str) -> str:
    """The option or argument that fills a field."""
    return _OTHERWISE.get(field) or f"--{field.replace('_', '-')}"


def in_options(error: KeyswitchError) -> str:
    """An error's line for somebody at the command line."""
    return error.spelled(option) if isinstance(error, InputError) else str(error)
