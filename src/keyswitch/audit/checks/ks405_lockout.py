"""KS-405: wrong proofs make the device wait."""

import asyncio
from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import go_outside, lock_out, proof_not_sent, send_proof, still_locked_out, wait_lock_out
from keyswitch.audit.verdict import Part

ID: Final = "KS-405"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Too many wrong proofs, then a right one."""
    await go_outside(bench)
    waits_ms = await lock_out(bench, ID)
    began_s = asyncio.get_running_loop().time()
    visit, body = await proof_not_sent(bench)
    words = "a right proof right after too many wrong ones"
    outcome = await send_proof(visit, ID, words, body)
    part = await still_locked_out(bench, words, outcome, began_s=began_s, waits_ms=waits_ms)
    await wait_lock_out(bench, waits_ms)
    return (part,)


CHECK: Final = Check(
    id=ID,
    title="wrong proofs make the device wait",
    requirement="After the wrong proofs that the policy lets pass, not even a right one is heard for a while.",
    why="Without a wait, secrets are guessed by machine.",
    how="One wrong proof more than the policy lets pass, then a right one at once.",
    finding="Proofs can be tried as fast as the link carries them.",
    remedy="Count wrong proofs for each kind, and wait twice as long after each further one.",
    catches="a lock-out that never waits",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
