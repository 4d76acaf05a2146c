"""What must always remain possible, and what must come to an end. These rules look at the whole explored graph.

A counterexample is a way to a world (the prefix) and what can go on there for ever (the loop).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from keyswitch.gate import effects as do
from keyswitch.gate.events import Expired, Timer
from keyswitch.gate.guards import failing
from keyswitch.mcuboot.config import LoaderEntrance
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.enums import InputType
from keyswitch.policy.model import INT_MAX, INT_MIN, OnInput, Policy, Transition
from keyswitch.prove import environment
from keyswitch.prove.explore import Graph
from keyswitch.prove.input_values import regions
from keyswitch.prove.limits import too_short
from keyswitch.prove.obstacles import Obstacle, no_confirmation, obstacle
from keyswitch.prove.successors import Edge
from keyswitch.smp.commands import resolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A liveness violation.

    Attributes:
        subject: what it is about.
        text: in words.
        place: of the world in which it is stuck; None where something never happens at all.
        loop: what goes on for ever there; empty: time passes and nothing happens.
        explored: for what never happens: what was tried.
        ever: what then goes on, in words, where there is no loop.
        refused: the command that is refused there, as in an allow list; None: it is not about a command.
    """

    subject: str
    text: str
    place: int | None = None
    loop: tuple[Edge, ...] = field(default=())
    explored: str = ""
    ever: str = "and then time passes"
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LivenessRule:
    """One promise. Attributes as in `SafetyRule`; `check` sees the whole graph."""

    name: str
    promise: str
    check: Callable[[Policy, Graph], Iterator[Stuck]]


_LIMITS: Final = frozenset({Timer.LEASE, Timer.LEASE_MAX, Timer.IDLE})


def _maintenance_ends(policy: Policy, graph: Graph) -> Iterator[Stuck]:
    for place, world in enumerate(graph.worlds):
        if world.session is not None and Timer.LEASE not in world.timers:
            mode = policy.modes[world.gate.mode]
            idle = "idle_s alone ends nothing while somebody sends commands" if mode.idle_ms else "nothing ends it"
            text = f'maintenance mode "{mode.name}" has no lease_s: {idle}. Give modes.{mode.name} a lease_s'
            yield Stuck(subject=world.gate.mode, text=text, place=place)
    for before, after, edge in graph.all_edges():
        event, session = edge.move.event, edge.before.session
        if session is None or not isinstance(event, Expired) or event.timer not in _LIMITS:
            continue
        if graph.worlds[after].session is not None:
            text = f'mode "{edge.before.gate.mode}" continues after its {event.timer.value} has run out'
            yield Stuck(subject=event.timer.value, text=text, place=before, loop=(edge,))


def _way_home(policy: Policy, graph: Graph) -> Iterator[Stuck]:
    home = {
        place for place, world in enumerate(graph.worlds) if not world.off and world.gate.mode == policy.initial.name
    }
    reached = _backwards(home, ((before, after) for before, after, edge in graph.all_edges() if _ordinary(edge)))
    for place, world in enumerate(graph.worlds):
        if not world.off and place not in reached:
            text = f'no transitions lead from mode "{world.gate.mode}" back to "{policy.initial.name}" but a power cut'
            yield Stuck(subject=world.gate.mode, text=text, place=place, loop=_loop(graph, place, reached))


def _ordinary(edge: Edge) -> bool:
    return edge.move is not environment.CUT and not edge.cut


def _no_chase(policy: Policy, graph: Graph) -> Iterator[Stuck]:
    for place, world in enumerate(graph.worlds):
        if world.off or world.gate.first_trial:
            continue
        for way in policy.ways(world.gate.mode, OnInput):
            if failing(world.gate, way) is None:
                text = f'input transitions chase each other: "{world.gate.mode}" to "{way.target}" and back, for ever'
                yield Stuck(subject=world.gate.mode, text=text, place=place)


def _modes_reached(policy: Policy, graph: Graph) -> Iterator[Stuck]:
    reached = {world.gate.mode for world in graph.own_worlds() if not world.off}
    for mode in policy.modes:
        if mode not in reached:
            into = [f"transitions[{way.index}]" for way in policy.transitions if way.target == mode]
            why = f"transitions into it, none ever taken: {', '.join(into)}" if into else "no transition leads into it"
            yield Stuck(subject=mode, text=f'mode "{mode}" is never reached', explored=why)


def _ways_taken(policy: Policy, graph: Graph) -> Iterator[Stuck]:
    taken = {way for _, _, edge in graph.own_edges() if edge.step is not None for way in edge.step.ways}
    reached = {world.gate.mode for world in graph.own_worlds() if not world.off}
    for way in policy.transitions:
        if way.index in taken or not reached & set(way.sources):
            continue
        seen = [world for world in graph.own_worlds() if not world.off and world.gate.mode in way.sources]
        held = sum(graph.inputs.can_hold(world.box, way.when) for world in seen)
        never = _never_true(policy, way)
        yield Stuck(
            subject=f"transitions[{way.index}]",
            text=f'transitions[{way.index}] to "{way.target}" is never taken{never}',
            explored=f"{len(seen)} states in {', '.join(way.sources)}; its guards can hold in {held} of them",
        )


def _never_true(policy: Policy, way: Transition) -> str:
    """The guards over one input that no value of it makes true together, in words."""
    for place, each in enumerate(policy.inputs):
        guards = [guard for guard in way.when if guard.index == place]
        if guards and not any(all(guard.holds(value) for guard in guards) for value in regions(each, guards)):
            told = " and ".join(f'"{guard.text}"' for guard in guards)
            within = "" if each.type is InputType.BOOL else f", from {INT_MIN} to {INT_MAX},"
            return f": no value of {each.name}{within} makes {told} true. Change the guard, or remove the transition"
    return ""


def _update_completes(policy: Policy, graph: Graph) -> Iterator[Stuck]:
    yield from _trials_confirmed(policy, graph)
    ((upload),) = resolve("image.upload")
    pairs = range(len(policy.bootloader.pairs))
    started = [_started(graph, pair) for pair in pairs]
    why: dict[int, Obstacle] = {}
    for place, world in enumerate(graph.own_worlds()):
        session = world.session
        missing = [pair for pair in pairs if session is not None and session.way not in started[pair]]
        if session is None or session.way is None or not missing:
            continue
        if upload not in policy.modes[world.gate.mode].allow:
            continue
        if session.way not in why:
            why[session.way] = obstacle(policy, graph, session.way)
        what = _what(pairs, missing)
        text = f"a session that transitions[{session.way}] opens cannot install {what}, although it serves uploads"
        yield Stuck(
            subject=f"transitions[{session.way}]",
            text=f"{text}: {why[session.way].text}",
            place=place,
            ever="",
            refused=why[session.way].refused,
        )


def _started(graph: Graph, pair: int) -> frozenset[int | None]:
    """The transitions that open sessions in which a new image of this pair is started."""
    edges = (edge for _, _, edge in graph.own_edges() if edge.swapped and edge.after.session is not None)
    by_way = ((edge.after.session, edge.before.pending) for edge in edges)
    return frozenset(
        session.way for session, pending in by_way if session is not None and any(each[0] == pair for each in pending)
    )


def _what(pairs: range, missing: list[int]) -> str:
    return "anything" if len(missing) == len(pairs) else " or ".join(f"image {pair}" for pair in missing)


def _trials_confirmed(policy: Policy, graph: Graph) -> Iterator[Stuck]:
    on_trial = {
        place for place, world in enumerate(graph.own_worlds()) if world.session is not None and world.gate.trial
    }
    confirmed: set[int] = set()
    within: list[tuple[int, int]] = []
    for before, after, edge in graph.own_edges():
        if before not in on_trial or not _ordinary(edge):
            continue
        done = () if edge.step is None else edge.step.effects
        if not edge.after.gate.trial and any(isinstance(effect, do.ConfirmImage) for effect in done):
            confirmed.add(before)
        elif after in on_trial:
            within.append((before, after))
    can = _backwards(confirmed, within)
    for place in sorted(on_trial - can):
        world = graph.worlds[place]
        who = policy.update.confirm
        why = no_confirmation(policy, graph, world.gate.mode, on_trial)
        text = f'each trial in mode "{world.gate.mode}" reverts, for nobody can confirm it (update.confirm = "{who}")'
        yield Stuck(subject=world.gate.mode, text=f"{text}: {why.text}", place=place, ever="", refused=why.refused)


def _backwards(goals: set[int], edges: Iterable[tuple[int, int]]) -> frozenset[int]:
    """Every place from which a goal is reached."""
    before: dict[int, list[int]] = {}
    for source, target in edges:
        before.setdefault(target, []).append(source)
    found, todo = set(goals), list(goals)
    while todo:
        for source in before.get(todo.pop(), ()):
            if source not in found:
                found.add(source)
                todo.append(source)
    return frozenset(found)


def _loop(graph: Graph, start: int, avoid: frozenset[int]) -> tuple[Edge, ...]:
    """The shortest way from `start` through another mode and back, without power cuts and outside `avoid`.

    Empty if there is none: what happens within one mode only shows that time passes.
    """
    mode = graph.worlds[start].gate.mode
    came: dict[tuple[int, bool], tuple[tuple[int, bool], Edge]] = {}
    todo = [(start, False)]
    for node in todo:  # it grows while it is walked through
        place, away = node
        for after, edge in graph.edges[place]:
            reached = (after, away or (not edge.after.off and edge.after.gate.mode != mode))
            if after in avoid or not _ordinary(edge) or reached in came:
                continue
            came[reached] = (node, edge)
            if reached == (start, True):
                return _edges_to(came, reached, (start, False))
            todo.append(reached)
    return ()


def _edges_to(
    came: dict[tuple[int, bool], tuple[tuple[int, bool], Edge]], node: tuple[int, bool], start: tuple[int, bool]
) -> tuple[Edge, ...]:
    edges: list[Edge] = []
    while node != start:
        node, edge = came[node]
        edges.append(edge)
    return tuple(reversed(edges))


def _limits_suffice(policy: Policy, _graph: Graph) -> Iterator[Stuck]:
    for short in too_short(policy):
        yield Stuck(subject=short.key, text=short.text, explored=short.reckoned)


def _boots_again(policy: Policy, graph: Graph) -> Iterator[Stuck]:
    settings = policy.bootloader
    if settings.algorithm is not Algorithm.FIRMWARE_LOADER or LoaderEntrance.NO_APPLICATION in settings.loader_entrance:
        return
    pin = f" but by {LoaderEntrance.PIN.words}" if LoaderEntrance.PIN in settings.loader_entrance else " any more"
    text = (
        "an upload that is cut off leaves no application, and the bootloader does not start the loader for that: "
        f"nothing boots{pin}. Build it with CONFIG_BOOT_FIRMWARE_LOADER_NO_APPLICATION, and add "
        f'"{LoaderEntrance.NO_APPLICATION}" to bootloader.loader_entrance'
    )
    for place, world in enumerate(graph.own_worlds()):
        if world.gate.upload is not None:
            yield Stuck(subject="loader", text=text, place=place, ever="and then power is cut")


LIVENESS: Final = (
    LivenessRule(
        name="maintenance-ends",
        promise="Maintenance ends by itself, whatever anybody sends: it has a lease, and every limit ends it.",
        check=_maintenance_ends,
    ),
    LivenessRule(
        name="limits-suffice",
        promise="No time limit is shorter than what it is for: a reset and its swap, or an upload over Bluetooth LE.",
        check=_limits_suffice,
    ),
    LivenessRule(
        name="way-home",
        promise="From every state the initial mode can be reached without a power cut.",
        check=_way_home,
    ),
    LivenessRule(
        name="no-chase",
        promise="Transitions that inputs take come to rest.",
        check=_no_chase,
    ),
    LivenessRule(name="mode-reached", promise="Every mode can be reached.", check=_modes_reached),
    LivenessRule(name="way-taken", promise="Every transition can be taken.", check=_ways_taken),
    LivenessRule(
        name="boots-again",
        promise="Something boots whatever an upload was cut off by: with a firmware loader, the loader where there is "
        "no application.",
        check=_boots_again,
    ),
    LivenessRule(
        name="update-completes",
        promise="An update can be installed, and confirmed by whoever the policy lets confirm.",
        check=_update_completes,
    ),
)
"""Every liveness rule. Removing one makes a test fail."""
