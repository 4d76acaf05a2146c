"""KS-404: a challenge does not wait for ever."""

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

ID: Final = "KS-404"
LATE_MS: Final = 60_000
"""Twice what the mode group gives a nonce (30 s)."""


async def play(bench: Bench) -> tuple[Part, ...]:
    """Answer a challenge late."""
    await proofs_open(bench)
    visit, body = await proof_not_sent(bench)
    words = f"the right answer, {LATE_MS // 1000} s after its challenge"
    if not answers_a_nonce(body):
        return (not_for(words, "the policy's proof is no answer to a challenge"),)
    await bench.sleep(LATE_MS)
    if visit.closed:
        return (not_for(words, "the device ended the connection before"),)
    part = await not_entered(bench, words, await send_proof(visit, ID, words, body))
    await wait_lock_out(bench)
    return (part,)


CHECK: Final = Check(
    id=ID,
    title="a challenge does not wait for ever",
    requirement="An answer that comes late opens nothing.",
    why="The longer a challenge lives, the more time a relay has.",
    how="The right answer to a challenge of a minute ago.",
    finding="A challenge that was once given can be answered at any time.",
    remedy="Give nonces a lifetime of seconds (ours: 30 s).",
    catches="a nonce lives for ever",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
