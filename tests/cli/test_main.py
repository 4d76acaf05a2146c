"""The command itself: help without weight, one line for each error, documented exit codes."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from keyswitch.cli import main as cli
from keyswitch.errors import InputError, KeyswitchError, LinkLostError, LocalError, RemoteError
from keyswitch.exits import Exit

HEAVY = ("bumble", "bleak", "cryptography", "rich", "cbor2", "hypothesis", "imgtool", "serial", "asyncio")

LIST_MODULES = """
import sys
from keyswitch.cli.main import main
try:
    main(["--help"])
except SystemExit as end:
    assert not end.code
print("\\n".join(sys.modules), file=sys.stderr)
"""


def test_help_imports_nothing_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", LIST_MODULES], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in result.stderr.split()}
    assert "click" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_is_there_and_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(cli.keyswitch, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert f"keyswitch {name}" in result.output
    assert "Example" in result.output


def ends_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    @click.command()
    def failing() -> None:
        raise error

    monkeypatch.setattr(cli.keyswitch, "get_command", lambda *_: failing)
    with pytest.raises(SystemExit) as end:
        cli.main(["failing"])
    assert isinstance(end.value.code, int)
    return end.value.code


def caused_by(cause: BaseException) -> Exception:
    """What `__set_name__` of Python before 3.12 makes of an exception within it."""
    error = RuntimeError("Error calling __set_name__")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("p.toml: modes", "missing", "a table"), Exit.USAGE, "p.toml: modes: missing (expected a table)"),
        (InputError("p.toml", "two\nlines"), Exit.USAGE, "p.toml: two\\nlines"),
        (LinkLostError("supervision timeout"), Exit.UNREACHABLE, "supervision timeout"),
        (RemoteError("short header"), Exit.UNKNOWN, "short header"),
        (LocalError("out of order"), Exit.FAULT, "out of order"),
        (KeyswitchError("no"), Exit.NO, "no"),
        (KeyboardInterrupt(), Exit.INTERRUPTED, "interrupted"),
        (caused_by(KeyboardInterrupt()), Exit.INTERRUPTED, "interrupted"),
        (ZeroDivisionError("oops"), Exit.FAULT, "bug in keyswitch: ZeroDivisionError: oops"),
    ],
)
def test_every_error_is_one_line_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: Exit, line: str
) -> None:
    monkeypatch.delenv("KEYSWITCH_DEBUG", raising=False)
    assert ends_with(monkeypatch, error) == code
    printed = capsys.readouterr().err
    assert line in printed
    assert printed.strip().count("\n") == 0


@pytest.mark.parametrize("arguments", [["no-such-command"], ["--no-such-option"]])
def test_wrong_usage_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == Exit.USAGE
    assert "Traceback" not in capsys.readouterr().err
