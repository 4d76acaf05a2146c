"""KS-407: a lock-out outlives a restart."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import (
    GONE_ON_MS,
    go_outside,
    lock_out,
    not_entered,
    proof_not_sent,
    send_proof,
    wait_lock_out,
)
from keyswitch.audit.verdict import Part

ID: Final = "KS-407"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Too many wrong proofs, then a right one."""
    await go_outside(bench)
    await lock_out(bench, ID)
    await bench.power_cycle()
    await bench.sleep(GONE_ON_MS)
    visit, body = await proof_not_sent(bench)
    words = "a right proof right after a restart"
    part = await not_entered(bench, words, await send_proof(visit, ID, words, body))
    await wait_lock_out(bench)
    return (part,)


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
