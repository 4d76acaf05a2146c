from itertools import product

import pytest

from keyswitch.errors import Phrase
from keyswitch.host.connect.verdict import (
    AFTER_PAIRING,
    NEXT_STEP,
    Gate,
    Given,
    advised,
    next_step,
    unreached,
    verdict_of_failed_connect,
)
from keyswitch.link.ports import PairingError, PairingFailure
from keyswitch.reasons import Reason


def test_every_reason_has_a_next_step():
    assert set(NEXT_STEP) == set(Reason)
    assert all(words == words.strip() and "\n" not in words for words in NEXT_STEP.values())


@pytest.mark.parametrize("failure", list(PairingFailure))
def test_every_failed_pairing_has_its_own_next_step(failure: PairingFailure):
    verdict = verdict_of_failed_connect(PairingError(failure))
    assert (verdict.gate, verdict.reason) == (Gate.SHUT, Reason.SECURITY)
    assert failure.value in verdict.detail
    others = [step for other, step in AFTER_PAIRING.items() if other is not failure]
    assert verdict.next_step
    assert verdict.next_step not in others


@pytest.mark.parametrize("reason", list(Reason))
def test_no_advice_asks_for_what_was_given(reason: Reason):
    for entry, pair, radio in product(("", "policy", "recipe"), (False, True), (False, True)):
        asks_for_what_was_not_given(reason, entry, pair=pair, radio=radio)


def asks_for_what_was_not_given(reason: Reason, entry: str, *, pair: bool, radio: bool):
    step = next_step(reason, Given(entry=entry, pair=pair, radio=radio))
    assert step
    asked = step.template if isinstance(step, Phrase) else ""
    assert not entry or f"{{{entry}}}" not in asked
    assert not (entry and "{policy} or {recipe}" in asked)
    assert not (pair and radio and "{pair}" in asked)
    if not entry and not pair and radio:
        assert step == NEXT_STEP[reason]
    assert advised(reason, "", Given(entry=entry, pair=pair, radio=radio)) == step
    assert advised(reason, NEXT_STEP[reason], Given(entry=entry, pair=pair, radio=radio)) == step
    assert advised(reason, "something special", Given(entry=entry)) == "something special"
    assert advised(None, "", Given()) == ""


def test_words_about_radio_are_for_radio():
    assert "near" in unreached(Given(radio=True))
    assert "near" not in unreached(Given(radio=False))
