"""Proof or counterexample: every rule against everything that can happen under a policy."""

from dataclasses import dataclass
from typing import Any, Final

from keyswitch.policy.model import Policy
from keyswitch.prove.explore import MAX_STATES, Graph, explore
from keyswitch.prove.happen import Edge, Gate
from keyswitch.prove.liveness import LIVENESS, LivenessRule, Stuck
from keyswitch.prove.safety import SAFETY, SafetyRule, Wrong, early_window
from keyswitch.prove.warnings import Warning_, doubts


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A promise that is not kept, and the shortest way to see it.

    Attributes:
        rule: name of the rule.
        subject: what it is about, where one rule is broken in several ways.
        text: what is wrong, in words.
        trace: what happens until then.
        loop: what can go on for ever then; only of liveness rules.
        safety: something wrong happens; else something right cannot.
        explored: what was tried, where something never happens at all.
    """

    rule: str
    subject: str
    text: str
    trace: tuple[Edge, ...] = ()
    loop: tuple[Edge, ...] = ()
    safety: bool
    explored: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the prover found out.

    Attributes:
        complete: everything was explored; if not, nothing is proved.
        violations: in the order of the rules.
        warnings: what is legal but doubtful.
        early: the power-cut window of early arming, where there is one.
        bypasses: ways past the gate that the policy itself declares.
        states: how many were explored.
        edges: how many moves.
    """

    complete: bool
    violations: tuple[Violation, ...]
    warnings: tuple[Warning_, ...]
    early: tuple[Edge, ...]
    bypasses: tuple[str, ...]
    states: int
    edges: int

    @property
    def holds(self) -> bool:
        """Every promise is kept, and nothing was left out."""
        return self.complete and not self.violations


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is asked. Tests leave rules out to see that each is needed."""

    safety: tuple[SafetyRule, ...] = SAFETY
    liveness: tuple[LivenessRule, ...] = LIVENESS


_ALL: Final = Rules()
_GATE: Final = Gate()


class _Watch:
    """Sees each edge once: keeps the first edge for each (rule, subject), which is a nearest one."""

    def __init__(self, policy: Policy, gate: Gate, rules: Rules) -> None:
        self._policy = policy
        self._of_edges = [(rule.name, rule.prepare(policy, gate)) for rule in rules.safety if not rule.of_worlds]
        self._of_worlds = [(rule.name, rule.prepare(policy, gate)) for rule in rules.safety if rule.of_worlds]
        self.wrong: dict[tuple[str, str], tuple[int, Edge, Wrong]] = {}
        self.early: tuple[int, Edge] | None = None
        self.edges = 0

    def see(self, before: int, edge: Edge, new: bool) -> None:  # noqa: FBT001 - `explore.Visitor`
        self.edges += 1
        for name, check_edge in self._of_edges:
            for wrong in check_edge(edge):
                self.wrong.setdefault((name, wrong.subject), (before, edge, wrong))
        if new:
            for name, check_edge in self._of_worlds:
                for wrong in check_edge(edge):
                    self.wrong.setdefault((name, wrong.subject), (before, edge, wrong))
        if self.early is None and early_window(self._policy, edge):
            self.early = (before, edge)


def check(policy: Policy, *, gate: Gate = _GATE, rules: Rules = _ALL, max_states: int = MAX_STATES) -> Verdict:
    """Explore the gate under this policy and judge it by every rule.

    Args:
        policy: the rules to prove.
        gate: the machine and the door that the device runs.
        rules: the promises.
        max_states: give up beyond this many.
    """
    watch = _Watch(policy, gate, rules)
    graph = explore(policy, gate, watch.see, max_states=max_states)
    names = [rule.name for rule in rules.safety] + [rule.name for rule in rules.liveness]
    order = {name: place for place, name in enumerate(names)}
    violations = [
        Violation(rule=name, subject=subject, text=wrong.text, trace=(*graph.path(before), edge), safety=True)
        for (name, subject), (before, edge, wrong) in watch.wrong.items()
    ]
    if graph.complete:
        for rule in rules.liveness:
            violations += _first_of_each(graph, rule, policy)
    violations.sort(key=lambda each: order[each.rule])
    early = () if watch.early is None else (*graph.path(watch.early[0]), watch.early[1])
    return Verdict(
        complete=graph.complete,
        violations=tuple(violations),
        warnings=doubts(policy),
        early=early,
        bypasses=policy.device.bypasses,
        states=len(graph.worlds),
        edges=watch.edges,
    )


def _first_of_each(graph: Graph, rule: LivenessRule, policy: Policy) -> list[Violation]:
    found: dict[str, Stuck] = {}
    for stuck in rule.check(policy, graph):
        found.setdefault(stuck.subject, stuck)
    return [
        Violation(
            rule=rule.name,
            subject=stuck.subject,
            text=stuck.text,
            trace=() if stuck.place is None else tuple(graph.path(stuck.place)),
            loop=stuck.loop,
            safety=False,
            explored=stuck.explored,
        )
        for stuck in found.values()
    ]


def trace_json(edges: tuple[Edge, ...]) -> list[dict[str, Any]]:
    """A trace as plain JSON values: one object for each thing that happens, and where it leads."""
    return [
        {
            "event": edge.move.name,
            **dict(edge.move.details),
            **({"power_cut": "between its writes to flash"} if edge.cut else {}),
            **({"slot": "holds another image"} if edge.failed else {}),
            "mode": None if edge.after.off else edge.after.gate.mode,
        }
        for edge in edges
    ]


def trace_words(edges: tuple[Edge, ...]) -> list[str]:
    """A trace for people: one line for each thing that happens."""
    lines: list[str] = []
    for edge in edges:
        more = ", and power is cut between its writes to flash" if edge.cut else ""
        more += ", but the slot holds another image by then" if edge.failed else ""
        mode = "off" if edge.after.off else edge.after.gate.mode
        lines.append(f"{edge.move.words}{more} → {mode}")
    return lines
