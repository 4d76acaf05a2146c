import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mcuboot import imgtool_images

from keyswitch.app.request import UpdateRequest
from keyswitch.app.update import MAX_IMAGE_NUMBER, MAX_NOTE, MAX_WINDOW, prepare
from keyswitch.errors import InputError

TEXT = st.text(max_size=8)
PATH = TEXT.filter(bool).map(Path)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    str | None: st.none() | TEXT,
    Path | None: st.none() | PATH,
    int | None: st.none() | st.integers(),
    bool: st.booleans(),
    tuple[Path, ...]: st.lists(PATH, max_size=2).map(tuple),
    tuple[tuple[str, str], ...]: st.dictionaries(TEXT, TEXT, max_size=2).map(lambda found: tuple(found.items())),
}
REQUESTS = st.builds(UpdateRequest, **{each.name: VALUES[each.type] for each in fields(UpdateRequest)})


@given(REQUESTS)
def test_a_request_goes_through_json_and_is_the_same(request: UpdateRequest):
    assert UpdateRequest.from_plain(json.loads(json.dumps(request.to_plain()))) == request


def test_what_is_left_out_has_its_default():
    assert UpdateRequest.from_plain({"target": "ble:Pump 7"}) == UpdateRequest(target="ble:Pump 7")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({}, "target"),
        ({"target": None}, "target"),
        ({"target": "udp:x", "windw": 1}, "windw"),
        ({"target": "udp:x", "window": "1"}, "window"),
        ({"target": "udp:x", "window": True}, "window"),
        ({"target": "udp:x", "stay": 1}, "stay"),
        ({"target": "udp:x", "stay": None}, "stay"),
        ({"target": "udp:x", "image": 7}, "image"),
        ({"target": "udp:x", "keys": "a.pem"}, "keys"),
        ({"target": "udp:x", "keys": [1]}, "keys"),
        ({"target": "udp:x", "variables": ["a=b"]}, "variables"),
        ({"target": "udp:x", "variables": {"a": 1}}, "variables"),
    ],
)
def test_a_value_of_another_kind_is_named_by_its_field(values: dict[str, Any], field: str):
    with pytest.raises(InputError) as raised:
        UpdateRequest.from_plain(values)
    assert raised.value.field == field


def asked(**values: Any) -> UpdateRequest:
    return UpdateRequest(**{"target": "udp:127.0.0.1", "only": "confirm", **values})


@pytest.mark.parametrize(
    ("least", "most", "name"),
    [(0, MAX_IMAGE_NUMBER, "image_number"), (1, MAX_WINDOW, "window"), (0, 999_999, "passkey")],
)
def test_numbers_have_limits_whoever_asks(least: int, most: int, name: str):
    for value in (least, most):
        prepare(asked(**{name: value}))
    for value in (least - 1, most + 1):
        with pytest.raises(InputError) as raised:
            prepare(asked(**{name: value}))
        assert raised.value.field == name


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"only": None}, "image", "image: missing (expected a signed image, or only confirm)"),
        ({"only": "all"}, "only", "only: 'all' (expected one of full, upload, test, confirm, leave)"),
        (
            {"hash": "sha1", "only": None, "image": Path("new.bin")},
            "hash",
            "hash: 'sha1' (expected one of sha256, sha384",
        ),
        ({"confirm_by": "me"}, "confirm_by", "confirm_by: 'me' (expected one of operator, self)"),
        ({"permit": Path("p")}, "permit", "permit: means nothing without a policy (expected policy FILE)"),
        ({"new_policy": Path("p")}, "new_policy", "new_policy: means nothing without the device's policy"),
        ({"note": "x"}, "note", "note: means nothing without evidence (expected evidence FILE)"),
        ({"pair": True}, "pair", "pair: means nothing here (expected a Bluetooth LE target)"),
        ({"health": "'"}, "health", 'health: "\'": No closing quotation'),
        ({"health": ""}, "health", "health: an empty command (expected a command to run)"),
    ],
)
def test_a_library_names_fields_as_programs_write_them(values: dict[str, Any], field: str, said: str):
    with pytest.raises(InputError) as raised:
        prepare(asked(**values))
    assert raised.value.field == field
    assert str(raised.value).startswith(said)


def test_a_note_has_a_limit(tmp_path: Path):
    evidence = tmp_path / "run.jsonl"
    assert prepare(asked(evidence=evidence, note="x" * MAX_NOTE)).recording is not None
    with pytest.raises(InputError, match=r"^note: 1,001 characters"):
        prepare(asked(evidence=evidence, note="x" * (MAX_NOTE + 1)))
    assert not evidence.exists(), "nothing is written before the run"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (None, "verified; whether the device takes it: yes, if the bootloader is built for SHA-512"),
        ("sha512", "verified"),
    ],
)
def test_what_the_bootloader_verifies_can_be_said(tmp_path: Path, word: str | None, said: str):
    (tmp_path / "new.bin").write_bytes(imgtool_images.signed("1.1.0", "--sha", "512", key="ed25519"))
    (tmp_path / "key.pem").write_bytes(imgtool_images.public_pem("ed25519"))
    request = asked(image=tmp_path / "new.bin", keys=(tmp_path / "key.pem",), only=None, hash=word)
    assert [each.signature for each in prepare(request).images] == [said]


def test_an_image_for_another_build_is_refused(tmp_path: Path):
    (tmp_path / "new.bin").write_bytes(imgtool_images.signed("1.1.0", "--sha", "512", key="ed25519"))
    (tmp_path / "key.pem").write_bytes(imgtool_images.public_pem("ed25519"))
    with pytest.raises(InputError, match="would not run this image: build: found an image for SHA-512"):
        prepare(asked(image=tmp_path / "new.bin", keys=(tmp_path / "key.pem",), only=None, hash="pure"))
