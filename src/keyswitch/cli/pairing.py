"""The options of every command that reaches a device over Bluetooth LE: how it pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def pairing_options(command: _Command) -> _Command:
    """Give a command `pair`, `passkey` and `bonds`, which go to `keyswitch.app.endpoints.open_endpoint` as they are."""
    for option in reversed(_OPTIONS):  # as decorators are applied: the last one first
        command = option(command)
    return command


_OPTIONS = (
    click.option("--pair", is_flag=True, help="Pair with the device, or encrypt with the keys of an earlier pairing."),
    click.option(
        "--passkey",
        type=click.IntRange(0, 999_999),
        metavar="DIGITS",
        help="Pair with these six digits, which the device shows, instead of asking.",
    ),
    click.option(
        "--bonds",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Keep the pairing keys of an hci: target in this file.",
    ),
)
