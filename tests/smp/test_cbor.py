"""The dialect: what is read, what is refused, and how answers look."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.errors import RemoteError
from keyswitch.smp import cbor

WRONG = {
    "nothing": "",
    "no map": "05",
    "a list": "80",
    "the same key twice": "a2616401616402",
    "the same key twice, indefinite": "bf616401616402ff",
    "the same key twice, deeper": "a16165a2616401616402",
    "a number as key": "a10101",
    "bytes as key": "a1416101",
    "cut short": "a16164",
    "no end": "bf616401",
    "a stray end": "a16164ff",
    "a tag around the map": "d9d9f7a0",
    "a date": "a16164c074323031332d30332d32315432303a30343a30305a",
    "a big number": "a16164c249010000000000000000",
    "a pattern": "a16164d82361 61",
    "a shared value": "a16164d81c80",
    "an unknown tag": "a16164d9fffe01",
    "reserved additional information": "a161641c",
    "text that is not UTF-8": "a1616461ff",
    "too deep": "a16164" + "81" * 9 + "01",
}


@pytest.mark.parametrize("data", WRONG.values(), ids=WRONG)
def test_refused(data: str):
    with pytest.raises(RemoteError) as caught:
        cbor.loads_map(bytes.fromhex(data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", ["a161640142ffff", "bf616401ff00", "a1616401a0"])
def test_what_follows_the_first_item_is_not_read(data: str):
    assert cbor.loads_map(bytes.fromhex(data)) == {"d": 1}


def test_both_forms_are_read():
    body = {"images": [{"slot": 0, "active": True}], "splitStatus": 0}
    assert cbor.loads_map(cbor.dumps(body)) == body
    assert cbor.loads_map(cbor.dumps_indefinite(body)) == body


def test_answers_have_indefinite_length_at_each_level():
    assert cbor.dumps_indefinite({"a": [{"b": 1}]}) == bytes.fromhex("bf61619fbf616201ffffff")


@pytest.mark.parametrize(
    ("data", "text"), [("a1616401", False), ("a161647f6161ff", True), ("a161645f4161ff", True), ("a16164417f", False)]
)
def test_chunked_strings_are_found(data: str, text):
    assert cbor.has_chunked_string(bytes.fromhex(data)) is text


json_like = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=8), st.binary(max_size=40), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)
bodies = st.dictionaries(st.text(max_size=4), json_like, max_size=4)


def depth(item: object) -> int:
    if isinstance(item, dict):
        return 1 + max(map(depth, item.values()), default=0)
    return 1 + max(map(depth, item), default=0) if isinstance(item, list) else 0


@given(body=bodies.filter(lambda body: depth(body) <= cbor.MAX_DEPTH))
def test_round_trip(body: dict[str, object]):
    for encoded in (cbor.dumps(body), cbor.dumps_indefinite(body)):
        assert cbor.loads_map(encoded) == body
        assert not cbor.has_chunked_string(encoded)
        for cut in range(len(encoded)):
            with pytest.raises(RemoteError):
                cbor.loads_map(encoded[:cut])


@given(data=st.binary(max_size=64))
def test_garbage_is_read_or_blamed_on_the_peer(data: bytes):
    try:
        item = cbor.loads(data)
    except RemoteError:
        return
    assert isinstance(item, (int, float, str, bytes, list, dict, bool, type(None))) or item is not None
    cbor.has_chunked_string(data)
