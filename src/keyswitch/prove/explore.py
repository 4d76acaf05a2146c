"""Breadth first through every world that can be reached: the first way into each one is a shortest one.

First all that happens under the policy by itself; then all that can follow from what another firmware left in flash.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from keyswitch.gate.machine import initial
from keyswitch.policy.model import Policy
from keyswitch.prove.happen import Edge, Gate, happen
from keyswitch.prove.left_behind import left_behind
from keyswitch.prove.moves import Move, Space
from keyswitch.prove.world import World, switched_off

MAX_STATES = 2_000_000
"""About 2 GB. A policy that has more is not proved, and that is said."""


@dataclass(slots=True)
class Graph:
    """What was explored.

    Attributes:
        worlds: in the order in which they were found; the first is the device before it ever came up.
        came_by: for each world, the edge by which it was found first and the place of the world before.
        edges: for each world, where its edges lead, with the edge itself.
        own: how many of the worlds, from the first on, are reached without anything that another firmware left behind.
        complete: nothing was left out.
    """

    worlds: list[World] = field(default_factory=list[World])
    came_by: list[tuple[int, Edge] | None] = field(default_factory=list[tuple[int, Edge] | None])
    edges: list[list[tuple[int, Edge]]] = field(default_factory=list[list[tuple[int, Edge]]])
    own: int = 0
    complete: bool = True

    def path(self, place: int) -> list[Edge]:
        """The shortest way from the first world to this one."""
        steps: list[Edge] = []
        came = self.came_by[place]
        while came is not None:
            before, edge = came
            steps.append(edge)
            came = self.came_by[before]
        return steps[::-1]

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


Visitor = Callable[[int, Edge, bool], None]
"""Told of each edge once, in order of distance from the start: the place of the world before it, and whether it is the
first edge into the world after it."""


def explore(policy: Policy, gate: Gate, visit: Visitor, *, max_states: int = MAX_STATES) -> Graph:
    """Find every world that can be reached, and tell `visit` of every edge.

    Args:
        policy: the rules.
        gate: the machine and the door.
        visit: sees each edge, the safety rules among them.
        max_states: give up beyond this many worlds (`Graph.complete` is then false).
    """
    space = Space(policy)
    start = switched_off(policy, World(gate=initial(policy), blank=True))
    graph = Graph(worlds=[start], came_by=[None], edges=[])
    places: dict[World, int] = {start: 0}

    def take(before: int, moves: Iterable[Move]) -> None:
        for move in moves:
            for edge in happen(policy, gate, graph.worlds[before], move):
                place = places.get(edge.after)
                new = place is None
                if place is None:
                    if len(graph.worlds) >= max_states:
                        graph.complete = False
                        continue
                    place = len(graph.worlds)
                    places[edge.after] = place
                    graph.worlds.append(edge.after)
                    graph.came_by.append((before, edge))
                graph.edges[before].append((place, edge))
                visit(before, edge, new)

    def walk() -> None:
        for before in count(len(graph.edges)):  # there are more of them while it walks
            if before == len(graph.worlds):
                return
            graph.edges.append([])
            take(before, space.moves(graph.worlds[before]))

    walk()
    graph.own = len(graph.worlds)
    # What the policy does by itself is seen first: a trace has another firmware in it only where it is needed.
    for before in range(graph.own):
        take(before, left_behind(policy, graph.worlds[before]))
    walk()
    return graph
