"""Ways between modes, from the policy alone."""

from pathlib import Path

import pytest
from tests.audit.audits import PUMP

from keyswitch.audit.route import Enter, Hold, Leave, PowerCycle, SetInput, Wait, route, value_for
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Guard

KEYED = read_policy(Path(__file__).parents[2] / "examples" / "key-switch" / "policy.toml")


@pytest.mark.parametrize(
    ("start", "to", "acts"),
    [
        ("normal", "normal", ()),
        ("normal", "active", (SetInput("motion", True),)),
        ("active", "pairing", (SetInput("motion", False), Hold(2_000))),
        (
            "normal",
            "maintenance",
            (Enter("maintenance", (SetInput("motion", False), SetInput("battery_percent", 100))),),
        ),
        ("pairing", "normal", (Wait(60_000),)),
        ("maintenance", "normal", (Leave(),)),
        ("maintenance", "active", (Leave(), SetInput("motion", True))),
    ],
)
def test_the_pumps_ways(start: str, to: str, acts: tuple[object, ...]) -> None:
    assert route(PUMP, start, to) == acts


def test_without_the_command_there_is_the_button() -> None:
    assert route(PUMP, "normal", "maintenance", by_command=False) == (SetInput("motion", False), Hold(5_000))


def test_a_key_switch_is_turned() -> None:
    found = route(KEYED, "parked", "maintenance")
    assert found is not None
    assert found[:1] == (SetInput("key", False),)
    assert set(found[1:]) == {SetInput("key", True), SetInput("motion", False)}
    assert route(KEYED, "maintenance", "parked") == (Leave(),)
    assert PowerCycle() not in found


@pytest.mark.parametrize("compare", ["==", "!=", "<", "<=", ">", ">="])
def test_a_value_makes_a_condition_true_or_false(compare: str) -> None:
    guard = Guard(input="battery_percent", index=1, compare=compare, value=30)
    fine, other = value_for(PUMP, [guard]), value_for(PUMP, [guard], true=False)
    assert guard.holds(fine)
    assert not guard.holds(other)
