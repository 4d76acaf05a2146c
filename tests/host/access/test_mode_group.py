from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import PeerLink, SmpPeer

from keyswitch.errors import RemoteError
from keyswitch.host.access import mode_group
from keyswitch.host.access.credentials import HeldPermit, Secret, Steps
from keyswitch.host.access.mode_group import CannotProve, EntryReply
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Refusal
from keyswitch.link.air.clock import run
from keyswitch.proof.challenge import Challenge
from keyswitch.proof.permit import sign
from keyswitch.reasons import Reason

SECRET = Secret(b"s" * 32)


def client_of(peer: SmpPeer) -> SmpClient:
    return SmpClient(PeerLink(peer, door="mode"))


def answers(command: int, said: dict[str, Any]) -> Any:
    return lambda _op, group, c, _body: said if (group, c) == (19283, command) else None


def test_the_right_secret_enters_and_leaves():
    async def story() -> None:
        peer = SmpPeer(make_image())
        client = client_of(peer)
        told = await mode_group.enter(client, "maintenance", [SECRET])
        assert told == EntryReply(
            session=b"\x01\x02\x03\x04", reconnect=True, address=None, lease_ms=900_000, by="challenge"
        )
        assert peer.mode == "maintenance"
        assert await mode_group.leave(client) is None

    run(story())


def test_the_wrong_secret_is_a_refusal_with_its_reason():
    async def story() -> None:
        peer = SmpPeer(make_image())
        told = await mode_group.enter(client_of(peer), "maintenance", [Secret(b"x" * 32)])
        assert isinstance(told, Refusal)
        assert told.reason is Reason.PROOF
        assert peer.mode == "normal"

    run(story())


@pytest.mark.parametrize("command", ["enter", "attach"])
def test_nothing_is_proved_to_another_device(command: str):
    async def story() -> None:
        peer = SmpPeer(make_image(), name="Pump 99")
        expected = mode_group.Expected(device="Pump 7", policy=b"policy!!")
        if command == "enter":
            told = await mode_group.enter(client_of(peer), "maintenance", [SECRET], expected=expected)
        else:
            told = await mode_group.attach(client_of(peer), "maintenance", b"1234", [SECRET], expected=expected)
        assert told == mode_group.OtherDevice(expected="Pump 7", answered="Pump 99")
        assert peer.log == ["19283/1/0"]

    run(story())


def test_a_kind_of_proof_that_the_device_does_not_take_is_not_tried():
    async def story() -> None:
        peer = SmpPeer(make_image())
        peer.veto = answers(1, {"nonce": b"n" * 16, "device": "Pump 7", "proofs": ["permit"]})
        told = await mode_group.enter(client_of(peer), "maintenance", [SECRET])
        assert told == CannotProve(wanted=("permit",), have=("challenge",))
        assert peer.served == 1

    run(story())


def test_a_refused_challenge_ends_it():
    async def story() -> None:
        peer = SmpPeer(make_image())
        peer.veto = answers(1, {"rc": 11, "rsn": "wrong mode: pairing"})
        told = await mode_group.enter(client_of(peer), "maintenance", [SECRET])
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
            await mode_group.enter(client_of(peer), "maintenance", [SECRET])

    run(story())


def test_an_answer_with_less_in_it_is_still_an_entry():
    async def story() -> None:
        peer = SmpPeer(make_image())
        peer.veto = answers(2, {})
        told = await mode_group.enter(client_of(peer), "maintenance", [SECRET])
        assert told == EntryReply(session=b"", reconnect=False, address=None, lease_ms=None, by="challenge")

    run(story())


def test_secrets_are_not_shown():
    assert "s" * 8 not in repr(SECRET)


def test_steps_are_sent_until_none_is_left():
    async def story() -> None:
        peer = SmpPeer(make_image())
        sent: list[dict[str, Any]] = []

        def by_steps(_op: int, group: int, command: int, body: dict[str, Any]) -> dict[str, Any] | None:
            if (group, command) == (19283, 1):
                return {"nonce": b"n" * 16, "device": "Pump 7", "proofs": ["sequence"]}
            sent.append(body)
            return {"left": 3 - body["step"]} if body["step"] < 3 else {"session": b"abcd", "reconnect": False}

        peer.veto = by_steps
        told = await mode_group.enter(client_of(peer), "maintenance", [SECRET, Steps()])
        assert isinstance(told, EntryReply)
        assert (told.session, told.by) == (b"abcd", "sequence")
        assert sent == [{"to": "maintenance", "proof": "sequence", "step": n} for n in (1, 2, 3)]

    run(story())


def test_a_device_that_always_wants_more_steps():
    async def story() -> None:
        peer = SmpPeer(make_image())
        peer.veto = lambda _op, _group, command, _body: (
            {"nonce": b"n" * 16, "device": "d", "proofs": ["sequence"]} if command == 1 else {"left": 1}
        )
        with pytest.raises(RemoteError, match="still wants steps"):
            await mode_group.enter(client_of(peer), "maintenance", [Steps()])

    run(story())


def test_the_first_credential_that_the_device_takes_is_used():
    async def story() -> None:
        peer = SmpPeer(make_image())
        told = await mode_group.enter(client_of(peer), "maintenance", [HeldPermit(b"permit", b"k" * 32), SECRET])
        assert isinstance(told, EntryReply)
        assert told.by == "challenge"

    run(story())


def test_a_permit_goes_with_its_holders_signature_over_the_nonce():
    asked = Challenge(nonce=b"n" * 16, device="Pump 7", mode="maintenance")
    body = HeldPermit(b"permit", b"k" * 32).fields(asked, 1)
    assert body == {"permit": b"permit", "sig": sign(b"k" * 32, asked, b"permit")}


@pytest.mark.parametrize(
    ("secret", "session", "right"),
    [(b"s", b"\x01\x02\x03\x04", True), (b"x", b"\x01\x02\x03\x04", False), (b"s", b"else", False)],
)
def test_a_session_is_attached_to_with_its_own_proof(secret: bytes, session: bytes, *, right: bool):
    async def story() -> None:
        peer = SmpPeer(make_image(), owned=True)
        assert isinstance(await mode_group.enter(client_of(peer), "maintenance", [SECRET]), EntryReply)
        other = client_of(peer)
        told = await mode_group.attach(other, "maintenance", session, [Secret(secret * 32)])
        assert (told is None) is right

    run(story())
