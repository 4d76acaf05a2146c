"""How an upload went, in a bounded number of samples, and the rate between them. Pure.

Rules:

* However long an upload takes, at most `MAX_SAMPLES` are kept, spread over all of it: whenever there are too many,
  every other one goes, and from then on they are kept twice as far apart.
* A sample says how much the device had, and when. What lies between two samples is not known, and is drawn as even.
* Where the device has less than before, or another image begins, nothing is counted between the two samples.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

MAX_SAMPLES: Final = 128
"""Of one run; some 6 kB of a record, and more points than a picture of it shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One. Attributes: at_ms: since the run's beginning; off: bytes that the device has; size: of the image."""

    at_ms: int
    off: int
    size: int


@dataclass(slots=True)
class RateSamples:
    """Keeps the samples of a run."""

    kept: list[Sample] = field(default_factory=list[Sample])
    stride: int = 1
    """One of so many is kept."""
    taken: int = 0
    """How many there were."""
    last: Sample | None = None

    def add(self, sample: Sample) -> None:
        """Take one; not before the one that was taken last."""
        previous, self.last = self.last, sample
        if previous is not None and _begins_anew(previous, sample):
            self._keep(previous)
            self._keep(sample)
        elif self.taken % self.stride == 0:
            self._keep(sample)
        self.taken += 1

    def _keep(self, sample: Sample) -> None:
        if self.kept and self.kept[-1] == sample:
            return
        self.kept.append(sample)
        if len(self.kept) >= MAX_SAMPLES:  # leaves room for the last one
            del self.kept[1::2]
            self.stride *= 2

    def all(self) -> tuple[Sample, ...]:
        """What was kept, with the last one that was taken."""
        ended = self.last is not None and (not self.kept or self.kept[-1] != self.last)
        return (*self.kept, self.last) if ended and self.last is not None else tuple(self.kept)


def _begins_anew(one: Sample, two: Sample) -> bool:
    return two.off < one.off or two.size != one.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Part of an upload. Attributes: from_ms, to_ms: since the run's beginning; bytes_per_second: in it."""

    from_ms: float
    to_ms: float
    bytes_per_second: float


def rates(samples: Sequence[Sample], *, parts: int) -> tuple[Interval, ...]:
    """The rate in each of so many parts of the time from the first to the last sample; nothing if no time went by."""
    ordered = sorted(samples, key=lambda sample: sample.at_ms)
    if not ordered or ordered[0].at_ms == ordered[-1].at_ms:
        return ()
    times = [sample.at_ms for sample in ordered]
    taken = [0]
    for one, two in pairwise(ordered):
        taken.append(taken[-1] + (0 if _begins_anew(one, two) else two.off - one.off))
    span = times[-1] - times[0]
    edges = [times[0] + span * number / parts for number in range(parts + 1)]
    counts = [_at(edge, times, taken) for edge in edges]
    return tuple(
        Interval(
            from_ms=edges[number],
            to_ms=edges[number + 1],
            bytes_per_second=(counts[number + 1] - counts[number]) * 1000 * parts / span,
        )
        for number in range(parts)
    )


def _at(when_ms: float, times: Sequence[int], taken: Sequence[int]) -> float:
    """How much had been taken by then, evenly between two samples; of several at one time the last one counts."""
    place = bisect_right(times, when_ms) - 1
    if place + 1 >= len(times):
        return taken[-1]
    share = (when_ms - times[place]) / (times[place + 1] - times[place])
    return taken[place] + share * (taken[place + 1] - taken[place])
