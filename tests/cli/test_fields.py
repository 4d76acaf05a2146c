"""Only the command line knows how a field is spelled there."""

import ast
import json
import re
from dataclasses import fields
from pathlib import Path
from string import Formatter

import pytest
from click import Argument, Option

from keyswitch.app.request import UpdateRequest
from keyswitch.cli.device import device
from keyswitch.cli.fields import in_options, json_line, option
from keyswitch.cli.update import update
from keyswitch.device.process.process import DeviceOptions
from keyswitch.errors import Field, InputError, KeyswitchError, Phrase
from keyswitch.host.connect.verdict import NEXT_STEP

SOURCE = Path(__file__).parents[2] / "src/keyswitch"
AT_THE_TERMINAL = {"cli", "demo", "testing", "audit"}
"""`testing` types commands, as a person would: its words are arguments of processes. What `audit` writes are files that
name the command that made them, and the options that decide what was left open."""


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
    """The options of ours that texts in this file name: not docstrings, not variables of a style sheet."""
    tree = ast.parse(path.read_text())
    comments = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    return [
        f"{path.name}:{part.lineno}: {part.value}"
        for part in ast.walk(tree)
        if isinstance(part, ast.Constant) and isinstance(part.value, str) and id(part) not in comments
        if re.search(r"(^|[ `]|(?<!var)\()--[a-z](?![a-z-]*:)", part.value) and "imgtool" not in part.value
    ]


@pytest.mark.parametrize(
    "package", sorted(path.name for path in SOURCE.iterdir() if path.is_dir() and path.name not in AT_THE_TERMINAL)
)
def test_no_text_of_the_library_names_an_option(package: str):
    assert [found for path in (SOURCE / package).rglob("*.py") for found in spelled_in(path)] == []


@pytest.mark.parametrize(
    "planted", ['raise InputError("--permit", "x")', 'STEP = "look (--only confirm)"', 'f"{name} --udp {port}"']
)
def test_an_option_in_a_text_would_be_found(tmp_path: Path, planted: str):
    (tmp_path / "planted.py").write_text(f'"""--permit is an option."""\n{planted}\n')
    assert len(spelled_in(tmp_path / "planted.py")) == 1


def test_an_advice_is_a_text_that_the_command_line_spells_in_its_way():
    advice = Phrase("say {downgrade}, or give {keys}")
    assert (advice, in_options(advice)) == ("say downgrade, or give keys", "say --downgrade, or give --key")
    assert in_options("say downgrade") == "say downgrade"
    told = json.loads(json_line({"next_step": advice, "rows": [{"next_step": advice}], "n": 1}))
    assert told["next_step"] == told["rows"][0]["next_step"] == in_options(advice)


def test_every_field_that_an_advice_names_is_an_option():
    named = [word for step in NEXT_STEP.values() if isinstance(step, Phrase) for word in fields_of(step)]
    assert {"policy", "recipe", "pair"} == set(named) <= {each.name for each in fields(UpdateRequest)}


def fields_of(phrase: Phrase) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(phrase.template) if name]


def test_every_option_of_a_device_is_a_field_of_its_own():
    spelled = {each.name: each.opts[0] for each in device.params if isinstance(each, Option)}
    for each in fields(DeviceOptions):
        assert each.name == "policy" or option(each.name) == spelled[each.name]
