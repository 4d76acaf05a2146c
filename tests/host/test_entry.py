from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import PeerLink, SmpPeer

from keyswitch.errors import RemoteError
from keyswitch.host import entry
from keyswitch.host.client import Client
from keyswitch.host.entry import CannotProve, Entered, Secret
from keyswitch.host.reply import Refusal
from keyswitch.link.air.clock import run
from keyswitch.reasons import Reason

SECRET = Secret(b"s" * 32)


def client_of(peer: SmpPeer) -> Client:
    return Client(PeerLink(peer, door="mode"))


def answers(command: int, said: dict[str, Any]) -> Any:
    return lambda _op, group, c, _body: said if (group, c) == (19283, command) else None


def test_the_right_secret_enters_and_leaves():
    async def story() -> None:
        peer = SmpPeer(make_image())
        client = client_of(peer)
        told = await entry.enter(client, "maintenance", SECRET)
        assert told == Entered(
            session=b"\x01\x02\x03\x04", reconnect=True, address=None, lease_ms=900_000, by="challenge"
        )
        assert peer.mode == "maintenance"
        assert await entry.leave(client) is None

    run(story())


def test_the_wrong_secret_is_a_refusal_with_its_reason():
    async def story() -> None:
        peer = SmpPeer(make_image())
        told = await entry.enter(client_of(peer), "maintenance", Secret(b"x" * 32))
        assert isinstance(told, Refusal)
        assert told.reason is Reason.PROOF
        assert peer.mode == "normal"

    run(story())


def test_a_kind_of_proof_that_the_device_does_not_take_is_not_tried():
    async def story() -> None:
        peer = SmpPeer(make_image())
        peer.veto = answers(1, {"nonce": b"n" * 16, "device": "Pump 7", "proofs": ["permit"]})
        told = await entry.enter(client_of(peer), "maintenance", SECRET)
        assert told == CannotProve(wanted=("permit",), have="challenge")
        assert peer.served == 1

    run(story())


def test_a_refused_challenge_ends_it():
    async def story() -> None:
        peer = SmpPeer(make_image())
        peer.veto = answers(1, {"rc": 11, "rsn": "wrong mode: pairing"})
        told = await entry.enter(client_of(peer), "maintenance", SECRET)
        assert isinstance(told, Refusal)
        assert told.reason is Reason.WRONG_MODE

    run(story())


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"nonce": "text", "device": "d", "proofs": []},
        {"nonce": b"n", "device": 7, "proofs": []},
        {"nonce": b"n", "device": "d"},
    ],
)
def test_a_challenge_that_is_none_is_the_devices_fault(said: dict[str, Any]):
    async def story() -> None:
        peer = SmpPeer(make_image())
        peer.veto = answers(1, said)
        with pytest.raises(RemoteError, match="challenge"):
            await entry.enter(client_of(peer), "maintenance", SECRET)

    run(story())


def test_an_answer_with_less_in_it_is_still_an_entry():
    async def story() -> None:
        peer = SmpPeer(make_image())
        peer.veto = answers(2, {})
        told = await entry.enter(client_of(peer), "maintenance", SECRET)
        assert told == Entered(session=b"", reconnect=False, address=None, lease_ms=None, by="challenge")

    run(story())


def test_secrets_are_not_shown():
    assert "s" * 8 not in repr(SECRET)
