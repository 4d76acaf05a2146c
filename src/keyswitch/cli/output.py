"""What commands print: one function, so that nothing that was read or received reaches a terminal as it is."""

import os
import sys

import click

from keyswitch.exits import Exit
from keyswitch.text import plain


def colour_of(code: Exit) -> str:
    """The colour of an answer: green for yes, yellow where nothing is known, red for the rest."""
    match code:
        case Exit.YES:
            return "green"
        case Exit.UNKNOWN | Exit.UNREACHABLE:
            return "yellow"
        case _:
            return "red"


def _coloured(*, err: bool) -> bool:
    """Whether the reader is a terminal with colours, whose owner has not said that there should be none (NO_COLOR)."""
    stream = sys.stderr if err else sys.stdout
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def echo(line: str = "", *, err: bool = False, end: bool = True, colour: str | None = None) -> None:
    """Print one line; what would not print, or break it in two, is shown as its escape (`keyswitch.text.plain`).

    Args:
        line: without its end.
        err: to stderr, for what is to be seen beside results.
        end: whether the line is complete.
        colour: of the line, on a terminal that has colours (`colour_of`).
    """
    text = plain(line)
    click.echo(click.style(text, fg=colour) if colour and _coloured(err=err) else text, err=err, nl=end)


def echo_document(text: str) -> None:
    """Print a document that has lines of its own, and whose writer has made its content harmless (SVG)."""
    click.echo(text, nl=False)
