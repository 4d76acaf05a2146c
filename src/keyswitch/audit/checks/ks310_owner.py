"""KS-310: a session is its owner's."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import ERASE, by_effect, go_outside, not_for, undecided
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part
from keyswitch.audit.wire import attempt
from keyswitch.policy.enums import SessionRule

ID: Final = "KS-310"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Enter as one peer, and erase as another: while the one is there, and when it has gone."""
    what = "an erase by another peer than the one that entered"
    if bench.target.policy.modes[bench.maintenance].session is not SessionRule.OWNER:
        return (not_for(what, "the policy lets anyone use the session"),)
    beside = f"{what}, which is still there"
    try:
        parts = [await _erased_by(bench, beside, gone=False)]
    except NotReachedError as error:
        parts = [undecided(beside, str(error))]
    return (*parts, await _erased_by(bench, f"{what}, which has gone", gone=True))


async def _erased_by(bench: Bench, what: str, *, gone: bool) -> Part:
    before = await bench.snapshot(await bench.prepare())
    if gone:
        await bench.hang_up()
        visit = await bench.visit(smp_shown=True)
    else:
        visit = await bench.stranger()
    outcome = await visit.try_out(attempt(ID, ERASE, "erase the other slot"))
    await bench.settle()
    await go_outside(bench)
    after = await bench.snapshot()
    return by_effect(what, before, after, outcome.exchange)


CHECK: Final = Check(
    id=ID,
    title="a session is its owner's",
    requirement="Where the policy says so, only the peer that entered may work in maintenance.",
    why="One person proves, and somebody else in reach works under their proof.",
    how="One connection enters, another one sends an erase: beside it, and after it has gone.",
    finding="A session is inherited by whoever is near.",
    remedy="Attach the connection to the session, and ask about it for each frame.",
    catches="a session is anybody's",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
