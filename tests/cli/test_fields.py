"""Only the command line knows how a field is spelled there."""

import ast
from dataclasses import fields
from pathlib import Path

import pytest
from click import Argument

from keyswitch.app.request import UpdateRequest
from keyswitch.cli.fields import in_options, option
from keyswitch.cli.update import update
from keyswitch.errors import Field, InputError, KeyswitchError, Phrase

SOURCE = Path(__file__).parents[2] / "src/keyswitch"
AT_THE_TERMINAL = {"cli", "demo", "device"}
"""`device` is a program of its own as well: its process names its own options."""


def test_every_field_of_an_update_is_an_option_of_the_command():
    options = {each.name: each for each in update.params}
    for field in fields(UpdateRequest):
        each = options[field.name]
        spelled = each.make_metavar(each_context()).strip("[]") if isinstance(each, Argument) else each.opts[0]
        assert option(field.name) == spelled, field.name


def each_context():
    return update.make_context("update", ["udp:x"], resilient_parsing=True)


def test_an_error_is_spelled_for_who_reads_it():
    error = InputError(Field("new_policy", "p.toml"), Phrase("not with {only} test"), Phrase("one of {policy}, {keys}"))
    assert str(error) == "new_policy p.toml: not with only test (expected one of policy, keys)"
    assert in_options(error) == "--new-policy p.toml: not with --only test (expected one of --policy, --key)"
    assert (error.field, error.where, error.problem) == ("new_policy", "new_policy p.toml", "not with only test")


def test_what_others_wrote_is_never_taken_for_a_field():
    error = InputError("{permit}.toml", "{permit} stands there", "no {permit}")
    assert in_options(error) == str(error) == "{permit}.toml: {permit} stands there (expected no {permit})"
    assert error.field is None
    assert in_options(KeyswitchError("{permit}")) == "{permit}"


def spelled_in(path: Path) -> list[str]:
    """The options that errors raised in this file name."""
    return [
        f"{path.name}:{part.lineno}: {part.value}"
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in {"InputError", "Field"}
        for part in ast.walk(call)
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.lstrip().startswith("--")
    ]


@pytest.mark.parametrize(
    "package", sorted(path.name for path in SOURCE.iterdir() if path.is_dir() and path.name not in AT_THE_TERMINAL)
)
def test_no_library_error_names_an_option(package: str):
    assert [found for path in (SOURCE / package).rglob("*.py") for found in spelled_in(path)] == []


def test_an_option_in_a_library_error_would_be_found(tmp_path: Path):
    (tmp_path / "planted.py").write_text('raise InputError("--permit", "x")\n')
    assert spelled_in(tmp_path / "planted.py") == ["planted.py:1: --permit"]
