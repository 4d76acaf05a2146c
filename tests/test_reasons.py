import pytest
from tests.policy.samples import pump

from keyswitch.policy.enums import Compare
from keyswitch.reasons import FalseGuard, Reason, detail_words, format_reason, is_words

WORDS = {
    Compare.EQUAL: ("must be 30", "is 30"),
    Compare.UNEQUAL: ("must not be 30", "is not 30"),
    Compare.LESS: ("must be below 30", "is below 30"),
    Compare.AT_MOST: ("must be at most 30", "is at most 30"),
    Compare.MORE: ("must be above 30", "is above 30"),
    Compare.AT_LEAST: ("must be at least 30", "is at least 30"),
}


@pytest.mark.parametrize("compare", list(Compare))
@pytest.mark.parametrize(
    ("now", "told", "said"),
    [
        (None, "", ""),
        ("12", ", is 12", ", it is 12"),
        ("-12", ", is -12", ", it is -12"),
        ("unknown", ", is unknown", ", and its value is not known"),
    ],
)
def test_every_comparison_is_said_in_words(compare: Compare, now: str | None, told: str, said: str):
    guard = FalseGuard(input="battery-2", compare=compare.value, value="30", now=now)
    must, is_so = WORDS[compare]
    assert guard.detail == f"battery-2 {compare.value} 30{told}"
    assert guard.words == f"battery-2 {must}{said}"
    assert FalseGuard.parse(guard.detail) == guard
    assert is_words("battery-2", compare.value, "30") == f"battery-2 {is_so}"


@pytest.mark.parametrize(
    "detail",
    [
        "",
        "motion",
        "motion = false",
        "motion == maybe",
        "motion == false, is",
        "motion == false, is x",
        "a b == 1",
        "#x == 1",
    ],
)
def test_what_is_no_guard_is_said_as_it_is(detail: str):
    assert FalseGuard.parse(detail) is None
    assert detail_words(Reason.GUARD, detail) == detail


def test_a_reason_that_travels_alone_is_a_sentence_for_people():
    words = {reason.value: detail_words(reason, "") for reason in Reason if detail_words(reason, "")}
    assert words == {
        "proof": "it was not accepted",
        "expired": "the permission or session is over",
        "owner": "somebody else has the session",
    }


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("#0", "motion must be false, it is true"),
        ("#1", "battery must be 0, it is 1"),
        ("#2", "input #2 of the policy must be 0, it is 1"),
        ("motion", "motion must be 0, it is 1"),
    ],
)
def test_a_place_is_named_by_the_policy(place: str, words: str):
    guard = FalseGuard(input=place, compare="==", value="0", now="1")
    assert guard.named([("motion", True), ("battery", False)]).words == words


def test_every_guard_of_a_policy_can_be_read_back():
    for way in pump().transitions:
        for guard in way.when:
            read = FalseGuard.parse(guard.text)
            assert read is not None
            assert read.words.replace("must be", "is").replace("must not be", "is not") == guard.words
            assert format_reason(Reason.GUARD, guard.text) == f"guard: {read.detail}"
