"""The shapes of JSON objects that go out (TypedDicts, events' dataclasses): whether a value has one, and its words."""

import dataclasses
from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

Shape = type[Any]

_WORDS: dict[Any, str] = {str: "text", int: "number", float: "number", bool: "true or false", NoneType: "null"}


def is_shape(kind: Any) -> bool:
    return is_typeddict(kind) or dataclasses.is_dataclass(kind)


def keys(shape: Shape) -> dict[str, Any]:
    """Every key and what it holds."""
    hints = get_type_hints(shape)
    if is_typeddict(shape):
        return hints
    own = {each.name: hints[each.name] for each in dataclasses.fields(shape)}
    return {"event": str, **own} if hasattr(shape, "NAME") else own


def name(shape: Shape) -> str:
    """How the page calls it: events by the name that they bear in JSON."""
    return f"event {shape.NAME}" if hasattr(shape, "NAME") else str(shape.__name__).removesuffix("Json")


def words(kind: Any) -> str:
    """What a key holds, for people."""
    if is_shape(kind):
        return name(kind)
    if get_origin(kind) in {Union, UnionType}:
        return " or ".join(words(each) for each in get_args(kind))
    if get_origin(kind) in {list, tuple}:
        return f"list of {words(get_args(kind)[0])}"
    if isinstance(kind, type) and issubclass(kind, StrEnum | IntEnum):
        return "text"
    return _WORDS.get(kind, "object")


def inner(kind: Any) -> list[Shape]:
    """The shapes that a key's value may have."""
    return [kind] if is_shape(kind) else [shape for each in get_args(kind) for shape in inner(each)]


def faults(value: Any, kind: Any, where: str = "") -> list[str]:
    """Where a value does not have this shape: key paths, each with what is wrong."""
    if is_shape(kind):
        if not isinstance(value, dict):
            return [f"{where}: no object"]
        own = keys(kind)
        wrong = [f"{where}.{key}: missing" for key in own.keys() - value.keys()]
        wrong += [f"{where}.{key}: not of this shape" for key in value.keys() - own.keys()]
        return wrong + [f for key in own.keys() & value.keys() for f in faults(value[key], own[key], f"{where}.{key}")]
    if get_origin(kind) in {Union, UnionType}:
        tried = [faults(value, each, where) for each in get_args(kind)]
        return min(tried, key=len)
    if get_origin(kind) in {list, tuple}:
        if not isinstance(value, list):
            return [f"{where}: no list"]
        return [f for at, each in enumerate(value) for f in faults(each, get_args(kind)[0], f"{where}[{at}]")]
    return [] if _is_plain(value, kind) else [f"{where}: {value!r} is not {words(kind)}"]


def _is_plain(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if get_origin(kind) in {dict, Mapping}:
        return isinstance(value, dict)
    if isinstance(kind, type) and issubclass(kind, StrEnum | IntEnum):
        return isinstance(value, str)
    return type(value) is kind or (kind is float and type(value) is int)


def sample(kind: Any) -> Any:
    """Some value of a dataclass or of a field's type."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{each.name: sample(hints[each.name]) for each in dataclasses.fields(kind)})
    if get_origin(kind) in {Union, UnionType}:
        return sample(get_args(kind)[0])
    if get_origin(kind) is tuple:
        return (sample(get_args(kind)[0]),)
    if isinstance(kind, type) and issubclass(kind, StrEnum | IntEnum):
        return next(iter(kind))
    return kind()
