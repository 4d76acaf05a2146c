"""A session that goes on under another revision of the policy: what it may take with it, and what it may not."""

from dataclasses import replace

import pytest
from tests.gate.drive import IMAGE, NONE, ONE, OTHER, Gate, ble
from tests.policy.samples import pump, small

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.events import Timer
from keyswitch.gate.guards import binding
from keyswitch.gate.record import SessionRecord, entry_of, make
from keyswitch.policy.enums import ProofKind, WhenFalse
from keyswitch.policy.model import OnLeave, OnReset, Policy, Transition
from keyswitch.reasons import Reason
from keyswitch.terms import Security

FOREIGN = b"another revision, 32 bytes long."


def kept(proof: ProofKind | None = ProofKind.CHALLENGE, **what: object) -> SessionRecord:
    fields: dict[str, object] = {"policy": FOREIGN, "mode": "maintenance", "proof": proof, "expected": ((0, IMAGE),)}
    return SessionRecord(**{**fields, **what})


def come_up(policy: Policy, record: SessionRecord, *, trial: bool = True, **inputs: bool | int) -> Gate:
    return Gate(
        policy,
        on.Booted(record=record, running=(IMAGE,), on_trial=ONE if trial else NONE, inputs=tuple(inputs.items())),
    )


def test_the_session_goes_on_where_the_expected_image_runs() -> None:
    gate = come_up(pump(), kept(images=frozenset({IMAGE, OTHER})))
    assert gate.state.mode == "maintenance"
    assert gate.state.trial
    assert gate.session.images == {IMAGE, OTHER}
    assert gate.session.proof is ProofKind.CHALLENGE
    assert gate.session.owner is None
    gate.happens(on.ConfirmAsked(peer=ble()))
    assert gate.asked_for(do.ConfirmImage)


def test_a_hash_of_64_bytes_is_as_good() -> None:
    long = b"\x33" * 64
    gate = Gate(pump(), on.Booted(record=kept(expected=((0, long),)), running=(long,), on_trial=ONE))
    assert gate.state.mode == "maintenance"


def test_what_is_written_next_is_a_record_of_the_new_policy() -> None:
    gate = come_up(pump(), kept())
    written = make(gate.policy, gate.state, expected=((0, OTHER),), token=b"", lease_ms=1, lease_max_ms=1)
    assert (written.policy, written.expected) == (pump().digest, ((0, OTHER),))


LIMITS = {
    # what the record says: what runs afterwards. The pump: lease 900 s, extended to 3600 s, idle 120 s, trial 120 s.
    "shorter": (
        {"lease_ms": 5, "lease_max_ms": 7, "idle_ms": 3, "trial_ms": 2},
        {"lease": 5, "lease_max": 7, "idle": 3, "trial": 2},
    ),
    "longer": (
        {"lease_ms": 10**9, "lease_max_ms": 10**9, "idle_ms": 10**9, "trial_ms": 10**9},
        {"lease": 900_000, "lease_max": 3_600_000, "idle": 120_000, "trial": 120_000},
    ),
    "none": ({}, {"lease": 900_000, "lease_max": 3_600_000, "idle": 120_000, "trial": 120_000}),
    "a time limit that the mode has not": (
        {"timeout_ms": 4},
        {"lease": 4, "lease_max": 3_600_000, "idle": 120_000, "trial": 120_000},
    ),
}


@pytest.mark.parametrize("what", LIMITS)
def test_each_limit_is_the_smaller_one(what: str) -> None:
    said, runs = LIMITS[what]
    assert come_up(pump(), kept(**said)).timers() == runs


def test_limits_that_the_new_policy_has_not_remain() -> None:
    bare = small("", ("lease_s = 60", ""))
    gate = come_up(bare, kept(lease_ms=50, idle_ms=30, trial_ms=20), motion=False)
    assert gate.timers() == {"lease": 50, "idle": 30, "trial": 20}
    gate.happens(on.CommandServed(peer=ble()))
    assert gate.timers() == {"idle": 30}
    assert come_up(bare, kept(timeout_ms=40), motion=False).timers() == {"lease": 40}
    for timer in (Timer.LEASE, Timer.IDLE):
        left = come_up(bare, kept(lease_ms=50, idle_ms=30), trial=False, motion=False)
        left.happens(on.Expired(timer=timer))
        assert left.state.mode == "normal"
        assert do.StopTimer(timer=Timer.LEASE) in left.last.effects
        assert do.StopTimer(timer=Timer.IDLE) in left.last.effects


def test_the_shorter_idle_limit_lasts_as_long_as_the_session() -> None:
    gate = come_up(pump(), kept(idle_ms=3))
    gate.happens(on.CommandServed(peer=ble()))
    assert gate.timers() == {"idle": 3}
    written = make(gate.policy, gate.state, expected=((0, IMAGE),), token=b"", lease_ms=1, lease_max_ms=1)
    assert written.idle_ms == 3


def test_a_lease_that_was_not_extended_is_not_extended_under_another_policy() -> None:
    whole = small()  # lease_s = 60 and no lease_max_s
    gate = Gate(whole)
    gate.happens(on.EnterProved(peer=ble(), to="maintenance", proof=ProofKind.CHALLENGE))
    written = make(whole, gate.state, expected=((0, IMAGE),), token=b"", lease_ms=9, lease_max_ms=None)
    assert written.lease_max_ms == 9
    assert come_up(pump(), written).timers()["lease_max"] == 9


# --- what binds it --------------------------------------------------------------------------------------------------

SEVERAL = """
    [entry.sequence]
    [[transitions]]
    from = ["normal"]
    to = "maintenance"
    on = "enter"
    proofs = ["challenge"]
    security = "encrypted"
    when = ["docked == true"]
    when_false = "hold"
    [[transitions]]
    from = ["normal"]
    to = "maintenance"
    on = "button"
    hold_s = 5
    when = ["battery >= 50"]
    """
DOCK = (
    'battery = { type = "int", initial = 80 }',
    'battery = { type = "int", initial = 80 }\ndocked = { type = "bool" }',
)


def several() -> Policy:
    return small(SEVERAL, DOCK)


def test_where_the_way_is_not_known_all_that_the_proof_could_have_taken_bind() -> None:
    policy = several()
    gate = come_up(policy, kept(), trial=False, docked=True)
    assert gate.session.way is None
    bound = binding(policy, "maintenance", gate.session)
    assert {guard.text for guard in bound.guards} == {"motion == false", "battery >= 30", "docked == true"}
    assert bound.when_false is WhenFalse.LEAVE
    assert bound.security is Security.ENCRYPTED
    gate.happens(on.AttachProved(peer=ble(2)))
    assert gate.last.refused is not None
    assert gate.last.refused.reason is Reason.SECURITY
    gate.happens(on.InputChanged(name="docked", value=False))
    assert gate.state.mode == "normal"


def test_guards_over_safety_inputs_bind_whatever_the_proof_was() -> None:
    policy = several()
    gate = come_up(policy, kept(ProofKind.BUTTON), trial=False)
    bound = binding(policy, "maintenance", gate.session)
    assert {guard.text for guard in bound.guards} == {"battery >= 50", "motion == false"}
    gate.happens(on.InputChanged(name="motion", value=True))
    assert gate.state.mode == "normal"


def test_a_proof_that_opens_nothing_any_more_is_bound_by_every_way_in() -> None:
    policy = several()
    texts = {"motion == false", "battery >= 30", "docked == true", "battery >= 50"}
    for proof in (ProofKind.PERMIT, None):
        gate = come_up(policy, kept(proof), docked=True)
        assert {guard.text for guard in binding(policy, "maintenance", gate.session).guards} == texts


def test_one_way_that_asks_for_all_of_it_stands_for_it() -> None:
    gate = come_up(pump(), kept())
    assert gate.session.way is not None
    way = gate.policy.transitions[gate.session.way]
    assert way.target == "maintenance"
    assert {guard.text for guard in way.when} == {"motion == false", "battery_percent >= 30"}


@pytest.mark.parametrize("trial", [True, False])
def test_a_guard_of_the_new_policy_that_does_not_hold_ends_it(trial: bool) -> None:
    gate = come_up(several(), kept(), trial=trial, docked=False)
    if trial:
        assert gate.last.effects[-2:] == (do.WriteSessionRecord(expected=()), do.ResetNow())
        assert gate.session.ending
    else:
        assert gate.state.mode == "normal"


def test_under_its_own_policy_the_way_is_found_wherever_it_stands() -> None:
    policy = several()
    for way in policy.transitions:
        proof = ProofKind.BUTTON if way.index == 2 else ProofKind.CHALLENGE
        record = kept(proof, policy=policy.digest, entry=entry_of(way), lease_ms=9)
        gate = come_up(policy, record, trial=False, docked=True)
        assert gate.session.way == way.index
        assert make(policy, gate.state, expected=(), token=b"", lease_ms=1, lease_max_ms=1).entry == entry_of(way)
    wrong = kept(ProofKind.BUTTON, policy=policy.digest, entry=entry_of(policy.transitions[0]), lease_ms=9)
    assert come_up(policy, wrong, trial=False, docked=True).state.session is None  # no way of its own policy's


def test_ways_that_differ_have_names_that_differ() -> None:
    for policy in (pump(), several()):
        names = [entry_of(way) for way in policy.transitions]
        assert len(set(names)) == len(names)


# --- where it does not go on ----------------------------------------------------------------------------------------

TWO = """
    [modes.service]
    maintenance = true
    allow = ["image", "mode"]
    lease_s = 60
    """


@pytest.mark.parametrize(
    ("policy", "record"),
    {
        "the mode is gone": (pump(), kept(mode="service")),
        "nothing leads into the mode": (small(TWO), kept(mode="service")),
        "another image runs": (pump(), kept(expected=((0, OTHER),))),
        "no image is expected": (pump(), kept(expected=())),
        "it was ending": (pump(), kept(ending=True)),
    }.values(),
    ids=["the mode is gone", "nothing leads into the mode", "another image runs", "none is expected", "ending"],
)
def test_else_the_trial_reverts(policy: Policy, record: SessionRecord) -> None:
    gate = come_up(policy, record)
    assert gate.last.effects == (do.ResetNow(),)
    assert gate.state.session is None
    confirmed = come_up(policy, record, trial=False)
    assert (confirmed.state.mode, confirmed.state.session) == ("normal", None)


def _leading_on(policy: Policy) -> Policy:
    """The policy with ways from maintenance into service: the machine refuses them, whatever the loader does."""
    more = tuple(
        Transition(index=place, sources=("maintenance",), target="service", trigger=trigger)
        for place, trigger in enumerate((OnLeave(), OnReset()), start=len(policy.transitions))
    )
    return replace(policy, transitions=(*policy.transitions, *more))


def test_a_session_never_goes_on_as_one_of_another_mode() -> None:
    policy = _leading_on(small(TWO))
    ending = kept(policy=policy.digest, expected=(), ending=True)
    gate = Gate(policy, on.Booted(record=ending, running=(IMAGE,)))
    assert (gate.state.mode, gate.state.session, gate.last.ways) == ("normal", None, ())
    gate = Gate(policy, on.Booted(mode_before="maintenance", running=(IMAGE,)))
    assert (gate.state.mode, gate.state.session, gate.last.ways) == ("normal", None, ())
