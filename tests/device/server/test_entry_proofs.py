"""Entry by sequence and by permit, over the whole path; the challenge has its tests beside the gate's."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.device.server_rig import Rig, image_hash, make_image, pump

from keyswitch.device.server.entry_proofs import OWNER_SILENT_MS
from keyswitch.gate.events import ButtonHeld
from keyswitch.policy.enums import Clock, ProofKind, SessionRule
from keyswitch.policy.model import OnEnter, PermitEntry, Policy, SequenceEntry
from keyswitch.proof import permit
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.proof.permit import Permit
from keyswitch.smp.groups import mode
from keyswitch.terms import Transport

MODE = mode.ID
ISSUER, HOLDER, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
NEW = make_image("1.1.0")
NOW_S = 1_800_000_000


def policy_with(*proofs: ProofKind, clock: Clock = Clock.NONE, owner: bool = False) -> Policy:
    policy = pump()
    ways = tuple(
        replace(way, trigger=OnEnter(proofs=proofs)) if isinstance(way.trigger, OnEnter) else way
        for way in policy.transitions
    )
    entry = replace(policy.entry, sequence=SequenceEntry(), permit=PermitEntry(issuers=(), clock=clock))
    rule = SessionRule.OWNER if owner else SessionRule.ANYONE
    modes = {**policy.modes, "maintenance": replace(policy.modes["maintenance"], session=rule)}
    return replace(policy, transitions=ways, entry=entry, modes=modes)


def raw_private(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes_raw()


def make_permit(**changes: object) -> bytes:
    said = Permit(
        id=bytes(16),
        issuer="service",
        devices=("Pump 7",),
        mode="maintenance",
        holder=HOLDER.public_key().public_bytes_raw(),
        uses=1,
        expires_s=NOW_S + 60,
    )
    return permit.issue(replace(said, **changes), raw_private(ISSUER))


def permit_rig(clock: Clock = Clock.NONE, *, owner: bool = False) -> Rig:
    policy = policy_with(ProofKind.PERMIT, clock=clock, owner=owner)
    return Rig(policy, issuers=(ISSUER.public_key().public_bytes_raw(),), clock_s=lambda: NOW_S)


def show(rig: Rig, peer: int, data: bytes, *, holder=HOLDER, purpose=Purpose.ENTER, command: int = 2):
    asked = rig.read(peer, MODE, 1, {"to": "maintenance"})
    session = rig.server.core.token if purpose is Purpose.ATTACH else b""
    answered = Challenge(
        nonce=asked["nonce"], device=asked["device"], mode="maintenance", purpose=purpose, session=session
    )
    sig = permit.sign(raw_private(holder), answered, data)
    return rig.write(peer, MODE, command, {"to": "maintenance", "proof": "permit", "permit": data, "sig": sig})


# --- sequence ---


def step(rig: Rig, peer: int, number: int, command: int = 2):
    return rig.write(peer, MODE, command, {"to": "maintenance", "proof": "sequence", "step": number})


def test_sequence_in_order():
    rig = Rig(policy_with(ProofKind.SEQUENCE))
    peer = rig.peer()
    assert rig.read(peer, MODE, 1, {"to": "maintenance"})["proofs"] == ["sequence"]
    assert step(rig, peer, 1) == {"left": 2}
    assert step(rig, peer, 1) == {"left": 2}
    assert step(rig, peer, 2) == {"left": 1}
    assert step(rig, peer, 2) == {"left": 1}, "its answer was lost"
    entered = step(rig, peer, 3)
    assert entered["lease_ms"] == 900_000
    assert step(rig, peer, 3) == entered


@pytest.mark.parametrize("steps", [(2,), (3,), (0,), (-1,), (1, 3), (1, 2, 4), (1, 2, 1, 3), ("1",), (True,)], ids=str)
def test_sequence_out_of_order(steps):
    rig = Rig(policy_with(ProofKind.SEQUENCE))
    peer = rig.peer()
    answers = [step(rig, peer, number) for number in steps]
    assert answers[-1] == {"rc": 11, "rsn": "proof"}
    assert rig.mode == "normal"


@pytest.mark.parametrize(("ms", "opens"), [(9_999, True), (10_000, False)])
def test_sequence_has_a_window(ms: int, opens):
    rig = Rig(policy_with(ProofKind.SEQUENCE))
    peer = rig.peer()
    step(rig, peer, 1)
    step(rig, peer, 2)
    rig.wait(ms)
    assert ("session" in step(rig, peer, 3)) is opens


def test_sequence_steps_of_two_peers_do_not_add_up():
    rig = Rig(policy_with(ProofKind.SEQUENCE))
    peer, other = rig.peer(), rig.peer()
    step(rig, peer, 1)
    assert step(rig, other, 2)["rc"] == 11
    rig.gone(peer)
    assert rig.server.core.sequences == {}


def test_sequence_attaches():
    rig = Rig(policy_with(ProofKind.SEQUENCE, owner=True))
    peer = rig.peer()
    for number in (1, 2, 3):
        step(rig, peer, number)
    rig.gone(peer)
    back = rig.peer()
    assert rig.write(back, 1, 5, {}) == {"rc": 11, "rsn": "owner"}
    assert [step(rig, back, number, 3) for number in (1, 2, 3)] == [{"left": 2}, {"left": 1}, {"lease_ms": 900_000}]
    assert rig.write(back, 1, 5, {}) == {}


def test_memory_of_steps_is_bounded_by_what_exists():
    rig = Rig(policy_with(ProofKind.SEQUENCE))
    peer = rig.peer()
    for number in range(50):
        rig.write(peer, MODE, 2, {"to": f"mode {number}", "proof": "sequence", "step": 1})
    assert rig.server.core.sequences == {}


# --- permit ---

NO_PERMITS = [(None, b""), (b"", b""), ("text", b""), (b"x", None), (b"x" * 2000, b"")]


def test_permit_opens_and_limits_what_may_be_installed():
    rig = permit_rig()
    peer = rig.peer()
    entered = show(rig, peer, make_permit(images=frozenset({image_hash(NEW)})))
    assert entered["lease_ms"] == 900_000
    other = make_image("1.2.0")
    rig.upload(peer, other)
    assert rig.test(peer, other) == {"rc": 11, "rsn": "image: not in the permit"}
    rig.upload(peer, NEW)
    assert rig.test(peer, NEW)["images"][1]["pending"]
    rig.reset(peer)
    assert rig.report.images[0].running_hash == image_hash(NEW)


@pytest.mark.parametrize(
    ("changes", "holder"),
    [
        ({"devices": ("Pump 8",)}, HOLDER),
        ({"mode": "pairing"}, HOLDER),
        ({}, STRANGER),
        ({"holder": STRANGER.public_key().public_bytes_raw()}, HOLDER),
        ({"uses": None}, HOLDER),
    ],
    ids=["another device", "another mode", "read off the air", "another's", "without uses"],
)
def test_permit_of_another(changes, holder):
    rig = permit_rig()
    assert show(rig, rig.peer(), make_permit(**changes), holder=holder) == {"rc": 11, "rsn": "proof"}
    assert rig.mode == "normal"


@pytest.mark.parametrize(
    ("permit_bytes", "sig"), [(None, b""), (b"", b""), ("text", b""), (b"x", None), (b"x" * 2000, b"")]
)
def test_permit_that_is_none(permit_bytes, sig):
    rig = permit_rig()
    peer = rig.peer()
    rig.read(peer, MODE, 1, {"to": "maintenance"})
    body = {"to": "maintenance", "proof": "permit", "permit": permit_bytes, "sig": sig}
    assert rig.write(peer, MODE, 2, body) == {"rc": 11, "rsn": "proof"}


def test_permit_uses_are_counted_only_when_it_opens_and_survive_a_reset():
    rig = permit_rig()
    once = make_permit()
    rig.input("motion", value=True)
    assert show(rig, rig.peer(), once)["rsn"] == "guard: motion == false, is true"
    rig.input("motion", value=False)
    assert "counters.json" not in rig.store.documents
    peer = rig.peer()
    assert "session" in show(rig, peer, once)
    assert rig.store.documents["counters.json"] == {"permits": {"00" * 16: 1}}
    rig.write(peer, MODE, 5)
    rig.power_up()
    assert show(rig, rig.peer(), once) == {"rc": 11, "rsn": "expired: used up"}


@pytest.mark.parametrize("damaged", [{"permits": {"zz": 1}}, {"permits": 5}, {"permits": {"00": "x"}}])
def test_damaged_counts_accept_no_permit(damaged):
    rig = permit_rig()
    rig.store.documents["counters.json"] = damaged
    rig.power_up()
    assert show(rig, rig.peer(), make_permit())["rsn"] == "proof"


@pytest.mark.parametrize(("expires_s", "answer"), [(NOW_S + 1, None), (NOW_S, "expired"), (NOW_S - 1, "expired")])
def test_permit_by_a_trusted_clock(expires_s: int, answer):
    rig = permit_rig(Clock.TRUSTED)
    for _ in range(4):
        peer = rig.peer()
        assert show(rig, peer, make_permit(expires_s=expires_s)).get("rsn") == answer
        rig.write(peer, MODE, 5)
    assert "counters.json" not in rig.store.documents, "nothing is counted, and an expired permit is no guess"


def test_a_trusted_clock_that_is_not_there():
    policy = policy_with(ProofKind.PERMIT, clock=Clock.TRUSTED)
    rig = Rig(policy, issuers=(ISSUER.public_key().public_bytes_raw(),), clock_s=None)
    assert show(rig, rig.peer(), make_permit())["rsn"] == "proof"


def test_a_clock_set_over_smp_extends_no_permit():
    rig = permit_rig(Clock.TRUSTED)
    peer = rig.peer()
    show(rig, peer, make_permit())
    assert rig.write(peer, 0, 4, {"datetime": "2000-01-01T00:00:00"}) == {}
    rig.write(peer, MODE, 5)
    assert show(rig, peer, make_permit(expires_s=NOW_S)) == {"rc": 11, "rsn": "expired"}


def test_permit_attaches_with_its_own_limit_and_no_use():
    rig = permit_rig(owner=True)
    limited = make_permit(images=frozenset({image_hash(NEW)}))
    peer = rig.peer()
    show(rig, peer, limited)
    rig.gone(peer)
    back = rig.peer()
    assert show(rig, back, make_permit(), purpose=Purpose.ATTACH, command=3)["rsn"] == "proof", "another limit"
    assert show(rig, back, limited, purpose=Purpose.ATTACH, command=3) == {"lease_ms": 900_000}


OTHERS = STRANGER.public_key().public_bytes_raw()


@pytest.mark.parametrize("across_a_reset", [False, True])
@pytest.mark.parametrize("owner", [False, True])
@pytest.mark.parametrize("clock", [Clock.NONE, Clock.TRUSTED])
def test_another_holders_permit_attaches_to_no_session(clock: Clock, owner, across_a_reset):
    """It is as good as the session's own in all else, and is asked for no use."""
    rig = permit_rig(clock, owner=owner)
    peer = rig.peer()
    show(rig, peer, make_permit(uses=2))
    if across_a_reset:
        rig.upload(peer, NEW)
        rig.test(peer, NEW)
        rig.reset(peer)
    else:
        rig.gone(peer)
    theirs = make_permit(id=bytes([1]) * 16, holder=OTHERS)
    back = rig.peer()
    refused = show(rig, back, theirs, holder=STRANGER, purpose=Purpose.ATTACH, command=3)
    assert refused == {"rc": 11, "rsn": "proof"}
    assert rig.server.core.state.session.owner is None
    assert "lease_ms" in show(rig, back, make_permit(), purpose=Purpose.ATTACH, command=3)


def test_the_same_holder_attaches_with_another_of_its_permits():
    rig = permit_rig(owner=True)
    peer = rig.peer()
    show(rig, peer, make_permit())
    rig.gone(peer)
    another = make_permit(id=bytes([7]) * 16)
    assert "lease_ms" in show(rig, rig.peer(), another, purpose=Purpose.ATTACH, command=3)


def test_who_enters_a_running_session_by_its_own_permit_pays_a_use_and_has_it_then():
    rig = permit_rig(owner=True)
    peer = rig.peer()
    show(rig, peer, make_permit())
    rig.gone(peer)
    theirs = make_permit(id=bytes([1]) * 16, holder=OTHERS)
    assert "session" in show(rig, rig.peer(), theirs, holder=STRANGER)
    assert rig.store.documents["counters.json"]["permits"] == {"00" * 16: 1, "01" * 16: 1}
    assert show(rig, rig.peer(), make_permit(), purpose=Purpose.ATTACH, command=3)["rsn"] == "proof"


@pytest.mark.parametrize("stored", [None, "zz", 5, "00" * 32])
def test_a_session_whose_holder_is_not_known_any_more_takes_no_permit(stored):
    rig = permit_rig()
    peer = rig.peer()
    show(rig, peer, make_permit())
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.write(peer, 0, 5)
    rig.now_ms += 250
    rig.server.due(rig.now_ms)
    document = rig.store.documents["session.json"]
    assert document.pop("holder") == HOLDER.public_key().public_bytes_raw().hex()
    if stored is not None:
        document["holder"] = stored
    rig.power_up()
    assert rig.mode == "maintenance"
    assert show(rig, rig.peer(), make_permit(), purpose=Purpose.ATTACH, command=3)["rsn"] == "proof"


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.SERIAL])
@pytest.mark.parametrize("command", [2, 3], ids=["enter", "attach"])
@pytest.mark.parametrize("silent_ms", [0, OWNER_SILENT_MS - 1, OWNER_SILENT_MS])
def test_an_owner_off_ble_keeps_others_out_as_long_as_it_was_just_heard(transport, command, silent_ms):
    rig = Rig(policy_with(ProofKind.CHALLENGE, owner=True))
    owner = rig.peer(transport)
    rig.enter(owner)
    rig.wait(20_000)
    assert rig.read(owner, 0, 0, {"d": "x"}) == {"r": "x"}, "heard again"
    rig.wait(silent_ms)
    other = rig.peer()
    purpose = Purpose.ATTACH if command == 3 else Purpose.ENTER
    answer = rig.write(other, MODE, command, {"to": "maintenance", **rig.proof(other, purpose=purpose)})
    if silent_ms < OWNER_SILENT_MS:
        assert answer == {"rc": 11, "rsn": "owner"}
        assert rig.read(owner, 0, 0, {"d": "y"}) == {"r": "y"}
    else:
        assert "lease_ms" in answer
        assert rig.read(owner, 0, 0, {"d": "y"}) == {"rc": 11, "rsn": "owner"}


def test_a_session_that_is_anyones_is_kept_by_nobody():
    rig = Rig(policy_with(ProofKind.CHALLENGE))
    rig.in_maintenance()
    other = rig.peer()
    assert "lease_ms" in rig.write(other, MODE, 3, rig.proof(other, purpose=Purpose.ATTACH))


def test_wrong_permits_lock_out_permits_alone():
    rig = Rig(policy_with(ProofKind.PERMIT, ProofKind.CHALLENGE), issuers=(ISSUER.public_key().public_bytes_raw(),))
    peer = rig.peer()
    for _ in range(4):
        show(rig, peer, make_permit(), holder=STRANGER)
    assert show(rig, peer, make_permit())["rsn"].startswith("locked out")
    assert "session" in rig.enter(peer)


def test_what_is_not_asked_for_is_not_counted():
    rig = Rig(policy_with(ProofKind.CHALLENGE))
    peer = rig.peer()
    for _ in range(10):
        assert step(rig, peer, 2) == {"rc": 11, "rsn": "proof"}
    assert "counters.json" not in rig.store.documents


def test_an_operator_takes_over_a_session_that_the_button_opened():
    rig = Rig(policy_with(ProofKind.CHALLENGE, owner=True))
    rig.carry_out(rig.server.event(ButtonHeld(hold_ms=5_000), rig.now_ms))
    peer = rig.peer()
    assert rig.write(peer, 1, 5, {}) == {"rc": 11, "rsn": "owner"}
    assert rig.write(peer, MODE, 3, rig.proof(peer, purpose=Purpose.ATTACH)) == {"rc": 11, "rsn": "proof"}
    assert "session" in rig.enter(peer)
    assert rig.write(peer, 1, 5, {}) == {}


def test_a_way_without_proof_is_free_but_never_into_maintenance():
    policy = pump()
    ways = tuple(
        replace(way, target="pairing", trigger=OnEnter(), when=()) if isinstance(way.trigger, OnEnter) else way
        for way in policy.transitions
    )
    rig = Rig(replace(policy, transitions=ways))
    peer = rig.peer()
    answer = rig.write(peer, MODE, 2, {"to": "pairing"})
    assert (rig.mode, answer["reconnect"]) == ("pairing", False)
