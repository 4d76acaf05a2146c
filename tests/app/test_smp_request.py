"""Requests as people write them: names and numbers, JSON that carries bytes, and what a device answers."""

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.app.smp_request import from_json, request_of, to_json
from keyswitch.errors import InputError
from keyswitch.smp.commands import COMMANDS, GROUPS
from keyswitch.smp.header import Op

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=9) | st.text(max_size=9)
    | st.text(max_size=5).map("hex:".__add__) | st.text(max_size=5).map("text:".__add__),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(VALUES)
def test_what_cbor_has_goes_through_json(value: Any):
    assert from_json(json.loads(json.dumps(to_json(value)))) == value


def test_every_command_has_its_name_and_its_numbers():
    for command in COMMANDS.values():
        group, _, name = command.name.partition(".")
        named = request_of(group, name)
        assert named == request_of(str(command.group), str(command.id))
        assert (named.group, named.command) == (command.group, command.id)
        assert named.op == (Op.READ if command.reads and command.name != "os.echo" else Op.WRITE)
        assert request_of(group, name, op=Op.READ).op is Op.READ
        assert request_of(group, name, op=Op.WRITE).op is Op.WRITE


def test_what_nobody_named_is_sent_by_number():
    request = request_of("65535", "255", '{"a": ["hex:0a0b", "text:hex:0a"]}', op=Op.WRITE)
    assert (request.group, request.command, request.body) == (65_535, 255, {"a": [b"\x0a\x0b", "hex:0a"]})
    assert request.words == "65535/255 (write)"
    assert request_of("os", "echo").words == "os.echo (write, 0/0)"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("images", "state"), "group images: not known (expected image?)"),
        (("65536", "0"), f"a number up to 65535, or one of {', '.join(group.name for group in GROUPS.values())}"),
        (("image", "sate"), "command sate: not known (expected state?)"),
        (("image", "256"), "a number up to 255, or one of state, upload, erase, slots"),
        (("64", "echo"), "command echo: not known (expected a number up to 255)"),
        (("os", "echo", "[1]"), "JSON: no object (expected one JSON object"),
        (("os", "echo", "{"), "JSON: not JSON"),
        (("os", "echo", '{"d": "hex:0g"}'), "JSON: 'hex:0g': no hexadecimal bytes"),
        (("os", "echo", '{"d": "\udcff"}'), "JSON: byte 7 is not UTF-8"),
    ],
)
def test_what_cannot_be_meant_is_one_line(arguments: tuple[str, ...], said: str):
    with pytest.raises(InputError) as raised:
        request_of(*arguments)
    assert said in str(raised.value)


def test_values_that_json_does_not_have_are_told_as_text():
    assert to_json({1: struct.Struct}) == {"1": str(struct.Struct)}
