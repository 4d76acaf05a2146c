"""Writes what is generated in device.md, from the code's own tables.

Run it after a change of an option, of the panel or of the exit codes; a test compares the page with what it writes.
"""

import ast
import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from keyswitch import exits
from keyswitch.cli.device import device
from keyswitch.cli.panel import panel
from keyswitch.device.events import DeviceEvent, LiveEvent

PAGE = Path(__file__).parent / "device.md"


def options() -> str:
    """Every option of `keyswitch device`."""
    lines = ["| Option | |", "|---|---|"]
    for parameter in device.params:
        if isinstance(parameter, click.Option):
            value = "" if parameter.is_flag else f" {parameter.make_metavar(click.Context(device))}"
            default = f" Default: `{parameter.default}`." if parameter.show_default else ""
            told = f"`{'`, `'.join(parameter.opts)}{value}`".replace("|", "\\|")
            lines.append(f"| {told} | {parameter.help}{default} |")
    return "\n".join(lines)


def requests() -> str:
    """Every command of the panel."""
    lines = ["| `keyswitch panel DIR …` | |", "|---|---|"]
    for name, command in sorted(panel.commands.items()):
        context = click.Context(command)
        usage = " ".join([name, *(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")])
        told = " ".join(f"{each.opts[0]} {each.metavar}" for each in command.params if _takes_a_value(each))
        lines.append(f"| `{f'{usage} {told}'.strip()}` | {command.help} |")
    return "\n".join(lines)


def _takes_a_value(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and not parameter.is_flag


def exit_codes() -> str:
    """The exit codes that a device and its panel end with."""
    meanings = _meanings()
    codes = [code for code in exits.Exit if code not in _OF_UPDATES]
    return "\n".join(["| Exit code | |", "|---|---|", *(f"| {code.value} | {meanings[code.name]} |" for code in codes)])


_OF_UPDATES = {exits.Exit.UNKNOWN, exits.Exit.REVERTED, exits.Exit.STILL_IN_MAINTENANCE}


def _meanings() -> dict[str, str]:
    """The text below each member, as it stands in the code."""
    tree = ast.parse(Path(exits.__file__).read_text())
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    found: dict[str, str] = {}
    for member, text in itertools.pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(member.targets[0])] = str(text.value.value)
    return found


def events() -> str:
    """What is recorded, from the events' own words."""
    return _table(get_args(DeviceEvent))


def live_events() -> str:
    """The same for what is told and not kept."""
    return _table(get_args(LiveEvent))


def _table(kinds: tuple[Any, ...]) -> str:
    lines = ["| `event` | | With |", "|---|---|---|"]
    for kind in kinds:
        said = (kind.__doc__ or "").strip().partition("Attributes")[0].strip()
        fields = ", ".join(f"`{each.name}`" for each in dataclasses.fields(kind))
        lines.append(f"| `{kind.NAME}` | {said} | {fields} |")
    return "\n".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "options": options,
    "live events": live_events,
    "events": events,
    "panel": requests,
    "exit codes": exit_codes,
}


def renewed(text: str) -> str:
    """The page with its generated parts made anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{table()}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
