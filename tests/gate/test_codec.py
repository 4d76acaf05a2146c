"""The gate's values in JSON: every type comes back as it was, and what was not written here is refused by its place."""

import json
from dataclasses import fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyswitch.errors import InputError, LocalError
from keyswitch.gate import codec
from keyswitch.gate.codec import (
    EFFECTS,
    EVENTS,
    effect_from_json,
    effect_to_json,
    event_from_json,
    event_to_json,
    record_from_json,
    record_to_json,
    state_from_json,
    state_to_json,
)
from keyswitch.gate.effects import Effect, StartTimer
from keyswitch.gate.events import Booted, EnterProved, Event, InputChanged, Timer
from keyswitch.gate.peer import Peer, Service
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.state import GateState, Session
from keyswitch.policy.enums import ProofKind
from keyswitch.terms import Security, Transport

HASHES = st.binary(min_size=32, max_size=32) | st.binary(min_size=64, max_size=64)
LEFT = st.none() | st.integers(0, 2**40)
RECORDS = st.builds(
    SessionRecord,
    policy=HASHES,
    mode=st.text(),
    entry=st.binary(max_size=8),
    proof=st.none() | st.sampled_from(ProofKind),
    images=st.none() | st.frozensets(HASHES),
    expected=st.dictionaries(st.integers(0, 9), HASHES, max_size=3).map(lambda found: tuple(sorted(found.items()))),
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
    assert record_from_json(json.loads(json.dumps(record_to_json(record)))) == record


GOOD = record_to_json(SessionRecord(policy=b"p", mode="maintenance", proof=ProofKind.CHALLENGE))


def test_a_record_of_one_image_is_written_as_it_always_was() -> None:
    record = SessionRecord(policy=b"p", mode="maintenance", proof=None, expected=((0, bytes(32)),))
    assert record_to_json(record)["expected"] == "00" * 32
    assert "others" not in record_to_json(record)
    two = record_to_json(replace(record, expected=(*record.expected, (1, b"\x11" * 32))))
    assert (two["expected"], two["others"]) == ("00" * 32, [[1, "11" * 32]])


@pytest.mark.parametrize("key", GOOD)
def test_a_record_with_a_missing_key_is_none(key: str) -> None:
    assert record_from_json({name: value for name, value in GOOD.items() if name != key}) is None


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
        {"others": None},
        {"others": []},
        {"others": 5},
        {"others": [[0, "00" * 32]]},
        {"others": [[1, "00" * 31]]},
        {"others": [[-1, "00" * 32]]},
        {"others": [[1, "00" * 32], [1, "11" * 32]]},
        {"others": [[2, "00" * 32], [1, "11" * 32]]},
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
    assert record_from_json({**GOOD, **wrong}) is None


def test_what_is_not_clearly_going_on_is_ending() -> None:
    record = record_from_json({**GOOD, "ending": 0})
    assert record is not None
    assert record.ending


st.register_type_strategy(SessionRecord, RECORDS)

EXAMPLES = 25
"""Of each of the 36 types: their fields are few and read one by one."""


def through_json(value: dict[str, Any]) -> Any:
    return json.loads(json.dumps(value))


def test_every_event_and_every_effect_has_a_word() -> None:
    assert set(EVENTS.values()) == set(get_args(Event))
    assert set(EFFECTS.values()) == set(get_args(Effect))
    assert len(EVENTS) == len(get_args(Event))
    assert len(EFFECTS) == len(get_args(Effect))


@pytest.mark.parametrize("kind", EVENTS.values(), ids=list(EVENTS))
def test_every_event_comes_back(kind: type[Event]) -> None:
    @settings(max_examples=EXAMPLES)
    @given(st.builds(kind))
    def check(event: Event) -> None:
        assert event_from_json(through_json(event_to_json(event))) == event

    check()


@pytest.mark.parametrize("kind", EFFECTS.values(), ids=list(EFFECTS))
def test_every_effect_comes_back(kind: type[Effect]) -> None:
    @settings(max_examples=EXAMPLES)
    @given(st.builds(kind))
    def check(effect: Effect) -> None:
        assert effect_from_json(through_json(effect_to_json(effect))) == effect

    check()


@settings(max_examples=EXAMPLES)
@given(st.from_type(GateState))
def test_every_state_comes_back(state: GateState) -> None:
    assert state_from_json(through_json(state_to_json(state))) == state


def test_an_input_is_a_bool_or_a_number_afterwards_as_before() -> None:
    for value in (False, True, 0, 1, None):
        event = event_from_json(through_json(event_to_json(InputChanged(name="motion", value=value))))
        assert isinstance(event, InputChanged)
        assert event.value is value


PEER = Peer(id=7, transport=Transport.BLE, security=Security.ENCRYPTED, door=Service.MODE)
ENTER = event_to_json(
    EnterProved(peer=PEER, to="service", proof=ProofKind.PERMIT, images=frozenset({b"\x02", b"\x01"}))
)


def test_the_shapes() -> None:
    assert ENTER == {
        "event": "enter_proved",
        "peer": {"id": 7, "transport": "ble", "security": "encrypted", "door": "mode"},
        "to": "service",
        "proof": "permit",
        "images": ["01", "02"],
    }
    assert effect_to_json(StartTimer(timer=Timer.LEASE, ms=5)) == {"effect": "start_timer", "timer": "lease", "ms": 5}
    state = GateState(
        mode="service", inputs=(True, None), connections=frozenset({2, 1}), session=Session(way=0, proof=None)
    )
    told = state_to_json(state)
    assert list(told) == [field.name for field in fields(GateState)]
    assert (told["inputs"], told["connections"], told["session"]["way"]) == ([True, None], [1, 2], 0)
    assert event_to_json(Booted(inputs=(("motion", None),)))["inputs"] == [["motion", None]]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"event": "enter_prooved"}, "event.event"),
        ({"event": 7}, "event.event"),
        ({"to": None}, "event.to"),
        ({"proof": "retina"}, "event.proof"),
        ({"images": "01"}, "event.images"),
        ({"images": ["01", "01"]}, "event.images"),
        ({"images": ["0A"]}, "event.images[0]"),
        ({"images": ["zz"]}, "event.images[0]"),
        ({"images": [1]}, "event.images[0]"),
        ({"peer": None}, "event.peer"),
        ({"peer": {**ENTER["peer"], "id": True}}, "event.peer.id"),
        ({"peer": {**ENTER["peer"], "id": 1.0}}, "event.peer.id"),
        ({"peer": {**ENTER["peer"], "security": 1}}, "event.peer.security"),
        ({"peer": {**ENTER["peer"], "security": "best"}}, "event.peer.security"),
        ({"peer": {"id": 7}}, "event.peer.transport"),
        ({"claimed": True}, "event.'claimed'"),
    ],
)
def test_a_wrong_field_is_refused_by_its_place(wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as refused:
        event_from_json({**ENTER, **wrong})
    assert refused.value.where == where


@pytest.mark.parametrize("value", [None, 7, "booted", [], {}])
def test_what_is_no_event_effect_or_state_is_refused(value: object) -> None:
    for read in (event_from_json, effect_from_json, state_from_json):
        with pytest.raises(InputError):
            read(value)


def test_a_booted_event_with_a_record_of_another_version_is_refused() -> None:
    told = event_to_json(Booted(record=SessionRecord(policy=b"p", mode="service", proof=None)))
    assert event_from_json(told) == Booted(record=SessionRecord(policy=b"p", mode="service", proof=None))
    with pytest.raises(InputError, match=r"^event\.record: .*session record of version 2"):
        event_from_json({**told, "record": {**told["record"], "version": 1}})


def test_the_inputs_of_a_boot_are_pairs() -> None:
    with pytest.raises(InputError, match=r"^event\.inputs\[0\]: .*a list of 2"):
        event_from_json({**event_to_json(Booted()), "inputs": [["motion"]]})


def test_a_value_without_a_form_is_a_bug_of_ours() -> None:
    with pytest.raises(LocalError, match="object has no form"):
        codec._plain(object())
