"""KS-406: a lock-out outlives the connection."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import go_outside, lock_out, not_entered, proof_not_sent, send_proof, wait_lock_out
from keyswitch.audit.verdict import Part

ID: Final = "KS-406"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Too many wrong proofs, then a right one."""
    await go_outside(bench)
    await lock_out(bench, ID)
    await bench.hang_up()
    await (await bench.visit()).close()
    await bench.hang_up()
    visit, body = await proof_not_sent(bench)
    words = "a right proof over a new connection, right after too many wrong ones"
    part = await not_entered(bench, words, await send_proof(visit, ID, words, body))
    await wait_lock_out(bench)
    return (part,)


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
