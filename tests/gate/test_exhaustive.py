"""Everybody who acts on the machine's events and effects knows every one of them, and a new one does not type-check.

What a type checker asks for is a `match` whose last case is `assert_never`; here it is seen to be one, with every class
of the union in a case of its own, so that nobody writes `case _: pass` instead.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from keyswitch.device.runtime.runtime import Runtime
from keyswitch.device.server.core import Core
from keyswitch.device.server.output import RuntimeEffect
from keyswitch.gate import machine
from keyswitch.gate.effects import Effect
from keyswitch.gate.events import Event
from keyswitch.prove import environment, successors

INTERPRETERS: dict[str, tuple[Any, tuple[Callable[..., Any], ...]]] = {
    "the machine": (Event, (machine._row,)),
    "the device": (Effect, (Core._carry_out, Core._change_store, Core._change_slots)),
    "the device's runtime": (RuntimeEffect, (Runtime._effect,)),
    "the prover": (Effect, (successors._apply, successors._apply_to_flash)),
    "the prover's moves": (Event, (environment.name_of,)),
}


def cases(function: Callable[..., Any]) -> tuple[set[str], ast.match_case]:
    """The classes that the function's one `match` has cases for, and its last case."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    (match,) = [node for node in ast.walk(tree) if isinstance(node, ast.Match)]
    found = {
        ast.unparse(pattern.cls).rsplit(".", 1)[-1]
        for case in match.cases
        for pattern in ast.walk(case.pattern)
        if isinstance(pattern, ast.MatchClass)
    }
    return found, match.cases[-1]


def test_each_event_gets_its_own_row() -> None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(machine._row)))
    (match,) = [node for node in ast.walk(tree) if isinstance(node, ast.Match)]
    for case in match.cases[:-1]:
        assert isinstance(case.pattern, ast.MatchClass)
        assert ast.unparse(case.body[0]) == f"return table[{ast.unparse(case.pattern.cls)}]"


@pytest.mark.parametrize("who", INTERPRETERS)
def test_every_member_has_its_case_and_nothing_falls_through(who: str) -> None:
    union, functions = INTERPRETERS[who]
    known: set[str] = set()
    for function in functions:
        found, last = cases(function)
        assert isinstance(last.pattern, ast.MatchAs)
        assert last.pattern.pattern is None
        assert ast.unparse(last.body[0]).startswith("assert_never(")
        known |= found
    assert known == {member.__name__ for member in union.__args__}
