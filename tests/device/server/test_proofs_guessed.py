"""Thousands of wrong proofs of every kind, sent as requests to a whole device: none opens the gate."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.device.server_rig import PUMP, SECRET, Rig, pump

from keyswitch.policy.load import load
from keyswitch.policy.model import LockoutSettings, Policy
from keyswitch.proof import challenge, permit
from keyswitch.proof.challenge import Challenge, Purpose
from keyswitch.smp.groups import mode

ISSUER, HOLDER, STRANGER = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
KINDS = '[entry.permit]\nissuers = ["issuer.pem"]\n[entry.sequence]\nsteps = 4\n[entry.challenge]'
SAID = permit.Permit(
    id=bytes(16),
    issuer="",
    devices=("Pump 7",),
    mode="maintenance",
    holder=permit.public_key(HOLDER),
    uses=1_000_000,
)


def patient() -> Policy:
    """The pump, with every kind of proof, and no lock-out in the way of guessing."""
    text = PUMP.read_text().replace("[entry.challenge]", KINDS)
    text = text.replace('proofs = ["challenge"]', 'proofs = ["challenge", "permit", "sequence"]')
    policy = load(text.encode(), directory=PUMP.parent)
    lockout = LockoutSettings(free_tries=10**9)
    return replace(policy, bootloader=pump().bootloader, entry=replace(policy.entry, lockout=lockout))


class Guesser:
    """Somebody who has seen right proofs on the air, owns a key of his own, and can change every bit."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.rig = Rig(patient(), issuers=(permit.public_key(ISSUER),))
        self.peers = [self.rig.peer() for _ in range(3)]
        self.seen: list[dict[str, Any]] = []
        self.permit = permit.issue(SAID, ISSUER)

    def asked(self, peer: int) -> Challenge:
        told = self.rig.read(peer, mode.ID, mode.Id.CHALLENGE, {"to": "maintenance"})
        return Challenge(nonce=told["nonce"], device=told["device"], mode="maintenance")

    def right(self, asked: Challenge) -> list[dict[str, Any]]:
        return [
            {"proof": "challenge", "mac": challenge.make(SECRET, asked)},
            {"proof": "permit", "permit": self.permit, "sig": permit.sign(HOLDER, asked, self.permit)},
        ]

    def try_it(self, peer: int, proof: dict[str, Any]) -> None:
        answer = self.rig.write(peer, mode.ID, mode.Id.ENTER, {"to": "maintenance", **proof})
        assert "session" not in answer, proof
        assert self.rig.mode == "normal"

    # --- ways of being wrong ---

    def foreign(self, peer: int) -> dict[str, Any]:
        """Right for another device, mode, purpose, session, nonce or peer."""
        asked = self.asked(peer)
        other = self.chance.choice(
            (
                {"device": "Pump 8"},
                {"mode": "normal"},
                {"purpose": Purpose.ATTACH},
                {"session": b"tokn"},
                {"nonce": self.chance.randbytes(16)},
                {"nonce": self.asked(next(each for each in self.peers if each != peer)).nonce},
            )
        )
        return self.chance.choice(self.right(replace(asked, **other)))

    def replayed(self, peer: int) -> dict[str, Any]:
        """Seen on the air, for a nonce that is gone; with or without a fresh nonce on the way."""
        self.seen += self.right(self.asked(peer))
        if self.chance.random() < 0.5:
            self.asked(peer)
        return self.chance.choice(self.seen[:-2] or [{}])

    def mutated(self, peer: int) -> dict[str, Any]:
        """Right but for some bits, or cut."""
        proof = dict(self.chance.choice(self.right(self.asked(peer))))
        name = self.chance.choice([key for key in proof if key != "proof"])
        value = bytearray(proof[name])
        if self.chance.random() < 0.3:
            del value[self.chance.randrange(len(value)) :]
        else:
            value[self.chance.randrange(len(value))] ^= 1 << self.chance.randrange(8)
        return {**proof, name: bytes(value)}

    def stolen(self, peer: int) -> dict[str, Any]:
        """A permit of somebody else's with a signature of one's own; a permit of one's own making; no secret at all."""
        asked = self.asked(peer)
        data = permit.issue(SAID, ISSUER)
        made = permit.issue(SAID, STRANGER)
        return self.chance.choice(
            (
                {"proof": "permit", "permit": data, "sig": permit.sign(STRANGER, asked, data)},
                {"proof": "permit", "permit": made, "sig": permit.sign(HOLDER, asked, made)},
                {"proof": "permit", "permit": made, "sig": permit.sign(STRANGER, asked, made)},
                {"proof": "challenge", "mac": challenge.make(self.chance.randbytes(32), asked)},
                {"proof": "challenge", "mac": self.chance.randbytes(32)},
            )
        )

    def malformed(self, peer: int) -> dict[str, Any]:
        """Of the wrong type, the wrong kind, or of none."""
        self.asked(peer)
        value = self.chance.choice((None, 0, 1, "x", b"", [], {}, True, 2**40))
        name = self.chance.choice(("proof", "mac", "permit", "sig", "step"))
        kind = self.chance.choice(("challenge", "permit", "sequence", "button", "retina"))
        return {"proof": kind, name: value}

    def stepped(self, peer: int) -> dict[str, Any]:
        """Steps out of order: never the whole sequence, because some step before the last was skipped."""
        return {"proof": "sequence", "step": self.chance.choice((0, 2, 3, 4, 5, -1))}


WAYS: tuple[Callable[[Guesser, int], dict[str, Any]], ...] = (
    Guesser.foreign,
    Guesser.replayed,
    Guesser.mutated,
    Guesser.stolen,
    Guesser.malformed,
    Guesser.stepped,
)


def guess(seed: int, count: int) -> None:
    guesser = Guesser(seed)
    for _ in range(count):
        peer = guesser.chance.choice(guesser.peers)
        guesser.try_it(peer, guesser.chance.choice(WAYS)(guesser, peer))


def test_the_right_proofs_do_open() -> None:
    for number in range(2):
        guesser = Guesser(0)
        peer = guesser.peers[0]
        proof = guesser.right(guesser.asked(peer))[number]
        assert "session" in guesser.rig.write(peer, mode.ID, mode.Id.ENTER, {"to": "maintenance", **proof})


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_each_way_of_being_wrong_opens_nothing(way: Callable[[Guesser, int], dict[str, Any]]) -> None:
    guesser = Guesser(3)
    for _ in range(50):
        peer = guesser.chance.choice(guesser.peers)
        guesser.try_it(peer, way(guesser, peer))


@pytest.mark.parametrize("seed", range(4))
def test_thousands_of_guesses_open_nothing(seed: int) -> None:
    guess(seed, 2_500)


@pytest.mark.deep
@pytest.mark.timeout(900)
def test_very_many_guesses_open_nothing(tell: Callable[[str], None]) -> None:
    for seed in range(100, 140):
        guess(seed, 2_500)
    tell("100,000 proofs")
