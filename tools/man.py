"""Writes the manual pages: one of `keyswitch`, one of each of its commands, from what `--help` says.

Run it as `python tools/man.py DIRECTORY`.
"""

import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from keyswitch import __version__
from keyswitch.cli.main import COMMANDS, keyswitch
from keyswitch.exits import Exit

EXITS = {
    Exit.YES: "yes, all done",
    Exit.NO: "the answer is no: shut, refused, violated, failed",
    Exit.USAGE: "bad usage, or an input file that cannot be used",
    Exit.UNKNOWN: "unknown or inconclusive",
    Exit.UNREACHABLE: "the device could not be reached",
    Exit.REVERTED: "the device went back to its old image",
    Exit.STILL_IN_MAINTENANCE: "the device could not be brought out of maintenance",
    Exit.FAULT: "an internal fault of this program: neither yes nor no",
    Exit.INTERRUPTED: "interrupted",
    Exit.NOBODY_READS: "whoever read the output has gone before it was all written",
}


def pages() -> dict[str, str]:
    """File name: content, of every page."""
    made: dict[str, str] = {}
    for command, ctx in _walk(keyswitch, None, "keyswitch"):
        made[f"{_name(ctx)}.1"] = _page(command, ctx)
    return made


def _walk(
    command: click.Command, parent: click.Context | None, name: str
) -> Iterator[tuple[click.Command, click.Context]]:
    ctx = command.make_context(name, [], parent=parent, resilient_parsing=True, help_option_names=["-h", "--help"])
    yield command, ctx
    for each, inner in _inner(command, ctx):
        yield from _walk(inner, ctx, each)


def _inner(command: click.Command, ctx: click.Context) -> list[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        return []
    found = ((each, command.get_command(ctx, each)) for each in command.list_commands(ctx))
    return [(each, inner) for each, inner in found if inner is not None]


def _page(command: click.Command, ctx: click.Context) -> str:
    name = _name(ctx)
    summary, *rest = cleandoc(command.help or "").split("\n\n")
    summary = " ".join(summary.split()).rstrip(".")
    usage = " ".join(command.collect_usage_pieces(ctx))
    lines = [
        f'.TH "{name.upper()}" "1" "" "keyswitch {__version__}" "Keyswitch"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(summary)}",
        ".SH SYNOPSIS",
        f".B {_text(ctx.command_path)}",
        _text(usage),
    ]
    prose = [each for each in rest if not each.startswith("\b")]
    lines += [".SH DESCRIPTION", _text(summary) + "."]
    for paragraph in prose:
        lines += [".PP", _text(" ".join(paragraph.split()))]
    lines += _options(command, ctx)
    lines += _commands(command, ctx)
    for block in rest:
        if block.startswith("\b"):
            title, *shown = block.removeprefix("\b").strip("\n").split("\n")
            lines += [f".SH {_text(title.rstrip(':').upper())}", ".nf", *(_text(each) for each in shown), ".fi"]
    lines += [".SH EXIT STATUS"]
    for code in Exit:
        lines += [".TP", f".B {code.value}", _text(EXITS[code])]
    others = sorted({"keyswitch", *(f"keyswitch-{each}" for each in COMMANDS)} - {name})
    lines += [".SH SEE ALSO", ", ".join(f"\\fB{_text(each)}\\fR(1)" for each in others)]
    return "\n".join(lines) + "\n"


def _name(ctx: click.Context) -> str:
    """Of the page: the command's words without its arguments."""
    outer = f"{_name(ctx.parent)}-" if ctx.parent is not None else ""
    return f"{outer}{ctx.info_name}"


def _options(command: click.Command, ctx: click.Context) -> list[str]:
    options = (each for each in command.get_params(ctx) if isinstance(each, click.Option))
    records = [record for option in options if (record := option.get_help_record(ctx))]
    lines = [".SH OPTIONS"] if records else []
    for option, told in records:
        lines += [".TP", f"\\fB{_text(option)}\\fR", _text(told)]
    return lines


def _commands(command: click.Command, ctx: click.Context) -> list[str]:
    inner_commands = _inner(command, ctx)
    lines = [".SH COMMANDS"] if inner_commands else []
    for each, inner in inner_commands:
        told = COMMANDS[each][1] if command is keyswitch else inner.get_short_help_str(limit=200)
        lines += [".TP", f"\\fB{_text(f'{_name(ctx)}-{each}')}\\fR(1)", _text(told)]
    return lines


def _text(text: str) -> str:
    """As troff takes it: nothing in a text is a request or an escape (groff_char(7))."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    escaped = "".join(each if each.isascii() else f"\\[u{ord(each):04X}]" for each in escaped)
    return f"\\&{escaped}" if escaped.startswith((".", " ")) else escaped


def main() -> None:
    """Write them all into the directory that is named."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("keyswitch*.1"):
        old.unlink()
    for name, content in pages().items():
        (directory / name).write_text(content, "utf-8")


if __name__ == "__main__":
    main()
