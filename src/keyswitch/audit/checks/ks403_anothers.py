"""KS-403: a proof is its connection's."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import (
    answers_a_nonce,
    not_entered,
    not_for,
    proof_not_sent,
    proofs_open,
    send_proof,
    wait_lock_out,
)
from keyswitch.audit.verdict import Part

ID: Final = "KS-403"


async def play(bench: Bench) -> tuple[Part, ...]:
    """One peer asks for the challenge, another one sends the answer."""
    await proofs_open(bench)
    _, body = await proof_not_sent(bench)
    words = "the answer to another connection's challenge"
    if not answers_a_nonce(body):
        return (not_for(words, "the policy's proof is no answer to a challenge"),)
    await bench.hang_up()
    stranger = await bench.visit()
    part = await not_entered(bench, words, await send_proof(stranger, ID, words, body))
    await wait_lock_out(bench)
    return (part,)


CHECK: Final = Check(
    id=ID,
    title="a proof is its connection's",
    requirement="A challenge is answered by the peer that it was given to.",
    why="A relay asks here and lets somebody answer there.",
    how="One connection asks for a challenge and ends; the right answer is sent over another one.",
    finding="A proof that was lured out of its holder opens the device for somebody else.",
    remedy="Keep the nonce with the connection, and forget it when the connection ends.",
    catches="a nonce is for anybody",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
