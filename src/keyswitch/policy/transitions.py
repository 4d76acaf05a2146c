"""The `[[transitions]]` of a policy file: triggers with their own keys, and guards."""

import re
from collections.abc import Callable
from typing import Any, Final, cast

from keyswitch.errors import InputError
from keyswitch.policy import grammar
from keyswitch.policy.enums import Compare, InputType, Others, TriggerWord, WhenFalse
from keyswitch.policy.model import (
    Guard,
    Input,
    OnButton,
    OnConnect,
    OnDisconnect,
    OnEnter,
    OnInput,
    OnLeave,
    OnReset,
    OnTimeout,
    Transition,
    Trigger,
    Value,
)
from keyswitch.schema.tables import below
from keyswitch.schema.value_types import shown, suggestion, wrong
from keyswitch.terms import Security

MAX_TRANSITIONS: Final = 1000

_GUARD: Final = re.compile(r"\s*([A-Za-z0-9_-]+)\s*(==|!=|<=|>=|<|>)\s*(true|false|-?[0-9]{1,10})\s*")

_TRIGGERS: Final[dict[TriggerWord, Callable[[dict[str, Any]], Trigger]]] = {
    TriggerWord.ENTER: lambda read: OnEnter(proofs=read["proofs"] or ()),
    TriggerWord.LEAVE: lambda _: OnLeave(),
    TriggerWord.BUTTON: lambda read: OnButton(hold_ms=read["hold_s"]),
    TriggerWord.INPUT: lambda _: OnInput(),
    TriggerWord.TIMEOUT: lambda _: OnTimeout(),
    TriggerWord.CONNECT: lambda _: OnConnect(),
    TriggerWord.DISCONNECT: lambda _: OnDisconnect(),
    TriggerWord.RESET: lambda _: OnReset(),
}

_KEYS_OF: Final[dict[TriggerWord, frozenset[str]]] = {
    TriggerWord.ENTER: frozenset({"proofs", "security", "others"}),
    TriggerWord.BUTTON: frozenset({"hold_s"}),
}
"""Keys that mean something with one trigger only."""


def read_transitions(value: object, where: str, inputs: tuple[Input, ...]) -> tuple[Transition, ...]:
    """The transitions in file order; modes are not looked up here.

    Raises:
        InputError: a wrong key or value, or a guard over no known input.
    """
    if not isinstance(value, list):
        raise wrong(where, value, "a list of tables, each [[transitions]]")
    entries = cast("list[object]", value)
    if len(entries) > MAX_TRANSITIONS:
        raise InputError(where, f"{len(entries)} transitions", f"at most {MAX_TRANSITIONS}")
    return tuple(_transition(each, index, f"{where}[{index}]", inputs) for index, each in enumerate(entries))


def _transition(value: object, index: int, where: str, inputs: tuple[Input, ...]) -> Transition:
    read = grammar.TRANSITION.read(value, where)
    word = read["on"]
    for owner, names in _KEYS_OF.items():
        for name in sorted(names):
            if owner is not word and read[name] is not None:
                raise InputError(below(where, name), f'means nothing with on = "{word}"', f'on = "{owner}"')
    if word is TriggerWord.BUTTON and read["hold_s"] is None:
        raise InputError(below(where, "hold_s"), "missing", "seconds that the button is held")
    guards = tuple(_guard(each, f"{below(where, 'when')}[{n}]", inputs) for n, each in enumerate(read["when"]))
    security = read["security"]
    return Transition(
        index=index,
        sources=read["from"],
        target=read["to"],
        trigger=_TRIGGERS[word](read),
        when=guards,
        when_false=read["when_false"] or WhenFalse.LEAVE,
        security=Security.NONE if security is None else security,
        others=read["others"] or Others.REFUSE,
    )


def split_guard(text: str) -> tuple[str, str, Value] | None:
    """Input, operator and constant of a condition, however it is spaced; None: it is none."""
    found = _GUARD.fullmatch(text)
    if found is None:
        return None
    name, compare, constant = found.groups()
    return name, compare, constant == "true" if constant in {"true", "false"} else int(constant)


def _guard(text: str, where: str, inputs: tuple[Input, ...]) -> Guard:
    parts = split_guard(text)
    if parts is None:
        raise InputError(where, f"{shown(text)} is not a condition", 'like "motion == false" or "battery >= 30"')
    name, compare, constant = parts[0], Compare(parts[1]), parts[2]
    names = [each.name for each in inputs]
    if name not in names:
        known = ", ".join(names) if names else "an [inputs] table"
        raise InputError(where, f'"{name}" is not an input', known + suggestion(name, names))
    index = names.index(name)
    return Guard(input=name, index=index, compare=compare, value=_constant(inputs[index], compare, constant, where))


def _constant(source: Input, compare: Compare, value: Value, where: str) -> Value:
    if source.type is InputType.BOOL:
        if not isinstance(value, bool) or compare not in {Compare.EQUAL, Compare.UNEQUAL}:
            raise InputError(where, f"{source.name} is a bool", "== or != with true or false")
        return value
    if isinstance(value, bool):
        raise InputError(where, f"{source.name} is an int", "a comparison with a whole number")
    return grammar.INT_INPUT.read(value, where)
