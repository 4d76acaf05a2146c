"""Coming up with whatever another firmware left behind: what is explored, and which faults of the machine it finds."""

import asyncio
import functools
import json

import pytest
from tests.policy.samples import pump, small
from tests.prove import faults

from keyswitch.device.server.components import Components
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.codec import record_from_json, record_to_json
from keyswitch.gate.events import Timer
from keyswitch.policy.model import Policy
from keyswitch.prove.check import ProofResult, Rules, check, trace_json, trace_words
from keyswitch.prove.explore import Graph, explore
from keyswitch.prove.input_values import Inputs, singles
from keyswitch.prove.left_behind import LEFT_BEHIND, records
from keyswitch.prove.report import ReportHeader, report_json
from keyswitch.prove.safety import SAFETY
from keyswitch.prove.successors import Edge, GateUnderProof
from keyswitch.replay.play import play

ONE_TRIAL = "[update]\ntrial_deadline_s = 90\n"
BUTTON = '[[transitions]]\nfrom = ["normal"]\nto = "maintenance"\non = "button"\nhold_s = 5\nwhen = ["battery >= 10"]\n'
SERVICE = (
    '[modes.service]\nmaintenance = true\nallow = ["os", "image", "mode"]\nlease_s = 60\n'
    '[[transitions]]\nfrom = ["normal"]\nto = "service"\non = "enter"\nproofs = ["challenge"]\n'
)
UDP = '[smp]\ntransports = ["udp"]\n'
"""Centrals that come and go make no difference to what a device comes up with, and much work."""
SMALL = small(UDP)


FAULTS: dict[str, tuple[str, Policy, GateUnderProof, str]] = {
    "whatever image runs": ("carried-session", SMALL, faults.reads(expected=...), "image"),
    "a revert under another policy": ("carried-session", SMALL, faults.reads(policy=...), "image"),
    "any mode": ("carried-session", SMALL, faults.reads(mode=...), "mode"),
    "another maintenance mode": (
        "carried-session",
        small(UDP + SERVICE),
        faults.where(on.Booted, faults.goes_on_elsewhere),
        "mode",
    ),
    "what is over": ("carried-session", SMALL, faults.reads(ending=False), "ending"),
    "any images": ("carried-session", SMALL, faults.reads(images=None), "session"),
    "a whole lease": ("carried-session", SMALL, faults.reads(policy=b"", lease_ms=None, timeout_ms=None), "lease"),
    "no idle limit": ("carried-session", SMALL, faults.reads(idle_ms=None), "idle"),
    "no trial deadline": ("carried-session", SMALL, faults.reads(trial_ms=None), "trial"),
    "no guard": ("carried-session", SMALL, faults.where(on.Booted, faults.forgets_guards), "battery >= 30"),
    "a weaker way": (
        "carried-session",
        small(UDP + BUTTON),
        faults.where(on.Booted, faults.takes_the_last_way),
        "battery >= 30",
    ),
    "again and again": ("first-trial", small(UDP + ONE_TRIAL), faults.where(on.Booted, faults.finds_blank), "again"),
    "never written down": ("first-trial", small(UDP + ONE_TRIAL), faults.without(do.MarkStore), "store"),
    "for ever": (
        "first-trial",
        small(UDP + ONE_TRIAL),
        faults.first_trial_without(do.StartTimer, timer=Timer.TRIAL),
        "deadline",
    ),
    "while it moves": (
        "first-trial",
        small(UDP + ONE_TRIAL, ("lease_s = 60", 'lease_s = 60\ninhibits = ["motion"]')),
        faults.first_trial_without(do.Inhibit),
        "motion",
    ),
    "served as ever": (
        "first-trial",
        small(UDP + ONE_TRIAL),
        GateUnderProof(authorise=faults.serves_as_in_the_mode),
        "os.echo:write",
    ),
}


@functools.cache
def violations(name: str) -> ProofResult:
    rule, policy, gate, _ = FAULTS[name]
    only = Rules(safety=tuple(each for each in SAFETY if each.name == rule), liveness=())
    return check(policy, gate=gate, rules=only)


@pytest.mark.parametrize("what", FAULTS)
def test_a_machine_that_takes_too_much_is_found(what: str) -> None:
    *_, subject = FAULTS[what]
    assert subject in {each.subject for each in violations(what).violations}


def test_the_sound_machine_takes_what_it_may() -> None:
    for policy in {id(policy): policy for _, policy, _, _ in FAULTS.values()}.values():
        assert check(policy).violations == ()


# --- what is explored -----------------------------------------------------------------------------------------------


class Seen(faults.Nobody):
    """Keeps every edge, in the order in which they are found."""

    def __init__(self) -> None:
        self.edges: list[Edge] = []

    def edge(self, before: int, edge: Edge) -> None:
        self.edges.append(edge)


def _graph(policy: Policy) -> tuple[Graph, list[Edge]]:
    seen = Seen()
    return explore(Inputs(policy), GateUnderProof(), seen), seen.edges


def test_every_record_that_is_explored_can_be_written() -> None:
    found = records(pump())
    assert len(set(found)) == len(found)
    for record in found:
        images = None if record.images is None else frozenset(b"\x01" * 32 for _ in record.images)
        expected = tuple((pair, b"\x02" * 64) for pair, _ in record.expected)
        kept = {each: getattr(record, each) for each in record.__dataclass_fields__}
        written = type(record)(**{**kept, "images": images, "expected": expected})
        assert record_from_json(record_to_json(written)) == written


def test_every_kind_of_record_is_explored_in_every_state_of_the_inputs() -> None:
    graph, seen = _graph(SMALL)
    left = [edge for edge in seen if edge.move.left is not None and edge.move.left.record is not None]
    assert {dict(edge.move.details)["record"] for edge in left} >= {"normal", "maintenance"}
    for name in ("same_policy", "limited", "ending", "trial"):
        assert {dict(edge.move.details)[name] for edge in left} == {True, False}, name
    assert {dict(edge.move.details)["expected"] for edge in left} == {"old", "new", "other", None}
    off = {values for world in graph.own_worlds() if world.off for values in singles(world.box)}
    assert {values for edge in left for values in singles(edge.box)} == off
    assert len({guards for edge in left for guards in (edge.after.session,) if guards is not None}) > 2


def test_what_the_policy_does_by_itself_is_seen_first() -> None:
    graph, seen = _graph(SMALL)
    first = next(place for place, edge in enumerate(seen) if edge.move.left is not None)
    assert all(edge.move.name != LEFT_BEHIND for edge in seen[:first])
    assert 0 < graph.own < len(graph.worlds)
    assert all(edge.move.left is None for _, _, edge in graph.own_edges())


def test_a_mode_that_only_another_firmware_opens_is_not_reached() -> None:
    """Nothing turns the way's guards true together, whatever a record says of its mode."""
    shut = small(UDP + SERVICE + 'when = ["battery >= 30", "battery < 30"]\n')
    found = {(each.rule, each.subject) for each in check(shut).violations}
    assert {("mode-reached", "service"), ("way-taken", "transitions[1]")} <= found


def test_the_first_trial_ends_confirmed_or_reverted() -> None:
    _, seen = _graph(small(UDP + ONE_TRIAL))
    within = [edge for edge in seen if edge.before.gate.first_trial]
    over = {edge.move.name for edge in within if not edge.after.gate.first_trial}
    assert over == {"confirm", "expired", "power_cut"}
    begun = [edge for edge in seen if edge.after.gate.first_trial and not edge.before.gate.first_trial]
    assert begun
    assert all(edge.before.blank for edge in begun)
    cut = [edge for edge in seen if edge.move.left is not None and edge.cut and edge.after.blank]
    assert cut, "power may go before the store is marked"


def test_a_trace_says_what_was_found_in_flash() -> None:
    only = Rules(safety=tuple(each for each in SAFETY if each.name == "carried-session"), liveness=())
    (violation,) = check(SMALL, gate=faults.reads(mode=...), rules=only).violations
    *_, last = trace_json(violation.trace)
    assert (last["event"], last["record"], last["mode"]) == (LEFT_BEHIND, "normal", "maintenance")
    assert "that another firmware wrote" in trace_words(violation.trace)[-1]


@pytest.mark.parametrize("name", FAULTS)
def test_what_was_left_is_played_on_the_device_with_the_same_fault_and_not_without(name: str) -> None:
    _, policy, gate, _ = FAULTS[name]
    told = json.loads(json.dumps(report_json(policy, violations(name), ReportHeader(tool="t", time=""))))
    traces = [each for each in told["violations"] if LEFT_BEHIND in {event["event"] for event in each["trace"]}]
    for violation in traces:
        played = asyncio.run(play(policy, violation, Components(step=gate.step, authorise=gate.authorise)))
        assert played.confirmed, played
    for violation in (each for each in traces if each["subject"] == "mode"):
        assert not asyncio.run(play(policy, violation)).confirmed


def test_some_faults_are_seen_only_with_what_was_left() -> None:
    begins = {name: [each.trace[0].move.name for each in violations(name).violations] for name in FAULTS}
    assert len([name for name, words in begins.items() if LEFT_BEHIND in words]) >= 5, begins
