"""KS-406: a lock-out outlives the connection."""

import asyncio
from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import lock_out, proofs_open, right_proof_in_lock_out
from keyswitch.audit.verdict import Part

ID: Final = "KS-406"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Too many wrong proofs, then a right one."""
    await proofs_open(bench)
    waits_ms = await lock_out(bench, ID)
    began_s = asyncio.get_running_loop().time()
    await bench.hang_up()
    await (await bench.visit()).close()
    await bench.hang_up()
    words = "a right proof over a new connection, right after too many wrong ones"
    return (await right_proof_in_lock_out(bench, ID, words, began_s=began_s, waits_ms=waits_ms),)


CHECK: Final = Check(
    id=ID,
    title="a lock-out outlives the connection",
    requirement="Whoever connects again has no tries again.",
    why="A new connection costs an attacker nothing.",
    how="The same, over a connection that was made after the wrong proofs.",
    finding="The lock-out is passed by hanging up.",
    remedy="Keep the count in the device, not with the connection.",
    catches="a lock-out that is forgotten at disconnect",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
