"""Every reader of a file of ours, given what only looks like one: nothing but its documented error comes out."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.samples import PUMP_FILE

from keyswitch.errors import InputError
from keyswitch.evidence.chain import check, decode_head
from keyswitch.host.access.recipe_loader import RECIPE_FILE, read_recipe, shipped
from keyswitch.host.access.recipe_loader import load as load_recipe
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.mcuboot.keys import load_keys
from keyswitch.policy.load import load as load_policy
from keyswitch.proof.permit import PermitFault, read

OWN = "C0:00:00:00:00:01"
ODD = st.sampled_from(
    [None, True, -1, 0, 1.5, 1e308, 2**62, "", "00", "x" * 100, "\x1b[2J\n", [], [[]], {}, {"keys": 1}]
)
"""Values that stand where others are expected."""


def bonds() -> dict[str, Any]:
    key = {"value": "00" * 16, "authenticated": True}
    client = {"features": 1, "ccc": {"12": 1}, "known_hash": "00" * 16, "owed": [1, 2]}
    peer = {"keys": {"address_type": 1, "ltk": key, "irk": key}, "client": client}
    return {"schema": 1, "identities": {OWN: {"irk": "00" * 16, "bonds": {"C0:00:00:00:00:02": peer}}}}


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in places(each, (*at, key)))]


def put(document: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    inner = document
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = value
    return document


def test_whole_bonds_are_taken() -> None:
    assert Bonds(OWN, json.dumps(bonds()).encode()).peers == ("C0:00:00:00:00:02",)


@pytest.mark.parametrize("at", places(bonds()), ids=str)
@settings(max_examples=20)
@given(value=ODD)
def test_bonds_with_a_wrong_value_anywhere(at: tuple[Any, ...], value: Any) -> None:
    with suppress(InputError):
        Bonds(OWN, json.dumps(put(bonds(), at, value)).encode()).document()


@settings(max_examples=40)
@given(st.data())
def test_texts_of_ours_with_bytes_changed(data: st.DataObject) -> None:
    texts = (PUMP_FILE.read_bytes(), next(iter(shipped().values())).encode(), json.dumps(bonds()).encode())
    parsers: tuple[Callable[[bytes], object], ...] = (
        load_policy,
        lambda each: load_recipe(each, name="r"),
        lambda each: Bonds(OWN, each),
    )
    for text, parse in zip(texts, parsers, strict=True):
        changed = bytearray(text)
        for place in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=3)):
            changed[place] = data.draw(st.sampled_from(b"\"'[]{}.,=#\n 09\x1b\xff"))
        with suppress(InputError):
            parse(bytes(changed))


@given(st.binary(max_size=80))
def test_bytes_that_are_nothing(data: bytes) -> None:
    assert isinstance(read(data), PermitFault)
    assert isinstance(read(b"\xd2" + data), PermitFault)
    check(data)
    assert decode_head(data) is None
    for pem in (data, b"-----BEGIN PUBLIC KEY-----\n" + data, b"-----BEGIN PRIVATE KEY-----\n" + data):
        with pytest.raises(InputError):
            load_keys(("key", pem))


@pytest.mark.parametrize(
    "changed",
    ["within_s = 0x" + "f" * 5_000, "schema = 2026-01-01", '"' + "k" * 50_000 + '" = 1', "body = { a = 2026-01-01 }"],
)
def test_recipes_that_are_none_are_named_shortly(changed: str) -> None:
    text = 'schema = 1\nabout = "x"\n[[enter]]\nsmp = "os.reset"\n' + changed
    with pytest.raises(InputError) as end:
        load_recipe(text.encode(), name="r")
    assert len(str(end.value)) < 400


def test_a_recipe_that_is_too_long_is_not_cut_off(tmp_path: Any) -> None:
    path = tmp_path / "r.toml"
    text = next(iter(shipped().values())).encode()
    for beyond in (-1, 0):
        path.write_bytes(text.ljust(RECIPE_FILE.max_size + beyond))
        assert read_recipe(str(path)).enter
    path.write_bytes(text.ljust(RECIPE_FILE.max_size + 1))
    with pytest.raises(InputError, match="larger than 100000 bytes"):
        read_recipe(str(path))
