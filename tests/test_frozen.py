"""A class whose values are quickly made is the class that it was."""

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from keyswitch.frozen import quickly_made


@dataclass(frozen=True, slots=True)
class Plain:
    a: int
    b: str = "b"
    c: tuple[int, ...] = field(default=(), kw_only=True)


@quickly_made
@dataclass(frozen=True, slots=True)
class Quick:
    a: int
    b: str = "b"
    c: tuple[int, ...] = field(default=(), kw_only=True)


def values(made: Any) -> list[object]:
    return [getattr(made, each.name) for each in fields(made)]


@pytest.mark.parametrize("given", [((1,), {}), ((1, "x"), {"c": (2,)}), ((), {"a": 1, "b": ""})])
def test_it_takes_and_makes_the_same(given: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    by_place, by_name = given
    quick = Quick(*by_place, **by_name)
    assert type(quick) is Quick
    assert values(quick) == values(Plain(*by_place, **by_name))
    assert inspect.signature(Quick) == inspect.signature(Plain)
    assert repr(quick) == repr(Plain(*by_place, **by_name)).replace("Plain", "Quick")


@pytest.mark.parametrize("given", [((), {}), ((1, "x", ()), {}), ((1,), {"a": 1}), ((1,), {"d": 1})])
def test_it_refuses_the_same(given: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    by_place, by_name = given
    for kind in (Plain, Quick):
        with pytest.raises(TypeError):
            kind(*by_place, **by_name)


def test_a_value_stays_as_it_is_and_is_equal_to_its_like() -> None:
    quick = Quick(1, c=(2,))
    with pytest.raises(FrozenInstanceError):
        quick.a = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del quick.a
    assert quick == Quick(1, c=(2,)) != Quick(2, c=(2,))
    assert hash(quick) == hash(Quick(1, c=(2,)))
    assert replace(quick, a=3) == Quick(3, c=(2,))
    assert copy.copy(quick) == pickle.loads(pickle.dumps(quick)) == quick  # noqa: S301 - what was just made


def test_a_class_that_does_more_is_refused() -> None:
    @dataclass(frozen=True)
    class Open:
        a: int

    @dataclass(frozen=True, slots=True)
    class Anew:
        a: list[int] = field(default_factory=list[int])

    @dataclass(frozen=True, slots=True)
    class Afterwards:
        a: int

        def __post_init__(self) -> None:
            pass

    for kind in (Open, Anew, Afterwards):
        with pytest.raises(TypeError, match="slots alone"):
            quickly_made(kind)
