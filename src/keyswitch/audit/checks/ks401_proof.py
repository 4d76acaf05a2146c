"""KS-401: without a right proof nobody enters."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import (
    answers_a_nonce,
    go_outside,
    not_entered,
    proof_not_sent,
    proofs_open,
    send_proof,
    wait_lock_out,
    wrong,
)
from keyswitch.audit.verdict import Part, Verdict
from keyswitch.proof import fields

ID: Final = "KS-401"


async def play(bench: Bench) -> tuple[Part, ...]:
    """No proof, an unknown kind, a bit changed, cut off: each for a fresh challenge."""
    await proofs_open(bench)
    parts: list[Part] = []
    for words in ("no proof", "an unknown kind of proof", "a proof with one bit changed", "a proof that was cut off"):
        visit, body = await proof_not_sent(bench)
        match words:
            case "no proof":
                sent = {"to": body["to"]}
            case "an unknown kind of proof":
                sent = {**body, fields.PROOF: "none"}
            case "a proof that was cut off" if answers_a_nonce(body):
                name = fields.MAC if fields.MAC in body else fields.SIGNATURE
                sent = {**body, name: body[name][:-1]}
            case _:
                sent = wrong(body)
        parts.append(await not_entered(bench, words, await send_proof(visit, ID, words, sent)))
        if parts[-1].verdict is Verdict.FAIL:
            await go_outside(bench)
    await wait_lock_out(bench)
    return tuple(parts)


CHECK: Final = Check(
    id=ID,
    title="without a right proof nobody enters",
    requirement="Maintenance is entered by the proofs that the policy names, and by nothing that looks like one.",
    why="Everything else rests on it.",
    how=(
        "Entering without a proof, with an unknown kind, with one bit changed, and with the last byte cut "
        "off, each for a fresh challenge."
    ),
    finding="Anybody in reach enters maintenance.",
    remedy=(
        "Compare whole MACs in constant time, refuse what is not listed, and bind the proof to mode, device "
        "and purpose."
    ),
    catches="every proof is right",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
