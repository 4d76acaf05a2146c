"""A flood fills nothing: each kind has its budget, and what was left out is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyswitch.device.events import Suppressed
from keyswitch.device.runtime.event_limits import (
    FIRST_COUNT_MS,
    LAST_COUNT_MS,
    OWNERS,
    STRANGERS,
    EventLimits,
    budget_of,
)

REFUSED = "command-refused"


def spend(limits: EventLimits, kind: str, times: int, now_ms: int) -> tuple[EventLimits, int]:
    admitted = 0
    for _ in range(times):
        limits, yes = limits.admit(kind, now_ms)
        admitted += yes
    return limits, admitted


def test_a_budget_is_so_many_at_once_and_then_one_in_so_long():
    limits, admitted = spend(EventLimits(), REFUSED, 1_000, 0)
    assert admitted == STRANGERS.at_once
    for now_ms, more in ((STRANGERS.each_ms - 1, 0), (STRANGERS.each_ms, 1), (2 * STRANGERS.each_ms, 1)):
        limits, admitted = spend(limits, REFUSED, 100, now_ms)
        assert admitted == more


def test_a_flood_of_one_kind_leaves_the_others_theirs():
    limits, _ = spend(EventLimits(), REFUSED, 10_000, 0)
    assert spend(limits, "entered", 1, 0)[1] == 1
    assert spend(limits, "proof-wrong", 1, 0)[1] == 1
    assert (budget_of("entered"), budget_of("proof-wrong")) == (OWNERS, STRANGERS)


def test_what_was_left_out_is_said_after_a_minute_and_then_less_often():
    limits, _ = spend(EventLimits(), REFUSED, STRANGERS.at_once + 1_234, 5)
    assert limits.next_due_ms() == 5 + FIRST_COUNT_MS
    assert limits.due(4 + FIRST_COUNT_MS) == (limits, ())
    limits, counts = limits.due(5 + FIRST_COUNT_MS)
    assert counts == (Suppressed(of=REFUSED, count=1_234, over_ms=FIRST_COUNT_MS),)
    assert limits.next_due_ms() is None
    limits, _ = spend(limits, REFUSED, 1, 70_000)
    assert limits.next_due_ms() == 70_000 + 2 * FIRST_COUNT_MS


def test_at_the_end_every_count_is_said():
    limits, _ = spend(EventLimits(), REFUSED, STRANGERS.at_once + 1, 0)
    limits, _ = spend(limits, "left", OWNERS.at_once + 2, 0)
    _, counts = limits.due(1, all_of_them=True)
    assert {each.of: each.count for each in counts} == {REFUSED: 1, "left": 2}


@given(st.lists(st.tuples(st.sampled_from([REFUSED, "entered"]), st.integers(0, 400_000)), max_size=60))
def test_nothing_is_lost_without_a_trace(steps):
    limits, now_ms, told, asked = EventLimits(), 0, 0, 0
    for kind, after_ms in steps:
        now_ms += after_ms
        limits, admitted = spend(limits, kind, 7, now_ms)
        told, asked = told + admitted, asked + 7
        limits, counts = limits.due(now_ms)
        told += sum(each.count for each in counts)
    _, counts = limits.due(now_ms, all_of_them=True)
    assert told + sum(each.count for each in counts) == asked


@pytest.mark.parametrize("each_ms", [1_000])
def test_a_flood_without_end_is_bounded_for_a_day(each_ms):
    limits, records = EventLimits(), 0
    for now_ms in range(0, 86_400_000, each_ms):
        limits, admitted = limits.admit(REFUSED, now_ms)
        due = limits.next_due_ms()
        counts = ()
        if due is not None and due <= now_ms:
            limits, counts = limits.due(now_ms)
        records += admitted + len(counts)
    assert records <= STRANGERS.at_once + 86_400_000 // STRANGERS.each_ms + 86_400_000 // LAST_COUNT_MS + 10
