"""How many events of a kind are recorded one by one: a value, without a clock. The rest is counted and said as a count.

Rules kept here:

* Each kind has its own budget: a flood of refusals hides no entry.
* A budget is so many at once, and from then on one in so long: a flood without end fills a log slowly and evenly.
* Nothing is lost without a trace: what was not recorded is counted, and the count is recorded (`Suppressed`), a minute
  after the first of them; while it goes on, after twice as long each time, an hour at most.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from keyswitch.device.events import Suppressed

FIRST_COUNT_MS: Final = 60_000
LAST_COUNT_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Budget:
    """Attributes: at_once: events in a row; each_ms: time after which there may be one more."""

    at_once: int
    each_ms: int


STRANGERS: Final = Budget(at_once=20, each_ms=300_000)
"""What whoever reaches the device can set off."""
OWNERS: Final = Budget(at_once=100, each_ms=60_000)
"""What takes a proof, or a hand at the device."""
_BY_STRANGERS: Final = frozenset({"command-refused", "act-refused", "proof-wrong", "locked-out"})


def budget_of(kind: str) -> Budget:
    """The budget of a kind of event."""
    return STRANGERS if kind in _BY_STRANGERS else OWNERS


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spent:
    """One kind. Attributes: left: of the budget, at `at_ms`; count, since_ms, wait_ms: of what was not recorded."""

    left: int
    at_ms: int
    count: int = 0
    since_ms: int = 0
    wait_ms: int = FIRST_COUNT_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLimits:
    """What is left of each budget. There are as many as kinds of events, whatever happens."""

    spent: Mapping[str, _Spent] = field(default_factory=dict[str, _Spent])

    def admit(self, kind: str, now_ms: int) -> "tuple[EventLimits, bool]":
        """Whether one more event of this kind is recorded; else it is counted."""
        budget = budget_of(kind)
        before = self.spent.get(kind) or _Spent(left=budget.at_once, at_ms=now_ms)
        earned = max(0, now_ms - before.at_ms) // budget.each_ms
        left = min(budget.at_once, before.left + earned)
        at_ms = now_ms if left == budget.at_once else before.at_ms + earned * budget.each_ms
        wait_ms = FIRST_COUNT_MS if left == budget.at_once else before.wait_ms
        after = replace(before, left=left, at_ms=at_ms, wait_ms=wait_ms)
        if left > 0:
            return self._with(kind, replace(after, left=left - 1)), True
        since_ms = after.since_ms if after.count else now_ms
        return self._with(kind, replace(after, count=after.count + 1, since_ms=since_ms)), False

    def due(self, now_ms: int, *, all_of_them: bool = False) -> "tuple[EventLimits, tuple[Suppressed, ...]]":
        """The counts that are to be recorded by now, or all of them; they begin anew."""
        limits, counts = self, list[Suppressed]()
        for kind, each in self.spent.items():
            if each.count and (all_of_them or now_ms >= each.since_ms + each.wait_ms):
                counts.append(Suppressed(of=kind, count=each.count, over_ms=now_ms - each.since_ms))
                wait_ms = min(2 * each.wait_ms, LAST_COUNT_MS)
                limits = limits._with(kind, replace(each, count=0, wait_ms=wait_ms))
        return limits, tuple(counts)

    def next_due_ms(self) -> int | None:
        """When `due` has something next; None: nothing was left out."""
        return min((each.since_ms + each.wait_ms for each in self.spent.values() if each.count), default=None)

    def _with(self, kind: str, spent: _Spent) -> "EventLimits":
        return EventLimits(spent={**self.spent, kind: spent})
