"""docs/reference/cli.md, made from the commands' own help: `python -m tests.docs.cli_reference` writes it."""

import importlib
import re
import runpy
import textwrap
from collections.abc import Iterator
from typing import Final

import click
from tests.docs.consoles import DOCS

from keyswitch.cli.main import COMMANDS
from keyswitch.exits import Exit

PAGE: Final = DOCS / "reference" / "cli.md"
HEAD: Final = """# Commands

Made from the commands' own help; `keyswitch COMMAND --help` also has examples.
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and subcommand, by its whole name, in the order of `keyswitch --help`."""
    for name, (module, _) in COMMANDS.items():
        yield from _with_subcommands(f"keyswitch {name}", getattr(importlib.import_module(module), name))


def _with_subcommands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for each in sorted(command.commands):
            yield from _with_subcommands(f"{name} {each}", command.commands[each])


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_section(name, command) for name, command in commands()) + _exit_codes()


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    told = re.split(r"\n*[\b]?\n?Examples?:", command.help or "")[0]
    paragraphs = [_paragraph(paragraph) for paragraph in re.split(r"\n\s*\n", told) if paragraph.strip("\b \n")]
    level = "#" * (name.count(" ") + 1)
    parts = [f"\n{level} {name}\n", f"`{usage}`\n", *(f"{paragraph}\n" for paragraph in paragraphs)]
    options = [_option(each, context) for each in command.params if isinstance(each, click.Option) and not each.hidden]
    if options:
        parts.append("\n".join(["| Option | |", "|---|---|", *options]) + "\n")
    return "\n".join(parts)


def _paragraph(text: str) -> str:
    """A paragraph of a help; the lines of one that click keeps as they are (`\\b`) are kept here too."""
    if text.strip().startswith("\b"):
        lines = [line.rstrip() for line in textwrap.dedent(text.replace("\b", "")).splitlines() if line.strip()]
        return "\n".join(["```text", *lines, "```"])
    return _escaped(" ".join(text.split()))


def _option(option: click.Option, context: click.Context) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag or option.count else f" {option.make_metavar(context)}"
    notes = [_escaped(option.help or "").replace("|", "\\|")]
    if option.required:
        notes.append("Required.")
    if option.show_default and option.default not in {None, False}:
        notes.append(f"Default: `{option.default}`.")
    told = f"{names}{value}".replace("|", "\\|")
    return f"| `{told}` | {' '.join(notes)} |"


def _escaped(text: str) -> str:
    """Outside of code, a word in angle brackets would be HTML."""
    return text.replace("<", "&lt;") if "`" not in text else text


def _exit_codes() -> str:
    meanings = runpy.run_path(str(DOCS / "device_tables.py"))["_meanings"]()
    rows = "\n".join(f"| {code.value} | {meanings[code.name]} |" for code in Exit)
    return f"\n## Exit codes\n\n| Code | |\n|---|---|\n{rows}\n\n{_BEFORE}\n"


_BEFORE = """\
Ctrl-C or SIGTERM while a command starts ends it with 130 and one line, as soon as the first lines of Keyswitch have
run. Before that, while the Python interpreter itself starts, they are not ours: Ctrl-C may show a traceback of its own,
and SIGTERM ends the process by the signal, which a shell shows as 143. Nothing has begun then."""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
