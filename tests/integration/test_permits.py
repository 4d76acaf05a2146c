"""Permits that open nothing, over each way to a whole device: expired, not yet valid, foreign, replayed, used up."""

import time
from dataclasses import replace
from typing import Any

import pytest
from tests.integration.places import WAYS, place
from tests.integration.test_traps import run

from keyswitch.demo.workshop import Workshop
from keyswitch.host.access import mode_group
from keyswitch.host.access.credentials import HeldPermit
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Refusal
from keyswitch.policy.enums import Clock, ProofKind
from keyswitch.policy.model import OnEnter, PermitEntry, Policy
from keyswitch.proof import fields, permit
from keyswitch.proof.challenge import Challenge
from keyswitch.reasons import Reason
from keyswitch.smp.groups import mode

ISSUER, HOLDER, STRANGER = (bytes([number]) * 32 for number in (1, 2, 3))
NOW_S = int(time.time())
"""The device judges a permit by the time of day, not by the time that its limits run in."""

by_every_way = pytest.mark.parametrize("way", WAYS)


def by_permit(pump: Workshop, clock: Clock) -> Policy:
    """The pump, entered by permit alone."""
    ways = tuple(
        replace(way, trigger=OnEnter(proofs=(ProofKind.PERMIT,))) if isinstance(way.trigger, OnEnter) else way
        for way in pump.policy.transitions
    )
    held = replace(pump.policy.entry, permit=PermitEntry(issuers=(), clock=clock))
    return replace(pump.policy, transitions=ways, entry=held)


def issued(policy: Policy, *, issuer: bytes = ISSUER, **changes: Any) -> bytes:
    said = permit.Permit(
        id=bytes(permit.ID_SIZE),
        issuer="service",
        devices=(policy.device.id,),
        mode="maintenance",
        holder=permit.public_key(HOLDER),
        expires_s=NOW_S + 3_600,
        uses=1,
    )
    return permit.issue(replace(said, **changes), issuer)


WRONG: dict[str, tuple[dict[str, Any], bytes, Reason]] = {
    "expired": ({"expires_s": NOW_S - 1}, HOLDER, Reason.EXPIRED),
    "not yet valid": ({"not_before_s": NOW_S + 3_000}, HOLDER, Reason.PROOF),
    "of another issuer": ({"issuer": STRANGER}, HOLDER, Reason.PROOF),
    "of another device": ({"devices": ("Pump 8",)}, HOLDER, Reason.PROOF),
    "of another mode": ({"mode": "normal"}, HOLDER, Reason.PROOF),
    "shown by somebody else": ({}, STRANGER, Reason.PROOF),
}


@by_every_way
@pytest.mark.parametrize("what", WRONG)
def test_a_permit_that_is_not_good_here_and_now_opens_nothing(pump: Workshop, way: str, what: str) -> None:
    changes, shown_by, reason = WRONG[what]
    policy = by_permit(pump, Clock.TRUSTED)

    async def story() -> None:
        async with place(pump, policy, issuers=(permit.public_key(ISSUER),)) as here:
            client = await here.client(way)
            before = here.unchanged()
            wrong = HeldPermit(issued(policy, **changes), shown_by)
            answer = await mode_group.enter(client, "maintenance", (wrong,))
            assert isinstance(answer, Refusal), answer
            assert answer.reason is reason
            assert (here.unchanged(), here.status["gate"]) == (before, "shut")
            right = HeldPermit(issued(policy), HOLDER)
            assert isinstance(await mode_group.enter(client, "maintenance", (right,)), mode_group.EntryReply)

    run(story())


@by_every_way
def test_a_permit_that_is_used_up_has_expired(pump: Workshop, way: str) -> None:
    policy = by_permit(pump, Clock.NONE)

    async def story() -> None:
        async with place(pump, policy, issuers=(permit.public_key(ISSUER),)) as here:
            client = await here.client(way)
            once = HeldPermit(issued(policy), HOLDER)
            assert isinstance(await mode_group.enter(client, "maintenance", (once,)), mode_group.EntryReply)
            assert await mode_group.leave(client) is None
            again = await mode_group.enter(client, "maintenance", (once,))
            assert isinstance(again, Refusal), again
            assert (again.reason, here.status["gate"]) == (Reason.EXPIRED, "shut")

    run(story())


@by_every_way
def test_a_proof_that_was_heard_opens_nothing_a_second_time(pump: Workshop, way: str) -> None:
    """The very bytes of an entry, sent again after it has ended."""
    policy = by_permit(pump, Clock.TRUSTED)

    async def story() -> None:
        async with place(pump, policy, issuers=(permit.public_key(ISSUER),)) as here:
            client = await here.client(way)
            body = await proved(client, issued(policy))
            first = await client.write(mode.ID, mode.Id.ENTER, body)
            assert not isinstance(first, Refusal), first
            assert await mode_group.leave(client) is None
            for replaying in (client, await here.client("line" if way == "net" else "net")):
                again = await replaying.write(mode.ID, mode.Id.ENTER, body)
                assert isinstance(again, Refusal), again
                assert (again.reason, here.status["gate"]) == (Reason.PROOF, "shut")

    run(story())


async def proved(client: SmpClient, given: bytes) -> dict[str, Any]:
    """The body of a right request to enter."""
    asked = await mode_group.ask_challenge(client, "maintenance")
    assert not isinstance(asked, Refusal), asked
    answered = Challenge(nonce=asked.nonce, device=asked.device, mode="maintenance")
    return {
        "to": "maintenance",
        fields.PROOF: "permit",
        fields.PERMIT: given,
        fields.SIGNATURE: permit.sign(HOLDER, answered, given),
    }
