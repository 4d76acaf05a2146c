"""What commands print: one function, so that nothing that was read or received reaches a terminal as it is."""

import click

from keyswitch.text import plain


def echo(line: str = "", *, err: bool = False, end: bool = True) -> None:
    """Print one line; what would not print, or break it in two, is shown as its escape (`keyswitch.text.plain`).

    Args:
        line: without its end.
        err: to stderr, for what is to be seen beside results.
        end: whether the line is complete.
    """
    click.echo(plain(line), err=err, nl=end)


def echo_document(text: str) -> None:
    """Print a document that has lines of its own, and whose writer has made its content harmless (SVG)."""
    click.echo(text, nl=False)
