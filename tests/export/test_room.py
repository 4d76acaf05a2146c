"""The room for the effects of one step: enough for every step that the prover meets; `make test-firmware` asks more."""

from tests.firmware.pairs import met
from tests.policy.samples import pump, pump_with

from keyswitch.export.room import most_effects


def test_the_pump_needs_little_more_than_its_longest_step() -> None:
    longest = max(len(done.effects) for done in met(pump(), 500).pairs.values())
    assert longest <= most_effects(pump()) == 25


def test_room_for_effects_grows_with_chains_of_inputs() -> None:
    without = pump_with(('on = "input"\nwhen = ["motion == true"]', 'on = "disconnect"'))
    assert most_effects(without) < most_effects(pump())


def test_each_thing_that_only_some_policies_have_has_its_room() -> None:
    kept = pump_with(('on = "button"\nhold_s = 2', 'on = "reset"'))
    assert most_effects(kept) > most_effects(pump()), "the mode is written down at each entry"
    begins = pump_with(('"image.state:read", "mode"]', '"image.state", "mode"]'))
    assert most_effects(begins) > most_effects(pump()), "what begins outside a session is cleaned up when one opens"
