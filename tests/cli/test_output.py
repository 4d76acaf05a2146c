"""What commands print goes through one function: nothing else in `cli` writes to a terminal."""

import io
from pathlib import Path

import pytest

from keyswitch import cli
from keyswitch.cli.output import colour_of, echo
from keyswitch.exits import Exit

MODULES = sorted(Path(str(cli.__file__)).parent.glob("*.py"))
MAY = {"output.py": 2, "main.py": 1, "progress.py": 1}
"""The function itself; usage errors, escaped there; the sequence that clears a progress line."""


def test_nothing_is_printed_past_the_one_function() -> None:
    texts = {path.name: path.read_text("utf-8") for path in MODULES}
    found = {name: text.count("click.echo(") + text.count("click.secho(") for name, text in texts.items()}
    assert {name: count for name, count in found.items() if count} == MAY


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": ""}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colours_where_a_terminal_has_them(
    monkeypatch: pytest.MonkeyPatch, *, terminal: bool, environment: dict[str, str], coloured: bool
):
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    out = Stream()
    monkeypatch.setattr("sys.stdout", out)
    echo("gate: open\x1b[31m", colour="green")
    text = "gate: open\\x1b[31m"
    assert out.getvalue() == (f"\x1b[32m{text}\x1b[0m\n" if coloured else f"{text}\n")


@pytest.mark.parametrize("code", Exit)
def test_every_exit_code_has_a_colour(code: Exit):
    assert (colour_of(code) == "green") == (code is Exit.YES)
