"""Shortest ways through an explored graph, one thing after the other, as the whole machine takes them.

In the graph a world stands for many values of the inputs. A trace names each one: an input keeps its value until a step
needs another, and each change counts as a step. What comes out has been played on the whole machine.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keyswitch.errors import LocalError
from keyswitch.exits import Exit
from keyswitch.gate.events import InputChanged
from keyswitch.policy.model import Policy
from keyswitch.prove.environment import Move, Space
from keyswitch.prove.explore import Graph
from keyswitch.prove.input_values import Box, lowest
from keyswitch.prove.successors import Edge, GateUnderProof, successors
from keyswitch.prove.world import World, before_power


class ContradictionError(LocalError):
    """The prover found something that the whole machine does not do: nothing is known then."""

    exit_code = Exit.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a trace is to lead.

    Attributes:
        place: of a world in the graph.
        edge: the last thing that happens there; None: the world itself is meant.
        box: what the inputs must be in the world; None: anything that it stands for.
        loop: edges that lead from the world back to it, to be shown behind the trace.
    """

    place: int
    edge: Edge | None = None
    box: Box | None = None
    loop: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What happens, each step with the values that the inputs have in it.

    Attributes:
        target: which of the targets it leads to.
        steps: from the device that never came up.
        loop: what can then go on for ever.
    """

    target: Target
    steps: tuple[Edge, ...]
    loop: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True)
class _Walk:
    """A way through the graph: the places, what happens in each, and what the inputs must be in the end."""

    places: list[int]
    edges: list[Edge]
    box: Box | None


@dataclass(slots=True, kw_only=True)
class _Span:
    """One input, as long as it keeps its value.

    Attributes:
        place: of the input.
        begins: number of the step before which it changes; -1: it is what it was at first.
        by_step: that step itself is the change.
        can_be: the regions that will do.
    """

    place: int
    begins: int
    by_step: bool
    can_be: int

    def move(self, space: Space) -> Move:
        """The change that begins it."""
        return space.changes[self.place][lowest(self.can_be)]


_ONE_STEP: Final = 1 << 16
"""In costs: more than there are accidents on any way."""

_Node = tuple[int, Box]
"""A place, and the values that the inputs can have there without another change; places below 0 are the targets."""


class Traces:
    """Finds ways through one graph. Policy and gate are those that the device runs; nobody watches them here."""

    def __init__(self, graph: Graph, policy: Policy, gate: GateUnderProof) -> None:
        self._graph = graph
        self._policy = policy
        self._gate = gate
        self._space = Space(policy, graph.inputs)
        self._named = {each.name: place for place, each in enumerate(policy.inputs)}
        self._before: list[list[int]] = [[] for _ in graph.worlds]
        for before, after, _ in graph.all_edges():
            self._before[after].append(before)

    def to(self, targets: Sequence[Target]) -> Trace:
        """The shortest way to any of the targets.

        Raises:
            ContradictionError: the whole machine does not go the way that was found: the prover is wrong.
        """
        found = self._from_start(targets)
        if found is None:
            raise ContradictionError("the prover is wrong: no way leads to what it found")
        walk, _, target = found
        length = len(walk)
        walk += self._around(target)
        places = [place for place, _ in walk] + ([target.place] if target.edge is None else [])
        whole = _Walk(places, [edge for _, edge in walk], target.box)
        steps, loop = self._played(whole, length, back=bool(target.loop))
        return Trace(target=target, steps=steps, loop=loop)

    def onwards(self, start: int, targets: Sequence[Target], wanted: Callable[[Edge], bool]) -> tuple[Edge, ...] | None:
        """The shortest way from a world, reached by a shortest way, to any of the targets, by wanted edges alone."""
        first = self._from_start([Target(place=start)])
        then = None if first is None else self._shortest((start, first[1]), targets, wanted)
        if first is None or then is None:
            return None
        walk = first[0] + then[0]
        places = [place for place, _ in walk] + [then[2].place]
        return self._played(_Walk(places, [edge for _, edge in walk], then[2].box), len(first[0]))[1]

    def _from_start(self, targets: Sequence[Target]) -> tuple[list[tuple[int, Edge]], Box, Target] | None:
        """The shortest way; one that begins with what another firmware left, only where there is no other."""
        start = (0, self._graph.inputs.initial)
        return self._shortest(start, targets, _own) or self._shortest(start, targets, _anything)

    def _around(self, target: Target) -> Iterator[tuple[int, Edge]]:
        place = target.place
        for edge in target.loop:
            yield place, edge
            place = next(after for after, each in self._graph.edges[place] if each is edge)

    # --- the shortest walk: A*, by the number of steps that are left if inputs cost nothing ---

    def _left(self, targets: Sequence[Target]) -> list[int | None]:
        left: list[int | None] = [None] * len(self._before)
        levels: list[list[int]] = [
            [each.place for each in targets if each.edge is None],
            [each.place for each in targets if each.edge is not None],
        ]
        for steps, level in enumerate(levels):  # it grows while it is walked through
            for place in level:
                if left[place] is None:
                    left[place] = steps
                    if steps + 1 == len(levels):
                        levels.append([])
                    levels[steps + 1] += self._before[place]
        return left

    def _shortest(
        self, start: _Node, targets: Sequence[Target], wanted: Callable[[Edge], bool]
    ) -> tuple[list[tuple[int, Edge]], Box, Target] | None:
        left = self._left(targets)
        ends: dict[int, list[int]] = {}
        for number, target in enumerate(targets):
            ends.setdefault(target.place, []).append(number)
        came: dict[_Node, tuple[_Node, Edge | None]] = {}
        costs: dict[_Node, int] = {start: 0}
        heap: list[tuple[int, int, int, _Node]] = [(0, 0, 0, start)]
        while heap:
            _, _, cost, node = heapq.heappop(heap)
            place, has = node
            if place < 0:
                return _back(came, node), has, targets[-place - 1]
            if cost > costs[node]:
                continue
            for after, edge, box in self._onwards(place, targets, ends):
                to_go = 0 if after < 0 else left[after]
                if to_go is None or (edge is not None and not wanted(edge)):
                    continue
                changes, then = self._needs(has, box, edge)
                # Of two ways that are as long, the one without an accident is easier to follow; a device can play it.
                accident = edge is not None and (edge.cut or edge.failed)
                total = cost + (changes + (edge is not None)) * _ONE_STEP + accident
                if costs.get((after, then), total + 1) > total:
                    costs[after, then] = total
                    came[after, then] = (node, edge)
                    heapq.heappush(heap, (total + to_go * _ONE_STEP, len(costs), total, (after, then)))
        return None

    def _onwards(
        self, place: int, targets: Sequence[Target], ends: dict[int, list[int]]
    ) -> Iterator[tuple[int, Edge | None, Box | None]]:
        for number in ends.get(place, ()):
            last = targets[number].edge
            yield -number - 1, last, targets[number].box if last is None else last.box
        if place < len(self._graph.edges):
            yield from ((after, edge, edge.box) for after, edge in self._graph.edges[place])

    def _needs(self, has: Box, box: Box | None, edge: Edge | None) -> tuple[int, Box]:
        """How many inputs must change before the edge, and what they can then be without another change."""
        if box is None:
            return 0, has
        both = [mine & asked for mine, asked in zip(has, box, strict=False)]
        changes = sum(not each for each in both)
        then = [each or asked for each, asked in zip(both, box, strict=False)]
        changed = None if edge is None else self._changed(edge)
        if changed is not None:
            then[changed] = box[-1]
        return changes, tuple(then)

    def _changed(self, edge: Edge) -> int | None:
        """The input that this edge is the change of."""
        event = edge.move.event
        return self._named[event.name] if isinstance(event, InputChanged) else None

    # --- from a walk to a trace ---

    def _played(self, walk: _Walk, length: int, *, back: bool = False) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
        """The walk with every input's value, step by step on the whole machine: `length` steps, and what follows.

        With `back`, what follows is a loop: in its end the inputs are what they were in the beginning.
        """
        spans = self._spans(walk)
        world = before_power(self._policy)
        steps: list[Edge] = []
        behind: list[Edge] = []
        before_loop = world.gate.inputs
        for number in range(len(walk.edges) + 1):
            part = behind if number >= length and len(walk.edges) > length else steps
            if number == length:
                before_loop = world.gate.inputs
            for span in spans:
                if span.begins == number and not span.by_step:
                    world = self._step(part, world, span.move(self._space), None)
            if number < len(walk.edges):
                own = next((span for span in spans if span.begins == number and span.by_step), None)
                edge = walk.edges[number]
                world = self._step(part, world, edge.move if own is None else own.move(self._space), edge)
        for place, value in enumerate(before_loop if back else ()):
            region = self._graph.inputs.region(place, value)
            if self._graph.inputs.region(place, world.gate.inputs[place]) != region:
                world = self._step(behind, world, self._space.changes[place][region], None)
        return tuple(steps), tuple(behind)

    def _step(self, part: list[Edge], world: World, move: Move, found: Edge | None) -> World:
        """Let the move happen on the whole machine, and take the outcome that was found in the graph."""
        for edge in successors(self._policy, self._gate, world, move):
            expected = bare(world if found is None else found.after)
            marks = (False,) * 3 if found is None else (found.cut, found.failed, found.swapped)
            if (edge.cut, edge.failed, edge.swapped) == marks and bare(edge.after) == expected:
                part.append(edge)
                return edge.after
        raise ContradictionError(f'the prover is wrong: the machine does not do what it found where "{move.words}"')

    def _spans(self, walk: _Walk) -> list[_Span]:
        """For each input the values that it has one after the other: as few as the walk allows."""
        spans: list[_Span] = []
        boxes = [edge.box for edge in walk.edges] + ([] if walk.box is None else [walk.box])
        for place, initially in enumerate(self._graph.inputs.initial):
            span = _Span(place=place, begins=-1, by_step=False, can_be=initially)
            for number, box in enumerate(boxes):
                if span.can_be & box[place]:
                    span.can_be &= box[place]
                else:
                    spans.append(span)
                    span = _Span(place=place, begins=self._free(walk, number), by_step=False, can_be=box[place])
                if number < len(walk.edges) and self._changed(walk.edges[number]) == place:
                    spans.append(span)
                    span = _Span(place=place, begins=number, by_step=True, can_be=box[-1])
            spans.append(span)
        return spans

    def _free(self, walk: _Walk, number: int) -> int:
        """The last moment before a step at which inputs can change: nothing is sensed without power."""
        return next(each for each in range(number, -1, -1) if not self._graph.worlds[walk.places[each]].off)


def bare(world: World) -> World:
    """The same moment, whatever the inputs are."""
    return replace(world, gate=replace(world.gate, inputs=()), box=())


def _anything(_edge: Edge) -> bool:
    return True


def _own(edge: Edge) -> bool:
    return edge.move.left is None


def _back(came: dict[_Node, tuple[_Node, Edge | None]], node: _Node) -> list[tuple[int, Edge]]:
    """The walk by which the search came to a node: each edge, and the place in which it happens."""
    walk: list[tuple[int, Edge]] = []
    while node in came:
        node, edge = came[node]
        if edge is not None:
            walk.append((node[0], edge))
    return walk[::-1]
