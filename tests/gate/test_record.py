"""The session record: what it carries comes back, and anything else is no record."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gate.drive import Gate
from tests.policy.samples import pump

from keyswitch.errors import LocalError
from keyswitch.gate.record import SessionRecord, from_json, make, to_json
from keyswitch.policy.words import ProofKind

HASHES = st.binary(min_size=32, max_size=32) | st.binary(min_size=64, max_size=64)
LEFT = st.none() | st.integers(0, 2**40)
RECORDS = st.builds(
    SessionRecord,
    policy=HASHES,
    mode=st.text(),
    entry=st.binary(max_size=8),
    proof=st.none() | st.sampled_from(ProofKind),
    images=st.none() | st.frozensets(HASHES),
    expected=st.none() | HASHES,
    ending=st.booleans(),
    token=st.binary(max_size=4),
    lease_ms=LEFT,
    lease_max_ms=LEFT,
    timeout_ms=LEFT,
    idle_ms=LEFT,
    trial_ms=LEFT,
)


@given(RECORDS)
def test_a_record_comes_back_as_it_was_written(record: SessionRecord) -> None:
    assert from_json(json.loads(json.dumps(to_json(record)))) == record


GOOD = to_json(SessionRecord(policy=b"p", mode="maintenance", proof=ProofKind.CHALLENGE))


@pytest.mark.parametrize("key", GOOD)
def test_a_record_with_a_missing_key_is_none(key: str) -> None:
    assert from_json({name: value for name, value in GOOD.items() if name != key}) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 1},
        {"version": 3},
        {"version": "2"},
        {"version": 2.0},
        {"version": True},
        {"policy": "no hex"},
        {"policy": 7},
        {"mode": 7},
        {"entry": "no hex"},
        {"entry": 7},
        {"proof": "retina"},
        {"images": ["zz"]},
        {"images": 5},
        {"images": ["00" * 31]},
        {"expected": 5},
        {"expected": "00" * 31},
        {"expected": "00" * 33},
        {"expected": "00" * 63},
        {"expected": ""},
        {"token": None},
        {"lease_ms": -1},
        {"lease_ms": 1.5},
        {"lease_max_ms": "9"},
        {"timeout_ms": True},
        {"idle_ms": -1},
        {"trial_ms": 0.5},
    ],
)
def test_a_record_with_a_wrong_value_is_none(wrong: dict[str, Any]) -> None:
    assert from_json({**GOOD, **wrong}) is None


def test_what_is_not_clearly_going_on_is_ending() -> None:
    record = from_json({**GOOD, "ending": 0})
    assert record is not None
    assert record.ending


def test_there_is_no_record_without_a_session() -> None:
    gate = Gate(pump())
    with pytest.raises(LocalError):
        make(gate.policy, gate.state, image=None, token=b"", lease_ms=None, lease_max_ms=None)
