"""Samples of an upload: bounded, spread over all of it, and true to what was taken."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyswitch.host.report.rate_samples import MAX_SAMPLES, RateSamples, Sample, rates


def sample(at_ms: int, off: int, size: int = 1_000_000) -> Sample:
    return Sample(at_ms=at_ms, off=off, size=size)


@pytest.mark.parametrize("count", [0, 1, 2, MAX_SAMPLES - 2, MAX_SAMPLES - 1, MAX_SAMPLES, MAX_SAMPLES + 1, 20_000])
def test_few_are_kept_and_the_first_and_last_are_among_them(count: int) -> None:
    samples = RateSamples()
    for number in range(count):
        samples.add(sample(number * 10, number))
    kept = samples.all()
    assert len(kept) <= MAX_SAMPLES
    assert len(kept) >= min(count, MAX_SAMPLES // 2)
    if count:
        assert (kept[0], kept[-1]) == (sample(0, 0), sample((count - 1) * 10, count - 1))
        gaps = {two.off - one.off for one, two in pairwise(kept[:-1])}
        assert len(gaps) <= 1


def test_a_few_are_all_kept() -> None:
    samples = RateSamples()
    told = [sample(0, 100), sample(5, 100), sample(9, 300)]
    for each in told:
        samples.add(each)
    assert samples.all() == tuple(told)


def test_many_restarts_are_bounded_too() -> None:
    samples = RateSamples()
    for number in range(5_000):
        samples.add(sample(number, number % 2))
    assert len(samples.all()) <= MAX_SAMPLES


def test_a_steady_upload_has_one_rate() -> None:
    parts = rates([sample(1_000 + at, 500 + at * 7) for at in range(0, 1_001, 10)], parts=4)
    assert [(part.from_ms, part.to_ms, part.bytes_per_second) for part in parts] == [
        (1_000, 1_250, 7_000),
        (1_250, 1_500, 7_000),
        (1_500, 1_750, 7_000),
        (1_750, 2_000, 7_000),
    ]


def test_a_stall_is_seen() -> None:
    parts = rates([sample(0, 0), sample(100, 1_000), sample(300, 1_000), sample(400, 2_000)], parts=4)
    assert [part.bytes_per_second for part in parts] == [10_000, 0, 0, 10_000]


def test_another_image_or_a_restart_is_no_rate() -> None:
    restarted = [sample(0, 0), sample(100, 1_000), sample(200, 100), sample(300, 1_100)]
    assert [part.bytes_per_second for part in rates(restarted, parts=3)] == [10_000, 0, 10_000]
    another = [sample(0, 0), sample(100, 1_000), sample(200, 90_000, size=5), sample(300, 91_000, size=5)]
    assert [part.bytes_per_second for part in rates(another, parts=3)] == [10_000, 0, 10_000]


@pytest.mark.parametrize("samples", [[], [sample(5, 1)], [sample(5, 1), sample(5, 9)]])
def test_no_time_is_no_rate(samples: list[Sample]) -> None:
    assert rates(samples, parts=3) == ()


@settings(max_examples=40)
@given(
    steps=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5_000)), min_size=2, max_size=300),
    parts=st.integers(1, 48),
)
def test_what_was_taken_is_what_the_rates_add_up_to(steps: list[tuple[int, int]], parts: int) -> None:
    samples, at_ms, off = RateSamples(), 0, 0
    for later_ms, more in steps:
        at_ms, off = at_ms + later_ms, off + more
        samples.add(sample(at_ms, off))
    kept = samples.all()
    found = rates(kept, parts=parts)
    total = sum(part.bytes_per_second * (part.to_ms - part.from_ms) / 1000 for part in found)
    if found:
        first = max(each.off for each in kept if each.at_ms == kept[0].at_ms)
        assert total == pytest.approx(off - first, abs=1e-3)
