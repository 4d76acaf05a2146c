"""Several image pairs: armed each for itself, started together, on trial until each is confirmed."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gate.drive import IMAGE, OTHER, Gate, ble
from tests.policy.samples import small

from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate import record
from keyswitch.gate.events import Timer
from keyswitch.gate.record import SessionRecord
from keyswitch.gate.state import Arming, PairImages
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.model import Policy

BOTH = frozenset({0, 1})
STARTED: PairImages = ((0, IMAGE), (1, OTHER))
IMAGES = "[[bootloader.images]]\nslot_size = 131072\n[[bootloader.images]]\nslot_size = 65536\n"


def two(update: str = "") -> Policy:
    return small(f"[update]\n{update}\n{IMAGES}")


def entered(policy: Policy) -> Gate:
    gate = Gate(policy)
    gate.happens(on.Connected(peer=1), on.EnterProved(peer=ble(), to="maintenance", proof=ProofKind.CHALLENGE))
    return gate


def arm(pair: int, *, permanent: bool = False) -> on.ArmAsked:
    return on.ArmAsked(peer=ble(), image=STARTED[pair][1], permanent=permanent, pair=pair)


def armed(policy: Policy, *pairs: int) -> Gate:
    gate = entered(policy)
    gate.happens(*(arm(pair) for pair in pairs))
    return gate


def on_trial(policy: Policy | None = None) -> Gate:
    gate = armed(policy or two("trial_deadline_s = 90"), 0, 1)
    kept = record.make(gate.policy, gate.state, expected=STARTED, token=b"", lease_ms=9_000, lease_max_ms=None)
    return Gate(gate.policy, on.Booted(record=kept, running=(IMAGE, OTHER), on_trial=BOTH))


def test_of_an_image_that_is_copied_it_counts_that_the_bootloader_has_taken_it() -> None:
    gate = armed(small(f"{IMAGES}copied = true\n"), 0, 1)
    kept = record.make(gate.policy, gate.state, expected=STARTED, token=b"", lease_ms=9_000, lease_max_ms=None)
    for runs, waiting, goes_on in (
        (b"", (), True),
        (IMAGE, (), True),  # whatever somebody says of it
        (b"", ((1, IMAGE),), True),  # another one that lies there
        (b"", ((1, OTHER),), False),
        (OTHER, ((1, OTHER),), False),
    ):
        event = on.Booted(record=kept, running=(IMAGE, runs), waiting=waiting, on_trial=frozenset({0}))
        assert (Gate(gate.policy, event).state.session is not None) is goes_on, (runs, waiting)
    for runs in (b"", OTHER):
        event = on.Booted(record=kept, running=(b"", runs), on_trial=frozenset({0}))
        assert Gate(gate.policy, event).state.down  # the application can be read: it has to be


# --- arming ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_all_that_is_armed_starts_at_one_reset_the_record_first(order: tuple[int, int]) -> None:
    gate = armed(two(), *order)
    gate.happens(on.ResetAsked(peer=ble()), on.Expired(timer=Timer.RESET))
    assert gate.last.effects[:3] == (
        do.WriteSessionRecord(expected=STARTED),
        do.WriteTrailer(image=IMAGE, permanent=False, pair=0),
        do.WriteTrailer(image=OTHER, permanent=False, pair=1),
    )
    assert gate.last.effects[-1] == do.ResetNow()


def test_one_pair_alone_is_started_as_it_always_was() -> None:
    gate = armed(two(), 1)
    gate.happens(on.ResetAsked(peer=ble()), on.Expired(timer=Timer.RESET))
    assert gate.last.effects[:2] == (
        do.WriteSessionRecord(expected=((1, OTHER),)),
        do.WriteTrailer(image=OTHER, permanent=False, pair=1),
    )


@pytest.mark.parametrize("first", [0, 1])
def test_one_after_the_other_where_the_policy_says_so(first: int) -> None:
    gate = armed(two("simultaneous = false"), first)
    refused = gate.happens(arm(1 - first)).refused
    assert refused is not None
    assert refused.text == "busy: an image of another number is pending"
    assert [each.pair for each in gate.state.armed] == [first]
    assert gate.happens(arm(first)).refused is None


def test_another_image_of_the_same_pair_has_to_wait_and_one_of_another_pair_has_not() -> None:
    gate = armed(two(), 0)
    assert gate.happens(on.ArmAsked(peer=ble(), image=OTHER, permanent=False)).refused is not None
    assert gate.happens(arm(0, permanent=True)).refused is not None
    assert gate.happens(arm(1, permanent=True)).refused is None
    assert gate.state.armed == (
        Arming(image=IMAGE, permanent=False, written=False),
        Arming(image=OTHER, permanent=True, written=False, pair=1),
    )


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("pair", [0, 1])
def test_an_upload_takes_back_what_its_own_slot_held(pair: int, early: bool) -> None:
    gate = armed(two('arm = "early"' if early else ""), 0, 1)
    gate.happens(on.UploadStarted(peer=ble(), pair=pair))
    assert gate.asked_for(do.Disarm) == ([do.Disarm(pair=pair)] if early else [])
    assert [each.pair for each in gate.state.armed] == [1 - pair]


def test_a_permit_limits_the_images_of_every_pair() -> None:
    policy = small(
        IMAGES,
        ("[entry.challenge]", '[entry.permit]\nissuers = ["a.pem"]\n[entry.challenge]'),
        ('"challenge"]', '"permit"]'),
    )
    gate = Gate(policy)
    limit = frozenset({IMAGE})
    gate.happens(
        on.Connected(peer=1),
        on.EnterProved(peer=ble(), to="maintenance", proof=ProofKind.PERMIT, images=limit),
    )
    assert gate.happens(arm(1)).refused is not None
    assert gate.happens(on.ArmAsked(peer=ble(), image=IMAGE, permanent=False, pair=1)).refused is None


@pytest.mark.parametrize("failed", [0, 1])
def test_where_one_slot_is_not_what_was_armed_nothing_is_started(failed: int) -> None:
    """What was written beside it is taken back before the record goes: no image is armed without its session."""
    gate = armed(two(), 0, 1)
    gate.happens(on.ResetAsked(peer=ble()), on.Expired(timer=Timer.RESET), on.ArmFailed(pair=failed))
    assert gate.last.effects[:2] == (do.Disarm(pair=1 - failed), do.ClearSessionRecord())
    assert (gate.state.armed, gate.state.down) == ((), False)
    assert gate.state.session is not None


def test_leaving_takes_back_every_trailer() -> None:
    gate = armed(two('arm = "early"'), 0, 1)
    gate.happens(on.LeaveAsked(peer=ble()))
    assert gate.asked_for(do.Disarm) == [do.Disarm(pair=0), do.Disarm(pair=1)]
    assert gate.state.armed == ()


# --- the trial ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_trial_lasts_until_each_is_confirmed(order: tuple[int, int]) -> None:
    gate = on_trial()
    first, second = order
    gate.happens(on.ConfirmAsked(peer=ble(), pair=first))
    assert gate.last.effects == (do.ConfirmImage(pair=first),)
    assert (gate.state.trial, gate.state.on_trial) == (True, frozenset({second}))
    gate.happens(on.ConfirmAsked(peer=ble(), pair=first))
    assert gate.last.effects == ()
    gate.happens(on.ConfirmAsked(peer=ble(), pair=second))
    assert gate.last.effects == (do.ConfirmImage(pair=second), do.StopTimer(timer=Timer.TRIAL))
    assert not gate.state.trial


def test_the_application_confirms_all_that_it_runs_with() -> None:
    gate = on_trial(two('confirm = "self"'))
    gate.happens(on.SelfConfirmed())
    confirmed = (do.ConfirmImage(pair=0), do.ConfirmImage(pair=1))
    assert gate.last.effects == (*confirmed, do.StopTimer(timer=Timer.TRIAL))
    assert not gate.state.trial


ENDS = (on.LeaveAsked(peer=ble()), on.Expired(timer=Timer.LEASE), on.Expired(timer=Timer.TRIAL))


@pytest.mark.parametrize("end", ENDS, ids=["leave", "lease", "deadline"])
@pytest.mark.parametrize("confirmed", [None, 0, 1])
def test_what_nobody_confirmed_goes_back_before_maintenance_ends(end: on.Event, confirmed: int | None) -> None:
    gate = on_trial()
    if confirmed is not None:
        gate.happens(on.ConfirmAsked(peer=ble(), pair=confirmed))
    gate.happens(end)
    assert gate.last.effects[-2:] == (do.WriteSessionRecord(expected=()), do.ResetNow())
    assert gate.state.down


@pytest.mark.parametrize("left", [frozenset({0}), frozenset({1})])
def test_nothing_is_uploaded_or_armed_while_one_is_on_trial(left: frozenset[int]) -> None:
    gate = on_trial()
    (confirmed,) = BOTH - left
    gate.happens(on.ConfirmAsked(peer=ble(), pair=confirmed))
    for pair in BOTH:
        assert gate.happens(on.UploadStarted(peer=ble(), pair=pair)).refused is not None
        assert gate.happens(arm(pair)).refused is not None


def test_the_first_gated_images_are_on_trial_until_each_is_confirmed() -> None:
    gate = Gate(two("trial_deadline_s = 90"), on.Booted(running=(IMAGE, OTHER), on_trial=BOTH, blank=True))
    assert gate.state.first_trial
    gate.happens(on.ConfirmAsked(peer=ble(), pair=1))
    assert gate.state.first_trial
    gate.happens(on.ConfirmAsked(peer=ble(), pair=0))
    assert (gate.state.first_trial, gate.state.trial) == (False, False)


# --- across the reset -----------------------------------------------------------------------------------------------

WORDS = ("not named", "as named", "another")
SUBSETS = (frozenset[int](), frozenset({0}), frozenset({1}), BOTH)


@pytest.mark.parametrize("own", [True, False])
def test_a_session_goes_on_where_every_image_that_it_names_runs_and_nothing_else_is_on_trial(own: bool) -> None:
    policy = two()
    for words, trial in product(product(WORDS, WORDS), SUBSETS):
        expected = tuple((pair, STARTED[pair][1]) for pair, word in enumerate(words) if word != "not named")
        running = tuple(b"\x33" * 32 if word == "another" else STARTED[pair][1] for pair, word in enumerate(words))
        kept = SessionRecord(
            policy=policy.digest if own else b"\x77" * 32,
            mode="maintenance",
            proof=ProofKind.CHALLENGE,
            expected=expected,
            lease_ms=9_000,
        )
        gate = Gate(policy, on.Booted(record=kept, running=running, on_trial=trial))
        named = {pair for pair, _ in expected}
        fits = "another" not in words and trial <= named if expected else own and not trial
        assert (gate.state.session is not None) is fits, (words, trial)
        assert gate.state.down is (not fits and bool(trial))


def test_a_record_of_two_pairs_is_worth_nothing_where_one_of_them_is_not_there() -> None:
    kept = SessionRecord(policy=b"\x77" * 32, mode="maintenance", proof=None, expected=STARTED)
    assert Gate(small(), on.Booted(record=kept, running=(IMAGE,))).state.session is None


# --- beside a device of one image -----------------------------------------------------------------------------------

HASH = st.sampled_from((IMAGE, OTHER))
PEER = st.sampled_from((ble(1), ble(2)))
EVENTS = st.one_of(
    st.builds(on.Connected, peer=st.sampled_from((1, 2))),
    st.builds(on.Disconnected, peer=st.sampled_from((1, 2))),
    st.builds(on.EnterProved, peer=PEER, to=st.just("maintenance"), proof=st.just(ProofKind.CHALLENGE)),
    st.builds(on.LeaveAsked, peer=PEER),
    st.builds(on.InputChanged, name=st.just("motion"), value=st.booleans()),
    st.builds(on.Expired, timer=st.sampled_from(Timer)),
    st.builds(on.UploadStarted, peer=PEER),
    st.builds(on.UploadEnded),
    st.builds(on.ArmAsked, peer=PEER, image=HASH, permanent=st.booleans()),
    st.builds(on.ArmFailed),
    st.builds(on.ResetAsked, peer=PEER),
    st.builds(on.ConfirmAsked, peer=PEER),
    st.builds(on.SelfConfirmed),
    st.builds(on.Booted, running=st.just((IMAGE,)), on_trial=st.sampled_from((frozenset[int](), frozenset({0})))),
)


@given(
    st.lists(EVENTS, max_size=30), st.sampled_from(("", 'arm = "early"', "trial_deadline_s = 90", 'confirm = "either"'))
)
def test_a_device_of_two_of_which_one_alone_is_updated_does_what_a_device_of_one_does(
    events: list[on.Event], update: str
) -> None:
    one, both = Gate(small(f"[update]\n{update}\n")), Gate(two(update))
    for event in events:
        assert both.happens(event) == one.happens(event)
