"""Proof or counterexample: every rule against everything that can happen under a policy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from keyswitch.policy.bootloader import bypasses_of
from keyswitch.policy.model import Policy
from keyswitch.prove.explore import MAX_STATES, Graph, Meter, explore
from keyswitch.prove.input_values import Inputs
from keyswitch.prove.lint import LintWarning, lint
from keyswitch.prove.liveness import LIVENESS, LivenessRule, Stuck
from keyswitch.prove.safety import SAFETY, Check, SafetyRule, Traits, early_window, traits_of
from keyswitch.prove.successors import Edge, GateUnderProof
from keyswitch.prove.traces import ContradictionError, Target, Traces


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
        ever: what then goes on, in words, where there is no loop.
        refused: the command that is refused then, where the violation is that; as in an allow list.
    """

    rule: str
    subject: str
    text: str
    trace: tuple[Edge, ...] = ()
    loop: tuple[Edge, ...] = ()
    safety: bool
    explored: str = ""
    ever: str = ""
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofResult:
    """What the prover found out.

    Attributes:
        stopped: why something was left out; None: everything was explored. If not, nothing is proved.
        violations: in the order of the rules.
        warnings: what is legal but doubtful.
        early: the power-cut window of early arming, where there is one.
        bypasses: ways past the gate that the policy itself declares.
        states: how many were explored.
        explored: of how many everything that can happen next was tried.
        edges: how many moves.
    """

    stopped: str | None
    violations: tuple[Violation, ...]
    warnings: tuple[LintWarning, ...]
    early: tuple[Edge, ...]
    bypasses: tuple[str, ...]
    states: int
    explored: int
    edges: int

    @property
    def complete(self) -> bool:
        """Everything was explored."""
        return self.stopped is None

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
_GATE: Final = GateUnderProof()


class _Watch:
    """Sees everything once, and keeps what each rule finds wrong: for each subject, every place where it is."""

    def __init__(self, policy: Policy, gate: GateUnderProof, rules: Rules) -> None:
        self._policy = policy
        self._of_edges = [(rule, rule.prepare(policy, gate)) for rule in rules.safety if not rule.of_worlds]
        self._concerned: dict[Traits, list[tuple[str, Check]]] = {}
        of_worlds = ((rule.name, rule.prepare if rule.of_worlds else rule.worlds) for rule in rules.safety)
        self._of_worlds = [(name, prepare(policy, gate)) for name, prepare in of_worlds if prepare is not None]
        self.wrong: dict[tuple[str, str], list[tuple[int, Edge, bool]]] = {}
        self.early: list[tuple[int, Edge, bool]] = []

    def edge(self, before: int, edge: Edge) -> None:
        """See `explore.Visitor`."""
        traits = traits_of(edge)
        concerned = self._concerned.get(traits)
        if concerned is None:
            concerned = [(rule.name, check_edge) for rule, check_edge in self._of_edges if rule.concerns(traits)]
            self._concerned[traits] = concerned
        for name, check_edge in concerned:
            for wrong in check_edge(edge):
                self.wrong.setdefault((name, wrong.subject), []).append((before, edge, False))
        if edge.swapped and early_window(self._policy, edge):
            self.early.append((before, edge, False))

    def world(self, place: int, edge: Edge) -> None:
        """See `explore.Visitor`."""
        for name, check_edge in self._of_worlds:
            for wrong in check_edge(edge):
                self.wrong.setdefault((name, wrong.subject), []).append((place, edge, True))


def check(
    policy: Policy,
    *,
    gate: GateUnderProof = _GATE,
    rules: Rules = _ALL,
    max_states: int = MAX_STATES,
    meter: Meter | None = None,
    whole: bool = False,
) -> ProofResult:
    """Explore the gate under this policy and judge it by every rule.

    Args:
        policy: the rules to prove.
        gate: the machine and the door that the device runs.
        rules: the promises.
        max_states: give up beyond this many.
        meter: told how far it has come; may stop it.
        whole: tell every two values of inputs apart that any guard tells apart. The verdict is the same, and late.
    """
    inputs = Inputs(policy)
    watch = _Watch(inputs.policy, gate, rules)
    graph = explore(inputs, gate, watch, max_states=max_states, meter=meter, whole=whole)
    return _judged(policy, gate, rules, watch, graph)


def _judged(policy: Policy, gate: GateUnderProof, rules: Rules, watch: _Watch, graph: Graph) -> ProofResult:
    """What these rules say of what was explored, and was seen by their watch."""
    names = [rule.name for rule in rules.safety] + [rule.name for rule in rules.liveness]
    order = {name: place for place, name in enumerate(names)}
    traces = Traces(graph, policy, gate)
    prepared = {rule.name: rule.whole(policy, gate) for rule in rules.safety}
    violations = [
        _unsafe(rule, subject, traces.to(_targets(found)).steps, prepared[rule])
        for (rule, subject), found in watch.wrong.items()
    ]
    if graph.complete:
        for rule in rules.liveness:
            violations += _stuck(graph, traces, rule, policy)
    violations.sort(key=lambda each: order[each.rule])
    return ProofResult(
        stopped=graph.stopped,
        violations=tuple(violations),
        warnings=lint(policy),
        early=traces.to(_targets(watch.early)).steps if watch.early else (),
        bypasses=bypasses_of(policy),
        states=len(graph.worlds),
        explored=len(graph.edges),
        edges=sum(len(edges) for edges in graph.edges),
    )


def _targets(found: list[tuple[int, Edge, bool]]) -> list[Target]:
    return [
        Target(place=place, box=edge.box) if of_world else Target(place=place, edge=edge)
        for place, edge, of_world in found
    ]


def _unsafe(rule: str, subject: str, trace: tuple[Edge, ...], check_edge: Check) -> Violation:
    """The violation as it is seen at the end of the trace, on the whole machine."""
    for wrong in check_edge(trace[-1]):
        if wrong.subject == subject:
            return Violation(rule=rule, subject=subject, text=wrong.text, trace=trace, safety=True)
    raise ContradictionError(f"the prover is wrong: {rule} ({subject}) is not seen where it was found")


def _stuck(graph: Graph, traces: Traces, rule: LivenessRule, policy: Policy) -> Iterator[Violation]:
    found: dict[str, list[Stuck]] = {}
    for stuck in rule.check(policy, graph):
        found.setdefault(stuck.subject, []).append(stuck)
    for subject, every in found.items():
        targets = [Target(place=each.place, loop=each.loop) for each in every if each.place is not None]
        trace = traces.to(targets) if targets else None
        first = every[0] if trace is None else next(each for each in every if each.place == trace.target.place)
        yield Violation(
            rule=rule.name,
            subject=subject,
            text=first.text,
            trace=() if trace is None else trace.steps,
            loop=() if trace is None else trace.loop,
            safety=False,
            explored=first.explored,
            ever="" if trace is None else first.ever,
            refused=first.refused,
        )


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
