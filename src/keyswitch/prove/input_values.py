"""What guards can tell apart: sets of values of the inputs instead of values, split only where a guard has asked.

An input may change at any moment, to anything. Where nothing comes of that, its values are one: the device gets from
each of them to each other without anybody noticing (docs/decisions/prover-splits-where-a-guard-asks.md).

    region    the values of one input that make the same guards true
    box       for each input, a set of its regions, as a bit mask: all values in them at once

Guards are watched while the machine runs: what it did for one value of a box it does for every other one that answers
the guards it asked alike. The rest of the box is run again. So nothing is assumed about the machine but that it looks
at inputs through the policy's guards.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Final, TypeVar

from keyswitch.policy.enums import InputType
from keyswitch.policy.model import INT_MAX, INT_MIN, Guard, Input, Policy, Value

Box = tuple[int, ...]
"""For each input, bit n: its region n. While an input changes there is one more place: what it changes to."""

T = TypeVar("T")


_Asked = tuple[int, int, Value | None, bool]
"""A guard was asked: its input, the regions in which it holds, the input's value, and whether it holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched(Guard):
    """A guard that notes down when it is asked. Two that are the same guard are equal, as guards are."""

    where: int
    notes: list[_Asked] = field(compare=False, repr=False)

    def holds(self, value: Value | None) -> bool:
        """See `Guard.holds`."""
        holds = Guard.holds(self, value)
        self.notes.append((self.index, self.where, value, holds))
        return holds


def regions(each: Input, guards: list[Guard]) -> tuple[Value | None, ...]:
    """One value of the input for each set of guards that a value makes true; the initial value is the first.

    None, the value that is not known, is among them only if no known value makes all guards false as well.
    """
    candidates: list[Value | None] = []
    if each.type is InputType.BOOL:
        candidates = [False, True]
    else:
        constants = sorted({int(guard.value) for guard in guards})
        near = (value for constant in constants for value in (constant - 1, constant, constant + 1))
        candidates = [value for value in near if INT_MIN <= value <= INT_MAX] or [0]
    if each.initial is not None:
        candidates.insert(0, each.initial)
    found: dict[tuple[bool, ...], Value | None] = {}
    for value in (*candidates, None):
        found.setdefault(tuple(guard.holds(value) for guard in guards), value)
    return tuple(found.values())


class Inputs:
    """One policy's inputs.

    Attributes:
        policy: the same rules; whoever asks their guards is watched.
        values: for each input, a value of each region.
        everything: the box of all values.
        initial: the box of the values at the first boot.
    """

    def __init__(self, policy: Policy) -> None:
        asked = [guard for way in policy.transitions for guard in way.when]
        of = [[guard for guard in asked if guard.index == place] for place in range(len(policy.inputs))]
        self.values: Final = tuple(regions(each, guards) for each, guards in zip(policy.inputs, of, strict=True))
        self.everything: Final[Box] = tuple((1 << len(values)) - 1 for values in self.values)
        self._notes: Final[list[_Asked]] = []
        self._ones: Final[dict[Box, tuple[Value | None, ...]]] = {}
        self.policy: Final = replace(
            policy,
            transitions=tuple(
                replace(way, when=tuple(self._watch(guard) for guard in way.when)) for way in policy.transitions
            ),
        )
        self.initial: Final[Box] = tuple(
            1 << self.region(place, each.initial) for place, each in enumerate(policy.inputs)
        )

    def _watch(self, guard: Guard) -> Guard:
        where = sum(1 << region for region, value in enumerate(self.values[guard.index]) if guard.holds(value))
        return _Watched(
            input=guard.input,
            index=guard.index,
            compare=guard.compare,
            value=guard.value,
            where=where,
            notes=self._notes,
        )

    def region(self, place: int, value: Value | None) -> int:
        """The region that a value lies in."""
        guards = [guard for way in self.policy.transitions for guard in way.when if guard.index == place]
        told = [guard.holds(value) for guard in guards]
        self._notes.clear()
        for region, known in enumerate(self.values[place]):
            if [guard.holds(known) for guard in guards] == told:
                return region
        return 0

    def one_of(self, box: Box) -> tuple[Value | None, ...]:
        """A value of each input that the box holds."""
        known = self._ones.get(box)
        if known is None:
            known = tuple(values[lowest(mask)] for values, mask in zip(self.values, box, strict=False))
            self._ones[box] = known
        return known

    def can_hold(self, box: Box, guards: Iterable[Guard]) -> bool:
        """Whether all guards hold for some of the box's values."""
        asked: dict[int, list[Guard]] = {}
        for guard in guards:
            asked.setdefault(guard.index, []).append(guard)
        return all(
            any(all(guard.holds(self.values[place][lowest(bit)]) for guard in each) for bit in bits(box[place]))
            for place, each in asked.items()
        )

    def split(self, box: Box, run: Callable[[Box], T], *, changed: int | None = None) -> Sequence[tuple[Box, T]]:
        """Run for one value after the other, until every value of the box is answered for.

        Args:
            box: what there is to answer for; with `changed`, its last place is what that input changes to.
            run: does it for the lowest region in each place, and asks guards of `policy`.
            changed: place of the input that changes meanwhile.

        Returns:
            Parts of the box, each with what comes of each value in it. They are disjoint and make up the whole.
        """
        notes = self._notes
        notes.clear()
        result = run(box)
        if not notes:
            return ((box, result),)
        now, todo = box, list[Box]()
        parts: list[tuple[Box, T]] = []
        while True:
            part = list(now)
            for index, where, value, holds in notes:
                for place in (index,) if index != changed else self._places(now, value, index):
                    alike = part[place] & (where if holds else ~where)
                    if alike != part[place]:
                        todo.append((*part[:place], part[place] & ~alike, *part[place + 1 :]))
                        part[place] = alike
            parts.append((tuple(part), result))
            if not todo:
                return parts
            now = todo.pop()
            notes.clear()
            result = run(now)

    def _places(self, now: Box, value: Value | None, changed: int) -> tuple[int, ...]:
        """Where a guard has looked: at the input before it changes, or after, or both if the value is the same."""
        values = self.values[changed]
        looked = ((changed, values[lowest(now[changed])]), (len(now) - 1, values[lowest(now[-1])]))
        return tuple(place for place, seen in looked if seen == value)


def singles(box: Box) -> Iterator[Box]:
    """Each combination of one region of each input."""
    return product(*(bits(mask) for mask in box))


def bits(mask: int) -> tuple[int, ...]:
    """Each region of a set, as a set of its own."""
    return tuple(1 << place for place in range(mask.bit_length()) if mask >> place & 1)


def lowest(mask: int) -> int:
    """The first region of a set."""
    return (mask & -mask).bit_length() - 1
