"""The page of JSON shapes is what the code says, and no key goes unnoticed."""

import json
from typing import get_args

import click
from tests import shapes
from tests.docs.cli_reference import commands
from tests.docs.json_reference import DEVICE_EVENTS, PAGE, PRINTED, all_shapes, page, taken_back, told_by

from keyswitch.device.events import DeviceEvent, LiveEvent, to_json


def test_the_page_is_what_the_code_says():
    assert PAGE.read_text("utf-8") == page(), "run python -m tests.docs.json_reference"


def test_every_command_that_prints_json_is_there():
    prints = {
        name
        for name, command in commands()
        for each in command.params
        if isinstance(each, click.Option) and "--json" in each.opts
    }
    assert prints == {command.partition(" --")[0] for command in PRINTED}
    assert {"keyswitch check --replay", "keyswitch update --dry-run"} < PRINTED.keys()


def test_every_shape_has_a_name_of_its_own_and_words():
    names = [shapes.name(each) for each in all_shapes()]
    assert len(set(names)) == len(names)
    assert all(each.__doc__ for each in all_shapes())
    assert set(DEVICE_EVENTS) == {*get_args(DeviceEvent), *get_args(LiveEvent)}


def test_every_event_of_the_device_goes_out_as_its_shape():
    for kind in DEVICE_EVENTS:
        told = json.loads(json.dumps(to_json(shapes.sample(kind))))
        assert shapes.faults(told, kind) == [], kind
        assert told["event"] == kind.NAME


def test_a_key_that_goes_or_changes_needs_another_version():
    text = page()
    assert len(told_by(text)) > 200
    assert taken_back(text, text) == []
    gone = text.replace("| `holds` | true or false |\n", "")
    changed = text.replace("| `holds` | true or false |", "| `holds` | text |")
    assert taken_back(text, gone) == ["PolicyCheck.holds"] == taken_back(text, changed)
    assert taken_back(gone, text) == []
    raised = gone.replace("`schema_version`, which is 2", "`schema_version`, which is 3")
    assert raised != gone
    assert taken_back(text, raised) == []
