"""`replace` gives what `dataclasses.replace` gives, and refuses what it would get wrong."""

import dataclasses
from dataclasses import dataclass

import pytest

from keyswitch.gate.frozen import replace
from keyswitch.gate.state import GateState, Session
from keyswitch.policy.enums import ProofKind
from keyswitch.prove.world import World

STATE = GateState(mode="normal", inputs=(True, None), connections=frozenset({1}))
SESSION = Session(way=1, proof=ProofKind.PERMIT, owner=2)


@pytest.mark.parametrize("value", [STATE, SESSION, World(gate=STATE, running=b"x")])
def test_every_field_can_be_replaced_and_every_other_one_stays(value: object) -> None:
    assert dataclasses.is_dataclass(value)
    assert not isinstance(value, type)
    assert replace(value) == value
    for each in dataclasses.fields(value):
        for other in (None, object()):
            made = replace(value, **{each.name: other})
            assert type(made) is type(value)
            assert made == dataclasses.replace(value, **{each.name: other})


def test_the_value_itself_is_not_touched() -> None:
    assert replace(SESSION, owner=None).owner is None
    assert SESSION.owner == 2


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError, match="color"):
        replace(SESSION, color="red")


@dataclass(frozen=True)
class Open:
    place: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    place: int = 0

    def __post_init__(self) -> None:
        assert self.place >= 0


@pytest.mark.parametrize("value", [Open(), Checked()])
def test_a_class_that_it_would_get_wrong_is_refused(value: Open | Checked) -> None:
    with pytest.raises(TypeError, match="no dataclass with slots alone"):
        replace(value, place=1)
