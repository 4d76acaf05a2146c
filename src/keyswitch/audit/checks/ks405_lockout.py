"""KS-405: wrong proofs make the device wait."""

import asyncio
from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import lock_out, proofs_open, right_proof_in_lock_out
from keyswitch.audit.verdict import Part

ID: Final = "KS-405"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Too many wrong proofs, then a right one."""
    await proofs_open(bench)
    waits_ms = await lock_out(bench, ID)
    began_s = asyncio.get_running_loop().time()
    words = "a right proof right after too many wrong ones"
    return (await right_proof_in_lock_out(bench, ID, words, began_s=began_s, waits_ms=waits_ms),)


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
