from typing import Any

import pytest

from keyswitch.errors import RemoteError
from keyswitch.host.smp.reply import Answer, Refusal, classify
from keyswitch.reasons import Reason
from keyswitch.smp.codes import Rc


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, {}),
        ({"off": 7}, {"off": 7}),
        ({"rc": 0}, {}),
        ({"rc": 0, "off": 7}, {"off": 7}),
        ({"err": {"group": 1, "rc": 0}}, {}),
        ({"off": 7, "brand new": [1]}, {"off": 7, "brand new": [1]}),
    ],
)
def test_results(values: dict[str, Any], told: dict[str, Any]):
    assert classify(values) == Answer(values=told)


@pytest.mark.parametrize(
    ("values", "name", "text", "beside"),
    [
        ({"rc": 11}, "EACCESSDENIED", "", {}),
        ({"rc": 11, "rsn": "app reject"}, "EACCESSDENIED", "app reject", {}),
        ({"rc": 11, "rsn": 5}, "EACCESSDENIED", "", {}),
        ({"rc": 257}, "rc 257", "", {}),
        ({"rc": 11, "off": 0}, "EACCESSDENIED", "", {"off": 0}),
        ({"err": {"group": 1, "rc": 23}}, "image INVALID_IMAGE_HEADER_MAGIC", "", {}),
        ({"err": {"group": 1, "rc": 35}}, "image code 35", "", {}),
        ({"err": {"group": 1000, "rc": 3}}, "group 1000 code 3", "", {}),
        ({"err": {"group": 1, "rc": 25}, "off": 300}, "image INVALID_FLASH_ADDRESS", "", {"off": 300}),
        ({"err": {"group": 0, "rc": 2}, "rc": 11}, "os INVALID_FORMAT", "", {}),
        ({"err": {"group": 0, "rc": 0}, "rc": 11}, "EACCESSDENIED", "", {}),
    ],
)
def test_refusals(values: dict[str, Any], name: str, text: str, beside: dict[str, Any]):
    reply = classify(values)
    assert isinstance(reply, Refusal)
    assert (reply.name, reply.text, reply.beside) == (name, text, beside)


@pytest.mark.parametrize(
    "values",
    [{"rc": "no"}, {"rc": True}, {"rc": None}, {"err": 5}, {"err": {}}, {"err": {"group": 1}}, {"err": {"rc": 1}}],
)
def test_what_no_server_may_say(values: dict[str, Any]):
    with pytest.raises(RemoteError, match="answer"):
        classify(values)


@pytest.mark.parametrize("reason", list(Reason))
def test_our_words_are_recognised(reason: Reason):
    for text in (reason.value, f"{reason.value}: this one"):
        reply = classify({"rc": 11, "rsn": text})
        assert isinstance(reply, Refusal)
        assert reply.reason is reason
        assert str(reply).startswith(text)
        assert "EACCESSDENIED" not in str(reply)
    guarded = Refusal(code=11, text=f"{reason.value}: motion == false, is true")
    assert str(guarded) == f"{reason.value}: motion must be false, it is true"


def test_words_are_harmless_where_they_come_in():
    reply = classify({"rc": 11, "rsn": "\x1b[2J\nkeyswitch: confirmed\n\x85\x9b1m"})
    assert isinstance(reply, Refusal)
    assert reply.text == "\\x1b[2J\\nkeyswitch: confirmed\\n\\x85\\x9b1m"
    assert classify({"rc": 11, "rsn": "Über 5 °C"}) == Refusal(code=11, text="Über 5 °C")


def test_other_words_are_no_reason():
    reply = classify({"rc": 11, "rsn": "app reject"})
    assert isinstance(reply, Refusal)
    assert reply.reason is None
    assert reply.is_rc(Rc.EACCESSDENIED)
    assert not reply.is_rc(Rc.EBUSY)


def test_a_group_code_is_no_shared_code():
    reply = classify({"err": {"group": 1, "rc": 11}})
    assert isinstance(reply, Refusal)
    assert not reply.is_rc(Rc.EACCESSDENIED)
    assert str(reply) == "image FLASH_READ_FAILED"
