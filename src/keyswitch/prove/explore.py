"""Breadth first through every world that can be reached; worlds that only inputs tell apart are one where they can be.

First all that happens under the policy by itself; then all that can follow from what another firmware left in flash.
Why inputs leave nothing out: docs/decisions/prover-splits-where-a-guard-asks.md.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from keyswitch.errors import Phrase
from keyswitch.frozen import quickly_made
from keyswitch.gate.events import Expired
from keyswitch.gate.frozen import replace
from keyswitch.gate.guards import failing, must_leave
from keyswitch.gate.machine import Step
from keyswitch.gate.state import GateState
from keyswitch.policy.model import OnInput, Policy, Value
from keyswitch.prove.environment import Move, Space
from keyswitch.prove.input_values import Box, Inputs, bits, lowest, singles
from keyswitch.prove.left_behind import left_behind
from keyswitch.prove.successors import Edge, GateUnderProof, follow, successors, told
from keyswitch.prove.world import World, before_power, with_inputs

MAX_STATES: Final = 2_000_000
"""A policy that has more is not proved, and that is said."""

METERED: Final = 20
"""States between two looks at the meter: some hundredths of a second."""


@dataclass(slots=True)
class Graph:
    """What was explored.

    Attributes:
        inputs: what the inputs can be.
        gate: the machine and the door.
        space: everything that can happen.
        worlds: in the order in which they were found; the first is the device before it ever came up.
        edges: for each world that was looked at, where its edges lead, with the edge itself.
        own: how many of the worlds, from the first on, are reached without anything that another firmware left behind.
        stopped: why something was left out; None: nothing was.
    """

    inputs: Inputs
    gate: GateUnderProof
    space: Space
    worlds: list[World] = field(default_factory=list[World])
    edges: list[list[tuple[int, Edge]]] = field(default_factory=list[list[tuple[int, Edge]]])
    own: int = 0
    stopped: str | None = None

    @property
    def complete(self) -> bool:
        """Nothing was left out."""
        return self.stopped is None

    def all_edges(self) -> Iterator[tuple[int, int, Edge]]:
        """Every edge with the places it leads from and to."""
        for before, edges in enumerate(self.edges):
            for after, edge in edges:
                yield before, after, edge

    def own_worlds(self) -> Sequence[World]:
        """The worlds that no other firmware had a part in."""
        return self.worlds[: self.own]

    def own_edges(self) -> Iterator[tuple[int, int, Edge]]:
        """The edges between them, but for those that begin with what another firmware left."""
        for before in range(self.own):
            for after, edge in self.edges[before]:
                if edge.move.left is None:
                    yield before, after, edge


class Visitor(Protocol):
    """Looks at everything that is found. It asks guards of `Graph.inputs.policy`, so that what it sees is split too."""

    def edge(self, before: int, edge: Edge) -> None:
        """An edge out of the world at place `before`."""

    def world(self, place: int, edge: Edge) -> None:
        """The new world at `place`, which is `edge.after`; `edge.box` are the values it is looked at for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExploreProgress:
    """How far an exploration has come. Attributes: found, explored: states; moves: out of the explored ones."""

    found: int
    explored: int
    moves: int


Meter = Callable[[ExploreProgress], str | None]
"""Asked now and then while it lasts: why it must stop, or None."""


def explore(
    inputs: Inputs,
    gate: GateUnderProof,
    visitor: Visitor,
    *,
    max_states: int = MAX_STATES,
    meter: Meter | None = None,
    whole: bool = False,
) -> Graph:
    """Find every world that can be reached, and show each, and every edge, to the visitor.

    Args:
        inputs: of the policy to explore.
        gate: the machine and the door.
        visitor: sees everything, the safety rules among it.
        max_states: give up beyond this many worlds.
        meter: may stop it.
        whole: tell every two values of inputs apart that any guard tells apart: slow, and the measure of the other.
    """
    return _Explorer(inputs, gate, visitor, whole=whole).explore(max_states, meter)


@quickly_made
@dataclass(frozen=True, slots=True)
class _Told:
    """What the machine makes of a move for one part of a box.

    Attributes:
        part: the values of the inputs.
        moves: the move; where an input changes, one for each region that it can change to.
        done: the step; None: not asked yet.
        changed: the input that changes.
    """

    part: Box
    moves: tuple[Move, ...]
    done: Step | None = None
    changed: int | None = None


class _Explorer:
    def __init__(self, inputs: Inputs, gate: GateUnderProof, visitor: Visitor, *, whole: bool) -> None:
        self.inputs = inputs
        self.policy = inputs.policy
        self.gate = gate
        self.visitor = visitor
        self.whole = whole
        self.space = Space(inputs.policy, inputs)
        self.places: dict[World, int] = {}
        self.graph = Graph(inputs=inputs, gate=gate, space=self.space)
        self.told: dict[tuple[GateState, Box], dict[int | tuple[int, int], list[_Told]]] = {}
        self.quiet: dict[tuple[GateState, Box], Box | None] = {}
        self.moves = 0

    def explore(self, max_states: int, meter: Meter | None) -> Graph:
        graph, inputs = self.graph, self.inputs
        start = before_power(self.policy, blank=True)
        self._place(_concrete(start, inputs.one_of(inputs.initial), inputs.initial))
        self._walk(max_states, meter)
        graph.own = len(graph.worlds)
        # What the policy does by itself is seen first: a trace has another firmware in it only where it is needed.
        for number, (before, wider) in enumerate(self._off_largest_first()):
            if not self._stops(max_states, meter, number):
                world = graph.worlds[before]
                if wider is None:
                    self._take(before, self._edges(before, world, left_behind(self.policy, world)))
                else:
                    self._take(before, self._narrowed(before, wider))
        self._walk(max_states, meter)
        return graph

    def _walk(self, max_states: int, meter: Meter | None) -> None:
        graph = self.graph
        while len(graph.edges) < len(graph.worlds) and not self._stops(max_states, meter, len(graph.edges)):
            before = len(graph.edges)
            graph.edges.append([])
            self._take(before, self._all_edges(before, graph.worlds[before]))

    def _stops(self, max_states: int, meter: Meter | None, number: int) -> bool:
        graph = self.graph
        if len(graph.worlds) > max_states:
            graph.stopped = Phrase(f"more than {max_states} states ({{max_states}})")
        elif graph.stopped is None and meter is not None and number % METERED == 0:
            graph.stopped = meter(ExploreProgress(found=len(graph.worlds), explored=len(graph.edges), moves=self.moves))
        return graph.stopped is not None

    def _take(self, before: int, edges: Iterable[tuple[Edge, World]]) -> None:
        found = self.graph.edges[before]
        for edge, after in edges:
            place = self.places.get(after)
            if place is None:
                place = self._place(after)
                self._show(place, edge)
            elif place == before and _unnoticed(edge):
                continue
            found.append((place, edge))
            self.moves += 1

    def _place(self, world: World) -> int:
        place = len(self.graph.worlds)
        self.places[world] = place
        self.graph.worlds.append(world)
        return place

    def _show(self, place: int, edge: Edge) -> None:
        world = self.graph.worlds[place]

        def look(box: Box) -> Edge:
            shown = replace(edge, after=_concrete(world, self.inputs.one_of(box)))
            self.visitor.world(place, shown)
            return shown

        for part, shown in self.inputs.split(world.box, look):
            shown.box = part

    # --- one world's edges ---

    def _edges(self, before: int, world: World, moves: Iterable[Move]) -> Iterator[tuple[Edge, World]]:
        plain = _concrete(world, world.gate.inputs)
        known = self._known(world)
        for move in moves:
            if move.event is None:
                yield from self._outcomes(before, plain, _Told(world.box, (move,)))
            else:
                found = known.get(id(move))
                if found is None:
                    found = known[id(move)] = self._told(world, world.box, (move,), None)
                for each in found:
                    yield from self._outcomes(before, plain, each)

    def _all_edges(self, before: int, world: World) -> Iterator[tuple[Edge, World]]:
        yield from self._edges(before, world, self.space.moves(world))
        if world.off:
            return
        plain = _concrete(world, world.gate.inputs)
        known = self._known(world)
        for changed, changes in enumerate(self.space.changes):
            everything = self.inputs.everything[changed]
            for targets in bits(everything) if self.whole else (everything,):
                found = known.get((changed, targets))
                if found is None:
                    found = known[changed, targets] = self._told(world, (*world.box, targets), changes, changed)
                for each in found:
                    yield from self._outcomes(before, plain, each)

    # --- what another firmware left: asked for the largest boxes, and read off for what lies in them ---

    def _off_largest_first(self) -> Iterator[tuple[int, int | None]]:
        """The own worlds without power, each with one before it that differs in a larger box alone, if there is one."""
        graph = self.graph
        off = [place for place in range(graph.own) if graph.worlds[place].off]
        off.sort(key=lambda place: -sum(mask.bit_count() for mask in graph.worlds[place].box))
        alike: dict[World, list[int]] = {}
        for place in off:
            world = graph.worlds[place]
            others = alike.setdefault(replace(world, gate=with_inputs(world.gate, ()), box=()), [])
            yield place, next((each for each in others if _within(world.box, graph.worlds[each].box)), None)
            others.append(place)

    def _narrowed(self, before: int, wider: int) -> Iterator[tuple[Edge, World]]:
        """The edges of the world whose box is wider, as they are for the values of this one."""
        world = self.graph.worlds[before]
        for place, edge in tuple(self.graph.edges[wider]):
            box = tuple(mask & each for mask, each in zip(edge.box, world.box, strict=True))
            if edge.move.left is None or not all(box):
                continue
            inputs = self.inputs.one_of(box)
            step = None if edge.step is None else replace(edge.step, state=with_inputs(edge.step.state, inputs))
            after = _concrete(edge.after, inputs)
            narrow = replace(edge, before=_concrete(edge.before, inputs), step=step, after=after, box=box)
            self.visitor.edge(before, narrow)
            yield narrow, _concrete(after, inputs, box) if after.off else self.graph.worlds[place]

    def _known(self, world: World) -> "dict[int | tuple[int, int], list[_Told]]":
        """What the machine was told already in its state of this world: it knows nothing else of a world.

        By the move; or by the input that changes, and what to.
        """
        return self.told.setdefault((world.gate, world.box), {})

    def _told(self, world: World, box: Box, moves: tuple[Move, ...], changed: int | None) -> "list[_Told]":
        """What the machine makes of a move, or of an input's change to anything."""
        gate = world.gate

        def tell(now: Box) -> Step | None:
            move = moves[0] if changed is None else moves[lowest(now[-1])]
            inputs = self.inputs.one_of(now)
            return told(self.policy, self.gate, gate if inputs == gate.inputs else with_inputs(gate, inputs), move)

        return [
            _Told(part, moves, done, changed)
            for part, done in self.inputs.split(box, tell, changed=changed)
            if done is not None
        ]

    def _outcomes(self, before: int, plain: World, told: "_Told") -> Iterator[tuple[Edge, World]]:
        def run(now: Box) -> list[tuple[Edge, bool]]:
            inputs = self.inputs.one_of(now)
            world = plain if inputs == plain.gate.inputs else _concrete(plain, inputs)
            move = told.moves[0] if told.changed is None else told.moves[lowest(now[-1])]
            if told.done is None or now != told.part:
                edges = list(successors(self.policy, self.gate, world, move))
            else:
                edges = list(follow(self.policy, self.gate, world, move, told.done))
            for edge in edges:
                self.visitor.edge(before, edge)
            return [(edge, _at_rest(self.policy, edge.after)) for edge in edges]

        for part, edges in self.inputs.split(told.part, run, changed=told.changed):
            for edge, at_rest in edges:
                edge.box = part
                yield from self._after(edge, told.changed, at_rest=at_rest)

    def _after(self, edge: Edge, changed: int | None, *, at_rest: bool) -> Iterator[tuple[Edge, World]]:
        """The edge with the world of the graph that it leads to; several if there its values are not one."""
        part = edge.box
        box = part if changed is None else (*part[:changed], part[-1], *part[changed + 1 : -1])
        one = box if edge.after.off else None
        if at_rest and not self.whole:
            one = self._unnoticed_from(edge.after.gate, box)
        if one is not None:
            yield edge, _concrete(edge.after, self.inputs.one_of(one), one)
            return
        for single in singles(box):
            if changed is not None:
                narrow = (*single[:changed], part[changed], *single[changed + 1 :], single[changed])
                yield replace(edge, box=narrow), _concrete(edge.after, self.inputs.one_of(single), single)
            else:
                yield replace(edge, box=single), _concrete(edge.after, self.inputs.one_of(single), single)

    # --- what is one ---

    def _unnoticed_from(self, gate: GateState, box: Box) -> Box | None:
        """Every value that the inputs can come to have from these, one after the other, without anything following.

        None: something follows already where they change among these; then their values are not one.
        """
        key = (with_inputs(gate, self.inputs.one_of(box)), box)
        if key not in self.quiet:
            self.quiet[key] = self._grown(*key)
        return self.quiet[key]

    def _grown(self, gate: GateState, box: Box) -> Box | None:
        for place, everything in enumerate(self.inputs.everything):
            if everything == 1:
                continue
            calm = self._calm(gate, box, place)
            if not box[place] & ~calm:
                box = (*box[:place], calm, *box[place + 1 :])
            elif box[place] & (box[place] - 1):
                return None
        return box

    def _calm(self, gate: GateState, box: Box, place: int) -> int:
        """The regions into which this input can change, wherever in the box the others are, and nothing follows."""
        everything = self.inputs.everything[place]
        changes = self.space.changes[place]

        def nothing_follows(now: Box) -> bool:
            values = self.inputs.one_of(now[:-1])
            event = changes[lowest(now[-1])].event
            assert event is not None  # noqa: S101 - an input that changes is an event
            done = self.gate.step(self.policy, with_inputs(gate, values), event)
            if done.refused is not None or done.effects or done.ways:
                return False
            return _settled(self.policy, done.state) and with_inputs(done.state, gate.inputs) == gate

        calm = loud = 0
        for part, nothing in self.inputs.split((*box, everything), nothing_follows, changed=place):
            others = all(part[each] == box[each] for each in range(len(box)) if each != place)
            if nothing and others:
                calm |= part[-1]
            else:
                loud |= part[-1]
        return calm & ~loud


def _concrete(world: World, inputs: tuple[Value | None, ...], box: Box = ()) -> World:
    """The same moment with these inputs."""
    gate = world.gate if inputs == world.gate.inputs else with_inputs(world.gate, inputs)
    return replace(world, gate=gate, box=box)


def _within(box: Box, wider: Box) -> bool:
    return all(not mask & ~each for mask, each in zip(box, wider, strict=True))


def _at_rest(policy: Policy, world: World) -> bool:
    return not world.off and not world.gate.down and _settled(policy, world.gate)


def _settled(policy: Policy, gate: GateState) -> bool:
    """Nothing waits to follow from the inputs as they are."""
    if gate.first_trial:
        return True  # nothing that inputs say is acted on (`gate.machine`)
    if gate.session is not None and must_leave(policy, gate, gate.session):
        return False
    return all(failing(gate, way) is not None for way in policy.ways(gate.mode, OnInput))


def _unnoticed(edge: Edge) -> bool:
    """Nothing came of it but another value of an input. That a time limit ended is a fact worth knowing."""
    done = edge.step
    return done is not None and not done.effects and not done.ways and not isinstance(edge.move.event, Expired)
