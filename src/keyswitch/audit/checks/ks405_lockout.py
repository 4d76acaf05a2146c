"""KS-405: wrong proofs make the device wait."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import go_outside, lock_out, not_entered, proof_not_sent, send_proof, wait_lock_out
from keyswitch.audit.verdict import Part

ID: Final = "KS-405"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Too many wrong proofs, then a right one."""
    await go_outside(bench)
    await lock_out(bench, ID)
    visit, body = await proof_not_sent(bench)
    words = "a right proof right after too many wrong ones"
    part = await not_entered(bench, words, await send_proof(visit, ID, words, body))
    await wait_lock_out(bench)
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
