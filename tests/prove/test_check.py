"""The prover: holds for what is right, refutes what is wrong by the rule meant for it, and needs every rule it has."""

import functools
import re
from dataclasses import replace
from pathlib import Path

import pytest
from bench.policies import generated
from tests.policy.samples import ROOT, pump, pump_with, small
from tests.prove import faults

from keyswitch.exits import Exit
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import machine
from keyswitch.gate.decision import RESETTING
from keyswitch.gate.events import Event
from keyswitch.gate.machine import Step
from keyswitch.gate.state import GateState
from keyswitch.policy.load import load, read_policy
from keyswitch.policy.model import Policy
from keyswitch.prove.check import ProofResult, Rules, _judged, _Watch, check, trace_json, trace_words
from keyswitch.prove.explore import ExploreProgress, Visitor, explore
from keyswitch.prove.input_values import Inputs
from keyswitch.prove.liveness import LIVENESS
from keyswitch.prove.safety import SAFETY, traits_of
from keyswitch.prove.successors import Edge, GateUnderProof
from keyswitch.prove.traces import ContradictionError, Target, Traces
from keyswitch.terms import Security

KEYED = ROOT / "examples" / "key-switch" / "policy.toml"
BROKEN = sorted((ROOT / "examples" / "broken").glob("*.toml"))
_SOUND = GateUnderProof()
RULES = [rule.name for rule in SAFETY] + [rule.name for rule in LIVENESS]


def intended(path: Path) -> str:
    found = re.search(r"^# Refuted by: (\S+)$", path.read_text(), re.MULTILINE)
    assert found is not None
    return found.group(1)


def broken(verdict: ProofResult) -> set[str]:
    return {each.rule for each in verdict.violations}


def all_but(*names: str) -> Rules:
    return Rules(
        safety=tuple(rule for rule in SAFETY if rule.name not in names),
        liveness=tuple(rule for rule in LIVENESS if rule.name not in names),
    )


class _Both:
    """Shows every world and every edge to several."""

    def __init__(self, *visitors: Visitor) -> None:
        self.visitors = visitors

    def edge(self, before: int, edge: Edge) -> None:
        for each in self.visitors:
            each.edge(before, edge)

    def world(self, place: int, edge: Edge) -> None:
        for each in self.visitors:
            each.world(place, edge)


def check_with_and_without(policy: Policy, rule: str, gate: GateUnderProof = _SOUND) -> tuple[ProofResult, ProofResult]:
    """What all rules say, and all but one, of one exploration: that is the dear part, and it is the same."""
    inputs, asked = Inputs(policy), (Rules(), all_but(rule))
    watches = [_Watch(inputs.policy, gate, rules) for rules in asked]
    graph = explore(inputs, gate, _Both(*watches))
    every, others = (_judged(policy, gate, rules, watch, graph) for rules, watch in zip(asked, watches, strict=True))
    return every, others


@functools.cache
def of_a_broken_policy(path: Path) -> tuple[ProofResult, ProofResult]:
    """Asked for by two tests."""
    return check_with_and_without(read_policy(path), intended(path))


@functools.cache
def of_a_planted_fault(what: str) -> tuple[ProofResult, ProofResult]:
    """Asked for by two tests."""
    rule, policy, gate = FAULTS[what]
    return check_with_and_without(policy, rule, gate)


def test_the_pump_holds() -> None:
    verdict = check(pump())
    assert verdict.holds
    assert verdict.violations == ()
    assert {each.name for each in verdict.warnings} == {"unsecured-session", "assumed-input"}
    assert verdict.bypasses == ("mcuboot serial recovery (pin)",)
    assert verdict.states > 100


@pytest.mark.parametrize(
    "change",
    [
        ('service = "reconnect"', 'service = "live"'),
        ('service = "reconnect"', 'service = "always"'),
        ('identity = "same"', 'identity = "second"'),
        ('session = "anyone"', 'session = "owner"'),
        ('confirm = "operator"', 'confirm = "self"'),
        ('confirm = "operator"', 'confirm = "either"'),
        ('algorithm = "swap-move"', 'algorithm = "swap-offset"'),
        ('algorithm = "swap-move"', 'algorithm = "direct-xip"'),
        ('upload = "discard"', 'upload = "keep"'),
        ('others = "refuse"', 'others = "disconnect"'),
        ('others = "refuse"', 'when_false = "hold"'),
        ('transports = ["ble", "udp", "serial"]', 'transports = ["ble"]'),
        ('transports = ["ble", "udp", "serial"]', 'transports = ["udp"]'),
        (", initial = false", ""),
    ],
)
def test_the_pump_holds_in_every_variety(change: tuple[str, str]) -> None:
    policy = pump_with(change)
    if change[1] == 'session = "owner"':
        assert broken(check(policy)) == {"update-completes"}  # the button is no owner
    else:
        assert check(policy).violations == ()


LOADER = 'algorithm = "firmware-loader"\nloader_entrance = [{}]\nloader_gated = {}\n'
WITHOUT_TRIAL = {
    "overwrite-only": 'algorithm = "overwrite-only"\n',
    "direct-xip-no-revert": 'algorithm = "direct-xip-no-revert"\n',
    "firmware-loader": LOADER.format('"boot-mode", "no-application"', "true"),
}


@pytest.mark.parametrize("algorithm", WITHOUT_TRIAL)
@pytest.mark.parametrize("arm", ["late", "early"])
@pytest.mark.parametrize("asked", ["trial_deadline_s = 60", 'confirm = "self"'])
def test_a_trial_that_the_bootloader_does_not_have(algorithm: str, arm: str, asked: str) -> None:
    table = f'arm = "{arm}"\n[bootloader]\n{WITHOUT_TRIAL[algorithm]}'
    assert check(small(f"[update]\n{table}")).holds, "which counts on none"
    verdict = check(small(f"[update]\n{asked}\n{table}"))
    assert broken(verdict) == {"trial-as-asked"}
    (violation,) = verdict.violations
    assert trace_json(violation.trace)[-1]["event"] == "boot"
    assert (
        f'"{algorithm}" has no trial and no way back, and update.{asked.split(" = 6", maxsplit=1)[0]} counts on'
        in violation.text
    )
    assert violation.text.endswith('or use a bootloader that has a trial ("swap-move", "swap-offset", "direct-xip")')


@pytest.mark.parametrize(("gated", "named"), [("true", False), ("false", True)])
def test_a_loader_without_the_gate_is_a_bypass(gated: str, named: bool) -> None:
    verdict = check(small("[bootloader]\n" + LOADER.format('"pin", "no-application"', gated)))
    assert verdict.holds
    said = (
        "the firmware loader (bootloader.loader_gated = false): while it runs, its own server takes images from "
        "anybody, without a mode, a lease or an owner; it is started by a pin at the reset, an application that is "
        "missing or bad, as after an upload that was cut off"
    )
    assert verdict.bypasses == ((said,) if named else ())


def test_a_loader_that_no_cut_upload_starts_is_refuted_with_what_is_left() -> None:
    verdict = check(small("[bootloader]\n" + LOADER.format('"pin"', "true")))
    assert broken(verdict) == {"boots-again"}
    assert "nothing boots but by a pin at the reset" in verdict.violations[0].text


def test_a_key_switch_can_be_used_soundly() -> None:
    assert check(read_policy(KEYED)).violations == ()


def test_early_arming_is_reported_as_what_it_is() -> None:
    verdict = check(pump_with(('arm = "late"', 'arm = "early"')))
    assert verdict.holds
    assert "early-arming" in {each.name for each in verdict.warnings}
    assert [each["event"] for each in trace_json(verdict.early)][-3:] == ["arm", "power_cut", "boot"]


def test_a_large_policy_holds() -> None:
    policy = generated()
    assert (len(policy.modes), len(policy.transitions)) == (30, 120)
    verdict = check(policy)
    assert verdict.holds
    assert verdict.states > 500


def test_beyond_its_limit_nothing_is_proved() -> None:
    verdict = check(pump(), max_states=50)
    assert not verdict.complete
    assert not verdict.holds
    assert verdict.violations == ()


# --- broken policies ------------------------------------------------------------------------------------------------

STEPS = {
    "born-in-maintenance": 1,
    "beyond-int": 0,
    "button-without-owner": 3,
    "cannot-ask": 4,
    "chase": 2,
    "contradiction": 0,
    "deaf-to-entry": 0,
    "files-in-normal": 1,
    "half-reverted": 11,
    "idle-only": 4,
    "key-at-rest": 3,
    "loader-by-boot-mode-alone": 5,
    "lease-before-swap": 0,
    "maintenance-at-rest": 2,
    "maintenance-by-timeout": 3,
    "maintenance-on-connect": 3,
    "no-limit": 4,
    "no-reset": 4,
    "nowhere": 0,
    "reset-while-working": 2,
    "secure-serial": 3,
    "self-confirmed-in-place": 8,
    "settings-in-normal": 1,
    "shadowed": 0,
    "shell-while-pairing": 2,
    "single-slot": 4,
    "slow-upload": 0,
    "trap": 2,
    "trial-in-the-loader": 8,
    "trial-without-one": 8,
    "upload-in-normal": 1,
    "weak-entry": 4,
}
"""How many things have to happen until each one is seen to be broken: no shorter trace exists."""


ALSO = {
    "key-at-rest": {"no-chase"},  # it comes back at once
    "maintenance-at-rest": {"no-chase"},
    "reset-while-working": {"clean-leave"},
    "secure-serial": {"ask-and-leave"},  # a line is never secured: whoever enters can do nothing
    "upload-in-normal": {"clean-leave"},
}
"""What else follows from the same mistake."""


def test_there_are_enough_broken_policies() -> None:
    assert {path.stem for path in BROKEN} == STEPS.keys()
    assert len(BROKEN) >= 16


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_policy_is_refuted_by_the_rule_meant_for_it(path: Path) -> None:
    rule = intended(path)
    verdict, without_it = of_a_broken_policy(path)
    assert not verdict.holds
    also = ALSO.get(path.stem, set())
    assert broken(verdict) == {rule} | also
    first = next(each for each in verdict.violations if each.rule == rule)
    assert len(first.trace) == STEPS[path.stem]
    assert bool(first.explored) is (not first.trace)
    assert broken(without_it) == also


@pytest.mark.parametrize("path", BROKEN[::5], ids=lambda path: path.stem)
def test_whoever_asks_for_fewer_rules_alone_is_told_the_same(path: Path) -> None:
    assert check(read_policy(path), rules=all_but(intended(path))) == of_a_broken_policy(path)[1]


# --- planted faults -------------------------------------------------------------------------------------------------

PERMITS = (
    ('proofs = ["challenge"]', 'proofs = ["permit"]'),
    ("[entry.challenge]", '[entry.permit]\nissuers = ["issuer.pem"]\n[entry.challenge]'),
)
OWNED = ("lease_s = 60", 'lease_s = 60\nsession = "owner"')
INHIBITS = ("lease_s = 60", 'lease_s = 60\ninhibits = ["motion"]')
EARLY = "[update]\narm = 'early'\n"
BUTTON = (
    '[[transitions]]\nfrom = ["normal"]\nto = "maintenance"\non = "button"\nhold_s = 5\nwhen = ["motion == false"]\n'
)
SMALL = small()
FURTHER = """
[modes.look]
allow = ["mode"]
[[transitions]]
from = ["parked"]
to = "look"
on = "button"
hold_s = 1
when = ["key >= 2"]
[[transitions]]
from = ["look"]
to = "parked"
on = "input"
when = ["key < 1"]
"""
NUMBERS = (('"bool", operated', '"int", operated'), ("key == true", "key >= 1"), ("key == false", "key < 1"))
TWO_TURNS = load(
    (functools.reduce(lambda text, pair: text.replace(*pair), NUMBERS, KEYED.read_text()) + FURTHER).encode()
)
"""A key that can be turned further while maintenance lasts."""

OFF_BLE = '[smp]\ntransports = ["udp"]\n'
IMAGE = "[[bootloader.images]]\nslot_size = 65536\n"
TWO = 2 * IMAGE
PAIRS = small(TWO + OFF_BLE)
ONE_BY_ONE = small("[update]\nsimultaneous = false\n" + TWO + "copied = true\n" + OFF_BLE)

FAULTS: dict[str, tuple[str, Policy, GateUnderProof]] = {
    "a door that is none": ("firmware-outside-maintenance", SMALL, GateUnderProof(authorise=faults.serves_everything)),
    "a connection is an entry": (
        "maintenance-on-purpose",
        small(BUTTON),
        faults.where(on.Connected, faults.opens_for_a_connection),
    ),
    "a turn of the key begins a session anew": (
        "one-session",
        TWO_TURNS,
        faults.where(on.InputChanged, faults.begins_anew),
    ),
    "no session record": ("planned-start", SMALL, faults.without(do.WriteSessionRecord)),
    "the trailer before its time": ("planned-start", SMALL, faults.where(on.ArmAsked, faults.arms_at_once)),
    "armed for ever": ("clean-leave", small(EARLY), faults.without(do.Disarm)),
    "the queue outlives the session": ("clean-leave", SMALL, faults.without(do.DropQueued)),
    "half frames outlive it": ("clean-leave", SMALL, faults.without(do.DropReassembly)),
    "the upload's bytes outlive it": ("clean-leave", SMALL, faults.without(do.DropUpload)),
    "the upload outlives it": ("clean-leave", SMALL, faults.keeps(upload=...)),
    "the arming outlives it": ("clean-leave", SMALL, faults.keeps(armed=...)),
    "the reset outlives it": ("clean-leave", SMALL, faults.keeps(reset_pending=...)),
    "timers outlive it": ("clean-leave", SMALL, faults.without(do.StopTimer)),
    "the queue waits for the session": ("fresh-start", SMALL, faults.waits_for_maintenance(do.DropQueued)),
    "half frames wait for it": ("fresh-start", SMALL, faults.waits_for_maintenance(do.DropReassembly)),
    "a stray trial runs on": ("trial-ends", small(EARLY), faults.where(on.Booted, faults.stays_on_trial)),
    "any image goes on": ("carried-session", SMALL, faults.reads(expected=...)),
    "a first trial without end": (
        "first-trial",
        small("[update]\ntrial_deadline_s = 90\n"),
        faults.first_trial_without(do.StartTimer),
    ),
    "the first confirmation ends the trial": (
        "trial-ends",
        PAIRS,
        faults.where(on.ConfirmAsked, faults.ends_every_trial),
    ),
    "a record that names one of two images": ("planned-start", PAIRS, faults.records_the_first_alone()),
    "a stray trial beside the expected one": (
        "carried-session",
        PAIRS,
        faults.where(on.Booted, faults.sees_the_first_alone),
    ),
    "the other trailer outlives it": ("clean-leave", small(TWO + EARLY + OFF_BLE), faults.disarms_the_first_alone()),
    "together although one by one": (
        "whole-revert",
        ONE_BY_ONE,
        faults.where(on.ArmAsked, faults.arms_all),
    ),
    "guards are asked once": ("guards", SMALL, faults.where(on.InputChanged, faults.ignores_guards)),
    "any image": ("permitted-images", small("", *PERMITS), faults.where(on.ArmAsked, faults.arms_anything)),
    "anybody's session": ("owner", small("", OWNED), GateUnderProof(authorise=faults.serves_everybody)),
    "nothing inhibited": ("inhibits", small("", INHIBITS), faults.without(do.Inhibit)),
    "the table changes at once": ("still-table", SMALL, GateUnderProof(step=faults.changes_at_once)),
    "the service is never shown": ("visible-in-maintenance", SMALL, GateUnderProof(step=faults.never_shows)),
    "nobody may leave": ("ask-and-leave", SMALL, GateUnderProof(authorise=faults.keeps_everybody_in)),
    "the lease never ends": ("maintenance-ends", SMALL, faults.where(on.Expired, faults.lease_without_end)),
    "nobody can confirm": ("update-completes", SMALL, faults.where(on.ConfirmAsked, faults.never_confirms)),
}


def test_several_images_are_proved_and_are_cheap() -> None:
    """Every pair can be armed, on trial, confirmed and reverted for itself: three cost some hundred states more."""
    states = [check(small(OFF_BLE + IMAGE * count)).states for count in (0, 2, 3)]
    assert states[0] < states[1] < states[2] < 1000


@pytest.mark.parametrize("algorithm", ["overwrite-only", "direct-xip-no-revert"])
def test_no_trial_is_asked_of_several_images_that_have_none(algorithm: str) -> None:
    table = f'[bootloader]\nalgorithm = "{algorithm}"\n' + TWO + OFF_BLE
    assert check(small(table)).holds
    assert broken(check(small("[update]\ntrial_deadline_s = 60\n" + table))) == {"trial-as-asked"}


@pytest.mark.parametrize("copied", ["", "copied = true\n"])
def test_an_image_that_is_copied_is_asked_for_no_trial(copied: str) -> None:
    """Of the others the policy may well count on one: a bootloader that starts them without is seen."""
    policy = small("[update]\nsimultaneous = false\ntrial_deadline_s = 60\n" + TWO + copied + OFF_BLE)
    assert check(policy).holds
    trials = {number for number in range(2) if policy.bootloader.has_trials(number)}
    assert trials == ({0} if copied else {0, 1})


def test_an_update_of_each_image_has_to_be_possible() -> None:
    def never_the_second(policy: Policy, state: GateState, event: Event) -> Step:
        first = isinstance(event, on.ArmAsked) and event.pair == 0
        return machine.step(policy, state, event) if first else Step(state=state, refused=RESETTING)

    found = check(PAIRS, gate=faults.where(on.ArmAsked, never_the_second)).violations
    assert [each.rule for each in found] == ["update-completes"]
    assert "cannot install image 1, although it serves uploads" in found[0].text


@pytest.mark.parametrize("name", ["nrf5340", "key-switch"])
def test_an_example_that_ships_holds(name: str) -> None:
    assert check(read_policy(ROOT / "examples" / name / "policy.toml")).holds


def test_the_sound_machine_keeps_its_promises() -> None:
    for policy in {id(policy): policy for _, policy, _ in FAULTS.values()}.values():
        assert check(policy).violations == ()


@pytest.mark.parametrize("what", FAULTS)
def test_a_planted_fault_is_found_by_the_rule_meant_for_it(what: str) -> None:
    rule, _, _ = FAULTS[what]
    every, others = of_a_planted_fault(what)
    assert rule in broken(every)
    assert rule not in broken(others)


class _Spared(faults.Nobody):
    """Asks of each edge the rules that it does not concern."""

    def __init__(self, policy: Policy, gate: GateUnderProof) -> None:
        self.rules = [(rule, rule.prepare(policy, gate)) for rule in SAFETY if not rule.of_worlds]
        self.asked = 0
        self.missed: list[str] = []

    def edge(self, before: int, edge: Edge) -> None:
        del before
        for rule, check_edge in self.rules:
            if not rule.concerns(traits_of(edge)):
                self.asked += 1
                self.missed += [f"{rule.name}: {wrong.text}" for wrong in check_edge(edge)]


@pytest.mark.parametrize("what", ["a door that is none", *list(FAULTS)[1::9]])
def test_an_edge_that_does_not_concern_a_rule_breaks_it_never(what: str) -> None:
    """So leaving the rule out there leaves nothing out; most of these edges concern few rules."""
    _, policy, gate = FAULTS[what]
    spared = _Spared(policy, gate)
    explore(Inputs(policy), gate, spared)
    assert spared.missed == []
    assert spared.asked > 1000


def test_no_rule_is_idle() -> None:
    needed = {intended(path) for path in BROKEN} | {rule for rule, _, _ in FAULTS.values()}
    assert needed == set(RULES)
    assert len(RULES) == len(set(RULES))


@pytest.mark.parametrize("rule", RULES)
def test_without_any_one_rule_something_wrong_is_not_seen(rule: str) -> None:
    """At least one broken policy or planted fault is refuted by this rule and no other."""
    planted = [of_a_planted_fault(what) for what, (name, _, _) in FAULTS.items() if name == rule]
    written = [of_a_broken_policy(path) for path in BROKEN if intended(path) == rule]
    assert any(not broken(others) for _, others in (*planted, *written))


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", Security)
@pytest.mark.parametrize("way", Security)
def test_whoever_enters_can_leave_on_a_link_of_any_security(way: Security, mode: Security) -> None:
    policy = small(
        "",
        ("maintenance = true", f'maintenance = true\nsecurity = "{mode.word}"'),
        ('on = "enter"', f'on = "enter"\nsecurity = "{way.word}"'),
    )
    verdict = check(policy)
    assert broken(verdict) == ({"ask-and-leave"} if way < mode else set())
    for each in verdict.violations:
        assert f'on a link of security "{way.word}"' in each.text
        assert f'Give transitions[0] security = "{mode.word}"' in each.text
        assert trace_json(each.trace)[-1]["security"] == way.word


@pytest.mark.parametrize(("security", "rules"), [("none", {"ask-and-leave"}), ("encrypted", set[str]())])
def test_a_peer_off_bluetooth_is_on_no_secured_link(security: str, rules: set[str]) -> None:
    policy = small(
        '[smp]\ntransports = ["ble", "udp"]\n',
        ("maintenance = true", 'maintenance = true\nsecurity = "encrypted"'),
        ('on = "enter"', f'on = "enter"\nsecurity = "{security}"'),
    )
    assert broken(check(policy)) == rules


# --- on purpose -----------------------------------------------------------------------------------------------------


def modes(*names: str) -> str:
    return "".join(f'[modes.{name}]\nallow = ["mode"]\ntimeout_s = 5\n' for name in names)


def way(source: str, target: str, trigger: str, more: str = "") -> str:
    return f'[[transitions]]\nfrom = ["{source}"]\nto = "{target}"\non = "{trigger}"\n{more}\n'


NO_ACT = {
    "it leaves and enters again by itself": modes("resting")
    + way("maintenance", "resting", "leave")
    + way("resting", "maintenance", "timeout"),
    "a central leaves, and it enters again": modes("resting")
    + way("maintenance", "resting", "leave")
    + way("resting", "maintenance", "disconnect")
    + way("resting", "normal", "timeout"),
    "a button that is for something else": modes("resting")
    + way("normal", "resting", "button", "hold_s = 2")
    + way("resting", "maintenance", "input", 'when = ["motion == false"]')
    + way("resting", "normal", "timeout"),
    "entry into another mode, without a proof": modes("resting")
    + way("normal", "resting", "enter")
    + way("resting", "maintenance", "input", 'when = ["motion == false"]')
    + way("resting", "normal", "timeout"),
    "it comes up there again": way("normal", "maintenance", "reset"),
}


@pytest.mark.parametrize("what", NO_ACT)
def test_what_is_no_act_of_a_person_begins_no_maintenance(what: str) -> None:
    verdict = check(small(NO_ACT[what]))
    assert "maintenance-on-purpose" in broken(verdict)
    found = next(each for each in verdict.violations if each.rule == "maintenance-on-purpose")
    assert "which is not an act of a person" in found.text


def test_neither_idle_time_nor_a_timeout_is_an_end() -> None:
    """One is renewed by anybody's commands; the other is a transition, which guards may shut."""
    timeout = way("maintenance", "normal", "timeout")
    policy = small(timeout, ("lease_s = 60", "idle_s = 60\ntimeout_s = 60"))
    (found,) = check(policy).violations
    assert found.rule == "maintenance-ends"
    assert "Give modes.maintenance a lease_s" in found.text


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("guards", "named"),
    [
        ('"battery > 2147483647"', '"battery > 2147483647"'),
        ('"battery >= 2147483647"', None),
        ('"battery < -2147483648"', '"battery < -2147483648"'),
        ('"battery <= -2147483648"', None),
        ('"battery > 2147483646"', None),
        ('"battery > 5", "battery < 6"', '"battery > 5" and "battery < 6"'),
        ('"battery > 5", "battery < 7"', None),
    ],
)
def test_guards_that_no_number_makes_true_are_named(guards: str, named: str | None) -> None:
    violations = check(small(BUTTON, ('"battery >= 30"', guards))).violations
    assert [each.rule for each in violations] == ["way-taken"] * (named is not None)
    assert all(str(named) in each.text and "no value of battery" in each.text for each in violations)


# --- traces ---------------------------------------------------------------------------------------------------------


def test_a_trace_says_what_happens_to_people_and_to_programs() -> None:
    (violation, _) = check(read_policy(ROOT / "examples/broken/cannot-ask.toml")).violations
    assert trace_words(violation.trace) == [
        "the device comes up → normal",
        "central 1 connects → normal",
        "motion becomes false → normal",
        "central 1 enters maintenance by challenge → maintenance",
    ]
    assert trace_json(violation.trace)[2:] == [
        {"event": "input", "input": "motion", "value": False, "mode": "normal"},
        {
            "event": "enter",
            "peer": 1,
            "transport": "ble",
            "to": "maintenance",
            "proof": "challenge",
            "limited": False,
            "mode": "maintenance",
        },
    ]


def test_a_power_cut_between_two_writes_is_explored() -> None:
    gate = faults.without(do.WriteSessionRecord)
    (violation,) = [each for each in check(SMALL, gate=gate).violations if each.rule == "planned-start"]
    assert [each["event"] for each in trace_json(violation.trace)][-3:] == ["reset", "expired", "boot"]
    swapped = replace(violation.trace[-1], cut=True, failed=True)
    assert "power is cut between its writes to flash" in trace_words((swapped,))[0]
    assert trace_json((swapped,))[0]["slot"] == "holds another image"


TWO_TRAPS = """
[modes.one]
allow = ["mode"]
timeout_s = 1
[modes.two]
allow = ["mode"]
timeout_s = 1
[[transitions]]
from = ["normal"]
to = "one"
on = "input"
when = ["motion == true"]
[[transitions]]
from = ["one"]
to = "two"
on = "timeout"
[[transitions]]
from = ["two"]
to = "one"
on = "timeout"
"""


def test_a_liveness_violation_has_its_loop() -> None:
    one, two = check(small(TWO_TRAPS)).violations
    assert (one.rule, two.rule) == ("way-home", "way-home")
    assert trace_words(one.trace) == ["the device comes up → normal", "motion becomes true → one"]
    assert trace_words(one.loop) == ["time passes: timeout → two", "time passes: timeout → one"]
    assert one.ever == "and then time passes"


def test_what_stays_in_one_mode_is_no_loop() -> None:
    """That somebody connects and goes again says nothing about a trap."""
    (violation,) = check(read_policy(ROOT / "examples/broken/trap.toml")).violations
    assert trace_words(violation.trace) == ["the device comes up → normal", "motion becomes true → fault"]
    assert violation.loop == ()


def test_a_loop_ends_with_the_inputs_as_they_were() -> None:
    """What goes on for ever must be able to begin again."""
    back = 'from = ["two"]\nto = "one"\non = "timeout"'
    there = 'from = ["one"]\nto = "two"\non = "timeout"'
    text = TWO_TRAPS.replace(back, f'{back}\nwhen = ["motion == false"]')
    text = text.replace(there, f'{there}\nwhen = ["motion == true"]')
    first, _ = check(small(text)).violations
    assert [edge.move.name for edge in first.loop] == ["expired", "input", "expired", "input"]
    assert first.loop[-1].after.gate.inputs == first.trace[-1].after.gate.inputs


@pytest.mark.parametrize(
    ("change", "cause", "refused"),
    [
        (
            ('allow = ["os", "image", "mode"]', 'allow = ["os", "image.upload", "image.erase", "mode"]'),
            'mode "maintenance" does not allow image.state:write, which marks the image for the next boot',
            "image.state:write",
        ),
        (
            ('session = "anyone"', 'session = "owner"'),
            (
                "entering by this transition makes nobody the owner), so it refuses image.upload:write, "
                "which sends the image"
            ),
            "image.upload:write",
        ),
        (
            ('security = "none"', 'security = "authenticated"'),
            'mode "maintenance" asks for a link that is authenticated, and no peer that can enter has one',
            "image.upload:write",
        ),
    ],
)
def test_an_update_that_cannot_be_installed_says_what_is_missing(
    change: tuple[str, str], cause: str, refused: str
) -> None:
    policy = pump_with(change, ('transports = ["ble", "udp", "serial"]', 'transports = ["udp"]'))
    found = [each for each in check(policy).violations if each.rule == "update-completes"]
    assert found
    assert all(cause in each.text and each.refused == refused for each in found)
    assert all({edge.move.name for edge in each.trace} <= {"boot", "enter", "button"} for each in found)


def test_a_confirmation_that_nobody_can_give_says_why() -> None:
    gate = faults.where(on.ConfirmAsked, faults.never_confirms)
    (violation,) = [each for each in check(SMALL, gate=gate).violations if each.rule == "update-completes"]
    assert 'each trial in mode "maintenance" reverts, for nobody can confirm it (update.confirm = "operator")' in (
        violation.text
    )


def test_what_the_machine_does_not_do_is_not_told() -> None:
    """A trace that the whole machine does not take ends in an error and no answer."""
    inputs = Inputs(SMALL)
    graph = explore(inputs, GateUnderProof(), faults.Nobody())
    place = next(n for n, world in enumerate(graph.worlds) if world.session is not None)
    deaf = faults.where(on.EnterProved, lambda _policy, state, _event: Step(state=state, refused=RESETTING))
    assert Traces(graph, SMALL, GateUnderProof()).to([Target(place=place)]).steps
    with pytest.raises(ContradictionError, match="the machine does not do what it found"):
        Traces(graph, SMALL, deaf).to([Target(place=place)])
    assert ContradictionError.exit_code is Exit.UNKNOWN


def test_the_meter_ends_an_exploration() -> None:
    seen: list[ExploreProgress] = []

    def meter(progress: ExploreProgress) -> str | None:
        seen.append(progress)
        return "enough" if progress.explored else None

    verdict = check(pump(), meter=meter)
    assert verdict.stopped == "enough"
    assert not verdict.complete
    assert (verdict.explored, verdict.states) == (seen[-1].explored, seen[-1].found)
    assert verdict.edges == seen[-1].moves > 0
