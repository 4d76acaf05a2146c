"""The gate's values as plain JSON values and back: events, effects, states, the session record.

    event    {"event": "enter_proved", "peer": {"id": 1, …}, "to": "maintenance", "proof": "challenge", "images": null}
    effect   {"effect": "start_timer", "timer": "lease", "ms": 900000}
    state    {"mode": "normal", "inputs": [false, null], …}
    record   {"version": 2, "mode": "maintenance", …}

Rules kept here:

* A field has its name, and its unit with it. Bytes are lower-case hexadecimal; sets are lists in order; the words of an
  enum are those of policies and of the wire.
* What is read must be exactly what is written here: an unknown, missing or wrong field is an `InputError` that names
  it. The record alone is read without an error: it comes from other firmware, and one that is not understood is
  worthless.
* The words of events and effects stand in tables: renaming a class changes nothing outside.
"""

import dataclasses
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, cast, get_args, get_origin, get_type_hints

from keyswitch.errors import InputError, LocalError
from keyswitch.gate import effects, events
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event
from keyswitch.gate.record import HASH_SIZES, VERSION, SessionRecord
from keyswitch.gate.state import GateState
from keyswitch.terms import Security
from keyswitch.text import short

EVENTS: Final[Mapping[str, type[Event]]] = {
    "booted": events.Booted,
    "connected": events.Connected,
    "disconnected": events.Disconnected,
    "enter_proved": events.EnterProved,
    "attach_proved": events.AttachProved,
    "leave_asked": events.LeaveAsked,
    "extend_asked": events.ExtendAsked,
    "input_changed": events.InputChanged,
    "button_held": events.ButtonHeld,
    "expired": events.Expired,
    "upload_started": events.UploadStarted,
    "upload_ended": events.UploadEnded,
    "arm_asked": events.ArmAsked,
    "arm_failed": events.ArmFailed,
    "reset_asked": events.ResetAsked,
    "confirm_asked": events.ConfirmAsked,
    "self_confirmed": events.SelfConfirmed,
    "firmware_command": events.FirmwareCommand,
    "command_served": events.CommandServed,
}
"""Every event by its word."""

EFFECTS: Final[Mapping[str, type[Effect]]] = {
    "start_timer": effects.StartTimer,
    "stop_timer": effects.StopTimer,
    "drop_queued": effects.DropQueued,
    "drop_reassembly": effects.DropReassembly,
    "drop_upload": effects.DropUpload,
    "write_trailer": effects.WriteTrailer,
    "disarm": effects.Disarm,
    "confirm_image": effects.ConfirmImage,
    "write_session_record": effects.WriteSessionRecord,
    "clear_session_record": effects.ClearSessionRecord,
    "mark_store": effects.MarkStore,
    "persist_mode": effects.PersistMode,
    "reset_now": effects.ResetNow,
    "end_connections": effects.EndConnections,
    "show_service": effects.ShowService,
    "inhibit": effects.Inhibit,
    "mode_changed": effects.ModeChanged,
}
"""Every effect by its word."""

_T = TypeVar("_T")

_EVENT_WORDS: Final = {kind: word for word, kind in EVENTS.items()}
_EFFECT_WORDS: Final = {kind: word for word, kind in EFFECTS.items()}


def event_to_json(event: Event) -> dict[str, Any]:
    """The event as plain JSON values."""
    return {"event": _EVENT_WORDS[type(event)], **_fields(event)}


def event_from_json(value: object, where: str = "event") -> Event:
    """The event that `event_to_json` made.

    Raises:
        InputError: it made nothing like this; names the place below `where`.
    """
    kind, fields = _kind(value, "event", EVENTS, where)
    event: Event = _value(kind, fields, where)
    return event


def effect_to_json(effect: Effect) -> dict[str, Any]:
    """The effect as plain JSON values."""
    return {"effect": _EFFECT_WORDS[type(effect)], **_fields(effect)}


def effect_from_json(value: object, where: str = "effect") -> Effect:
    """The effect that `effect_to_json` made.

    Raises:
        InputError: it made nothing like this; names the place below `where`.
    """
    kind, fields = _kind(value, "effect", EFFECTS, where)
    effect: Effect = _value(kind, fields, where)
    return effect


def state_to_json(state: GateState) -> dict[str, Any]:
    """The state as plain JSON values."""
    return _fields(state)


def state_from_json(value: object, where: str = "state") -> GateState:
    """The state that `state_to_json` made.

    Raises:
        InputError: it made nothing like this; names the place below `where`.
    """
    state: GateState = _value(GateState, value, where)
    return state


def record_to_json(record: SessionRecord) -> dict[str, Any]:
    """The record as plain JSON values, with its version.

    Of the images that it expects, that of pair 0 is `expected`, null if there is none; the others, if there are any,
    are `others`: pairs of number and image. So a record of one image is what it always was.
    """
    told = {"version": VERSION, **_fields(record)}
    told["expected"] = next((image.hex() for pair, image in record.expected if pair == 0), None)
    others = [[pair, image.hex()] for pair, image in record.expected if pair]
    return {**told, "others": others} if others else told


def record_from_json(value: Mapping[str, Any]) -> SessionRecord | None:
    """The record that `record_to_json` made; None for anything else, another version first of all.

    What is not clearly going on is ending: any `ending` but `false` says that the session is over.
    """
    if type(value.get("version")) is not int or value["version"] != VERSION:
        return None
    if "ending" not in value or "expected" not in value:
        return None
    known = {field.name: value[field.name] for field in dataclasses.fields(SessionRecord) if field.name in value}
    known["ending"] = known["ending"] is not False
    first, others = value["expected"], value.get("others", [])
    known["expected"] = [[0, first]] if first is not None else []
    known["expected"] += cast("list[object]", others) if isinstance(others, list) else [None]
    try:
        record: SessionRecord = _dataclass(SessionRecord, known, "record")
    except InputError:
        return None
    hashes = (*(record.images or ()), *(image for _, image in record.expected))
    pairs = [pair for pair, _ in record.expected]
    in_order = pairs == sorted(set(pairs)) and min(pairs, default=0) >= 0
    if not in_order or ("others" in value and value["others"] != record_to_json(record).get("others")):
        return None
    if any(len(each) not in HASH_SIZES for each in hashes):
        return None
    times_ms = (record.lease_ms, record.lease_max_ms, record.timeout_ms, record.idle_ms, record.trial_ms)
    return None if any(each is not None and each < 0 for each in times_ms) else record


# --- writing --------------------------------------------------------------------------------------------------------


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}


def _plain(value: object) -> Any:
    match value:
        case SessionRecord():
            return record_to_json(value)
        case Security():
            return value.word
        case StrEnum():
            return value.value
        case None | bool() | int() | str():
            return value
        case bytes():
            return value.hex()
        case tuple():
            return [_plain(each) for each in cast("tuple[object, ...]", value)]
        case frozenset():
            return sorted(_plain(each) for each in cast("frozenset[object]", value))
        case _ if dataclasses.is_dataclass(value):
            return _fields(value)
        case _:
            raise LocalError(f"{type(value).__name__} has no form in JSON")


# --- reading --------------------------------------------------------------------------------------------------------


def _kind(value: object, key: str, known: Mapping[str, type[_T]], where: str) -> tuple[type[_T], dict[str, Any]]:
    fields = dict(_object(value, where))
    word = fields.pop(key, None)
    kind = known.get(word) if isinstance(word, str) else None
    if kind is None:
        raise InputError(f"{where}.{key}", f"found {short(word)}", f"one of {', '.join(known)}")
    return kind, fields


def _object(value: object, where: str) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    raise InputError(where, f"found {short(value)}", "an object")


@cache
def _types(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _dataclass(kind: type, value: object, where: str) -> Any:
    given, types = _object(value, where), _types(kind)
    for name in given:
        if name not in types:
            raise InputError(f"{where}.{short(name)}", "unknown field", ", ".join(types) or "no fields")
    for name in types:
        if name not in given:
            raise InputError(f"{where}.{name}", "missing", f"every field of {kind.__name__}")
    return kind(**{name: _value(each, given[name], f"{where}.{name}") for name, each in types.items()})


def _value(kind: Any, value: object, where: str) -> Any:
    """`value` as what the annotation `kind` says."""
    if get_origin(kind) is UnionType:
        return _one_of(get_args(kind), value, where)
    if get_origin(kind) in {frozenset, tuple}:
        return _several(kind, value, where)
    if kind is SessionRecord:
        record = record_from_json(_object(value, where))
        return record if record is not None else _wrong(value, where, f"a session record of version {VERSION}")
    if dataclasses.is_dataclass(kind):
        return _dataclass(cast("type", kind), value, where)
    return _READ[kind if kind in _READ else StrEnum](kind, value, where)


def _one_of(kinds: tuple[Any, ...], value: object, where: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    some = [kind for kind in kinds if kind is not NoneType]
    # Of several plain kinds (an input's value: bool or int) the value's own type says which is meant.
    return _value(type(value) if len(some) > 1 and type(value) in some else some[-1], value, where)


def _several(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, list):
        return _wrong(value, where, "a list")
    values, inner = cast("list[object]", value), get_args(kind)
    if get_origin(kind) is tuple and inner[-1] is not Ellipsis:
        if len(values) != len(inner):
            return _wrong(values, where, f"a list of {len(inner)}")
        return tuple(_value(inner[place], each, f"{where}[{place}]") for place, each in enumerate(values))
    read = [_value(inner[0], each, f"{where}[{place}]") for place, each in enumerate(values)]
    if get_origin(kind) is tuple:
        return tuple(read)
    return frozenset(read) if len(set(read)) == len(read) else _wrong(values, where, "each entry once")


def _exactly(kind: Any, value: object, where: str) -> Any:
    return value if type(value) is kind else _wrong(value, where, f"a value of type {kind.__name__}")


def _hexadecimal(_kind: Any, value: object, where: str) -> bytes:
    try:
        found = bytes.fromhex(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    return found if found is not None and found.hex() == value else _wrong(value, where, "lower-case hexadecimal")


def _security(_kind: Any, value: object, where: str) -> Security:
    words = {each.word: each for each in Security}
    found = words.get(value) if isinstance(value, str) else None
    return found if found is not None else _wrong(value, where, f"one of {', '.join(words)}")


def _word(kind: Any, value: object, where: str) -> Any:
    known: dict[str, Any] = {each.value: each for each in kind}
    if isinstance(value, str) and value in known:
        return known[value]
    return _wrong(value, where, f"one of {', '.join(known)}")


def _wrong(value: object, where: str, expected: str) -> Any:
    raise InputError(where, f"found {short(value)}", expected)


_READ: Final[Mapping[Any, Callable[[Any, object, str], Any]]] = {
    bool: _exactly,
    int: _exactly,
    str: _exactly,
    bytes: _hexadecimal,
    Security: _security,
    StrEnum: _word,
}
