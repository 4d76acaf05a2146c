"""KS-402: a proof works once."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import (
    answers_a_nonce,
    go_outside,
    not_entered,
    not_for,
    proof_not_sent,
    proofs_open,
    send_proof,
    wait_lock_out,
)
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part, Verdict
from keyswitch.audit.wire import Told

ID: Final = "KS-402"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Enter, leave, and send the same proof again: over the same connection where it is still there, and a new one."""
    await proofs_open(bench)
    visit, body = await proof_not_sent(bench)
    if not answers_a_nonce(body):
        return (not_for("a proof sent again", "the policy's proof is no answer to a challenge"),)
    outcome = await send_proof(visit, ID, "the right proof", body)
    if outcome.told is not Told.SERVED:
        raise NotReachedError(f"the right proof was not taken: {outcome.words}")
    await visit.connection.wait_closed(1_000)
    await bench.go(bench.target.policy.device.initial_mode)
    parts: list[Part] = []
    for words, again in (("the same proof again", visit), ("the same proof from a new connection", None)):
        used = again
        if used is None or used.closed:
            await bench.hang_up()
            used = await bench.visit()
        parts.append(await not_entered(bench, words, await send_proof(used, ID, words, body)))
        if parts[-1].verdict is Verdict.FAIL:
            await go_outside(bench)
    await wait_lock_out(bench)
    return tuple(parts)


CHECK: Final = Check(
    id=ID,
    title="a proof works once",
    requirement="A proof that was used opens nothing any more.",
    why="Whoever listens in has heard it.",
    how=(
        "Maintenance is entered and left; the very bytes of the proof are sent again, over the same "
        "connection and over a new one."
    ),
    finding="One entry that was overheard is a key for good.",
    remedy="Use a nonce up when it is taken, whether the proof was right or wrong.",
    catches="a proof can be replayed",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
