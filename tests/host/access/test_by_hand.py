"""The way in by hand, in the policy's own words."""

import pytest
from tests.policy.samples import ROOT, pump, small

from keyswitch.host.access.by_hand import by_hand
from keyswitch.host.access.policy_profile import ways_in_words
from keyswitch.policy.load import read_policy

BUTTON = """
[[transitions]]
from = ["normal"]
to = "maintenance"
on = "button"
hold_s = 2.5
"""


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("normal", "hold the button for 5 s while motion is false"),
        ("active", "wait until motion is false, then hold the button for 5 s while motion is false"),
        ("pairing", "wait 60 s, then hold the button for 5 s while motion is false"),
        ("no such mode", ""),
    ],
)
def test_the_pump(mode: str, words: str) -> None:
    assert by_hand(pump(), mode) == words


def test_a_key_switch_is_set() -> None:
    keyed = read_policy(ROOT / "examples" / "key-switch" / "policy.toml")
    words = {mode.name: by_hand(keyed, mode.name) for mode in keyed.modes.values() if not mode.maintenance}
    assert all(words.values())
    assert words[keyed.initial.name].startswith("set ")


def test_no_way_by_hand_is_none_and_a_button_without_guards_has_no_condition() -> None:
    assert by_hand(small(), "normal") == ""
    assert by_hand(small(BUTTON), "normal") == "hold the button for 2.5 s"


def test_status_tells_both_ways() -> None:
    told = ways_in_words(pump(), "normal")
    assert told.startswith("`keyswitch update` enters maintenance by challenge, once motion is false")
    assert told.endswith("; or hold the button for 5 s while motion is false")
