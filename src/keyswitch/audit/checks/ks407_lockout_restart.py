"""KS-407: a lock-out outlives a restart."""

import asyncio
from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import GONE_ON_MS, lock_out, meet_conditions, proofs_open, right_proof_in_lock_out
from keyswitch.audit.verdict import Part

ID: Final = "KS-407"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Too many wrong proofs, then a right one."""
    await proofs_open(bench)
    waits_ms = await lock_out(bench, ID)
    await bench.power_cycle()  # the wait begins anew with the boot
    began_s = asyncio.get_running_loop().time()
    await bench.pause(GONE_ON_MS)
    await meet_conditions(bench)
    words = "a right proof right after a restart"
    return (await right_proof_in_lock_out(bench, ID, words, began_s=began_s, waits_ms=waits_ms),)


CHECK: Final = Check(
    id=ID,
    title="a lock-out outlives a restart",
    requirement="A power cycle gives nobody tries back, and shortens no wait.",
    why="Whoever stands beside the machine can take its power away.",
    how="The same, with the power taken away after the wrong proofs, by somebody at the device.",
    finding="The lock-out is passed with the main switch.",
    remedy="Store the count before the answer leaves, and begin the wait anew after a boot.",
    catches="a lock-out that a reset ends",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
