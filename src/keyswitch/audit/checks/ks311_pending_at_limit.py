"""KS-311: an image that was marked is not pending any more after a time limit has ended maintenance."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import GONE_ON_MS, failed, firmware, go_outside, mark, not_for, passed, slots
from keyswitch.audit.verdict import Part

ID: Final = "KS-311"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Mark, go away, come back when the lease or the idle time is over, and look."""
    mode = bench.target.policy.modes[bench.maintenance]
    limits = [limit for limit in (mode.lease_ms, mode.idle_ms) if limit is not None]
    what = "an image marked for a trial, and maintenance ended by its time limit"
    if not limits:
        return (not_for(what, "the policy gives maintenance no lease and no idle time"),)
    limit_ms = min(limits) + GONE_ON_MS
    bench.allow_wait(limit_ms)
    _, digest = firmware(bench)
    await mark(bench, digest)
    await bench.sleep(limit_ms)
    await bench.hang_up()
    await go_outside(bench)
    visit = await bench.enter()
    if pending := [slot for slot in await slots(visit) if slot.pending]:
        words = f"slot {pending[0].slot} is still pending"
        return (failed(what, words, effects=[words]),)
    return (passed(what, "nothing is pending any more"),)


CHECK: Final = Check(
    id=ID,
    title="an image that was marked is not pending any more after a time limit",
    requirement="However maintenance ends, what was marked for the next boot is taken back.",
    why="A technician marks the image and is called away: the next power-up, in the middle of work, starts it.",
    how="--next is marked for a trial and nobody does anything until the time limit, if --max-wait allows it.",
    finding="The update that somebody abandoned happens later, when nobody expects it.",
    remedy="Leave by one path, whatever the cause is, and erase the secondary's trailer there.",
    catches="a time limit keeps what was armed",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
