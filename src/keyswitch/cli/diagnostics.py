"""Options that every command with a device takes for whoever looks into a fault: what is logged, and what is captured.

Logging is Python's own, under `keyswitch`: a program that uses the library sets it up as it likes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from keyswitch.errors import InputError
from keyswitch.text import plain

if TYPE_CHECKING:
    import logging

_F = TypeVar("_F", bound=Callable[..., Any])

_LINE: Final = "%(asctime)s.%(msecs)03d %(name)s: %(message)s"
_TIME: Final = "%Y-%m-%dT%H:%M:%S"


def diagnostics(command: _F) -> _F:
    """Add `-v`, `--log-file` and `--capture`; the command itself gets `capture` alone."""
    command = click.option(
        "--capture",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Write what is sent and received into a new file that Wireshark opens: btsnoop for hci:, else pcapng.",
    )(command)
    return logging_options(command)


def logging_options(command: _F) -> _F:
    """Add `-v` and `--log-file`; the command itself gets neither."""
    command = click.option(
        "--log-file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        expose_value=False,
        callback=_log_to_file,
        help="Append everything that is logged to this file.",
    )(command)
    return click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_log_to_stderr,
        help="Print what is done to stderr; twice: each packet as well.",
    )(command)


def _log_to_stderr(context: click.Context, _parameter: click.Parameter, count: int) -> None:
    if not count:
        return
    import logging

    _add(context, logging.StreamHandler(), logging.INFO if count == 1 else logging.DEBUG)


def _log_to_file(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    import logging

    try:
        handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        problem = error.strerror or "cannot be written"
        raise InputError(f"--log-file {path}", problem, "a file that can be written") from error
    _add(context, handler, logging.DEBUG)


def _add(context: click.Context, handler: "logging.Handler", level: int) -> None:
    import logging

    class Harmless(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return plain(super().format(record))

    handler.setLevel(level)
    handler.setFormatter(Harmless(_LINE, _TIME))
    logger = logging.getLogger("keyswitch")
    before = logger.level
    logger.setLevel(min(level, before or level))
    logger.addHandler(handler)

    def end() -> None:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()

    context.call_on_close(end)
