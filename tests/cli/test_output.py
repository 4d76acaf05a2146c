"""What commands print goes through one function: nothing else in `cli` writes to a terminal."""

from pathlib import Path

import pytest

from keyswitch import cli

MODULES = sorted(Path(str(cli.__file__)).parent.glob("*.py"))
MAY = {"output.py": 2, "main.py": 1, "progress.py": 1}
"""The function itself; usage errors, escaped there; the sequence that clears a progress line."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_nothing_is_printed_past_the_one_function(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("click.echo(") + text.count("click.secho(") == MAY.get(path.name, 0)
