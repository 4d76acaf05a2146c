import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mcuboot import imgtool_images
from tests.policy.samples import SMALL

from keyswitch.app.request import UpdateRequest
from keyswitch.app.update import MAX_IMAGE_NUMBER, MAX_NOTE, MAX_WINDOW, prepare
from keyswitch.errors import InputError
from keyswitch.replay.rig import unsigned_image

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


# --- several images ---

TWO = "[[bootloader.images]]\nslot_size = 32768\n[[bootloader.images]]\nslot_size = 16384\n"


def two_images(directory: Path, more: str, *numbers: int) -> dict[str, Any]:
    """A policy with two images, its secret, and a package with images of these numbers."""
    secret = directory / "secret.hmac"
    secret.write_text("00" * 32)
    secret.chmod(0o600)
    policy = directory / "policy.toml"
    policy.write_text(SMALL + TWO + more)
    path = directory / "dfu_application.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number in numbers:
            file.writestr(f"{number}.bin", unsigned_image(2, number))
        files = [{"file": f"{number}.bin", "image_index": str(number)} for number in numbers]
        file.writestr("manifest.json", json.dumps({"format-version": 0, "files": files}))
    return {"policy": policy, "image": path, "only": None}


def test_a_package_is_held_against_the_images_of_the_policy(tmp_path: Path):
    assert [each.image.number for each in prepare(asked(**two_images(tmp_path, "", 0, 1))).images] == [0, 1]
    with pytest.raises(InputError, match=r"dfu_application\.zip: image 2, and .*policy\.toml has 0, 1"):
        prepare(asked(**two_images(tmp_path, "", 0, 2)))


def test_one_after_the_other_is_said_before_anything_is_sent(tmp_path: Path):
    values = two_images(tmp_path, "[update]\nsimultaneous = false\n", 0, 1)
    said = r"images 0 and 1, and .* has them updated one after the other .*\(expected image_number 1, then the others\)"
    with pytest.raises(InputError, match=said):
        prepare(asked(**values))
    for number in (1, 0):
        (checked,) = prepare(asked(**values, image_number=number)).images
        assert checked.image.number == number


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
