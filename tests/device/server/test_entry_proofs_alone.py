"""Lock-out and nonces on a whole device, alone: what happens to peer, session or mode takes back no wrong proof."""

from collections.abc import Callable

import pytest
from tests.device.server_rig import Rig

from keyswitch.gate.events import ButtonHeld
from keyswitch.policy.enums import ProofKind
from keyswitch.proof.challenge import Purpose
from keyswitch.smp.groups import mode
from keyswitch.terms import Security, Transport

MODE = mode.ID


def guess(rig: Rig, peer: int, command: int = mode.Id.ENTER) -> dict:
    """A wrong proof, made with another secret."""
    return rig.write(peer, MODE, command, {"to": "maintenance", **rig.proof(peer, secret=bytes(32))})


def the_peer_goes(rig: Rig, peer: int) -> None:
    rig.gone(peer)


def others_come_and_go(rig: Rig, peer: int) -> None:
    for transport in Transport:
        rig.gone(rig.peer(transport, Security.AUTHENTICATED))
    rig.gone(peer)


def the_mode_changes(rig: Rig, peer: int) -> None:
    rig.gone(peer)
    rig.input("motion", value=True)
    rig.input("motion", value=False)


def somebody_enters_by_button_and_leaves(rig: Rig, peer: int) -> None:
    rig.carry_out(rig.server.event(ButtonHeld(hold_ms=5_000), rig.now_ms))
    assert rig.mode == "maintenance"
    other = rig.peer()
    assert rig.write(other, MODE, mode.Id.LEAVE) == {"mode": "normal"}


def the_power_is_cut(rig: Rig, peer: int) -> None:
    rig.power_up()


def a_new_nonce_is_asked_for(rig: Rig, peer: int) -> None:
    rig.read(peer, MODE, mode.Id.CHALLENGE, {"to": "maintenance"})
    rig.gone(peer)


HAPPENINGS = (
    the_peer_goes,
    others_come_and_go,
    the_mode_changes,
    somebody_enters_by_button_and_leaves,
    the_power_is_cut,
    a_new_nonce_is_asked_for,
)


@pytest.mark.parametrize("transport", Transport)
@pytest.mark.parametrize("happens", HAPPENINGS, ids=lambda each: each.__name__)
def test_only_time_and_a_right_proof_end_a_lockout(happens: Callable[[Rig, int], None], transport: Transport) -> None:
    rig = Rig()
    peer = rig.peer(transport)
    for _ in range(4):
        assert guess(rig, peer) == {"rc": 11, "rsn": "proof"}
    happens(rig, peer)
    back = rig.peer(transport)
    assert rig.enter(back)["rsn"] == "locked out: for 1000 ms"
    assert rig.store.documents["counters.json"] == {"lockout": {"challenge": 4}}
    rig.wait(1_000)
    assert guess(rig, back) == {"rc": 11, "rsn": "proof"}
    assert rig.enter(back)["rsn"] == "locked out: for 2000 ms", "the count goes on"
    rig.wait(2_000)
    assert "session" in rig.enter(back)
    assert rig.server.core.lockout.failures == {}


def test_a_wrong_proof_has_reached_the_store_when_its_answer_leaves() -> None:
    rig = Rig()
    peer = rig.peer()
    for count in (1, 2, 3):
        guess(rig, peer)
        assert rig.store.documents["counters.json"] == {"lockout": {"challenge": count}}


def test_guessing_at_attach_counts_as_guessing_at_enter() -> None:
    rig = Rig()
    owner, stranger = rig.in_maintenance(), rig.peer()
    for _ in range(4):
        assert guess(rig, stranger, mode.Id.ATTACH) == {"rc": 11, "rsn": "proof"}
    right = rig.proof(stranger, purpose=Purpose.ATTACH)
    assert rig.write(stranger, MODE, mode.Id.ATTACH, right)["rsn"] == "locked out: for 1000 ms"
    assert rig.write(owner, MODE, mode.Id.LEAVE) == {"mode": "normal"}
    assert rig.enter(owner)["rsn"] == "locked out: for 1000 ms"


def test_a_right_proof_is_not_looked_at_while_its_kind_waits() -> None:
    rig = Rig()
    peer = rig.peer()
    for _ in range(4):
        guess(rig, peer)
    body = {"to": "maintenance", **rig.proof(peer)}
    assert rig.write(peer, MODE, mode.Id.ENTER, body)["rsn"] == "locked out: for 1000 ms"
    assert rig.server.core.lockout.failures == {ProofKind.CHALLENGE: 4}
    assert rig.mode == "normal"


def test_a_nonce_is_one_connections_and_gone_with_it() -> None:
    rig = Rig()
    peer = rig.peer()
    proof = rig.proof(peer)
    rig.gone(peer)
    back = rig.peer()
    assert rig.write(back, MODE, mode.Id.ENTER, {"to": "maintenance", **proof}) == {"rc": 11, "rsn": "proof"}
    assert rig.server.core.nonces.take(peer, "maintenance", rig.now_ms) is None
