"""KS-306: an image that was marked is not pending any more after maintenance was left."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import failed, firmware, go_outside, mark, passed, running, slots
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part

ID: Final = "KS-306"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Mark, leave, enter again, look; and once more with the power taken away in between."""
    _, digest = firmware(bench)
    visit = await mark(bench, digest)
    old = await running(visit)
    await bench.leave(visit)
    await go_outside(bench)
    what = "an image marked for a trial, and maintenance left"
    visit = await bench.enter()
    if pending := [slot for slot in await slots(visit) if slot.pending]:
        words = f"slot {pending[0].slot} is still pending"
        return (failed(what, words, effects=[words]),)
    parts = [passed(what, "nothing is pending any more")]
    visit = await mark(bench, digest)
    await bench.leave(visit)
    try:
        await bench.power_cycle()
    except NotReachedError:
        return tuple(parts)  # the list has told; the power would only have confirmed it
    await bench.settle()
    runs = await running(await bench.enter())
    again = "the same, and then the power taken away"
    same = runs == old
    told = (
        passed(again, "the old image runs") if same else failed(again, "the marked image runs", effects=["it swapped"])
    )
    return (*parts, told)


CHECK: Final = Check(
    id=ID,
    title="an image that was marked is not pending any more after maintenance was left",
    requirement="Leaving takes back what was marked for the next boot.",
    why="The mark outlives the session: the next power-up, in the middle of work, would start other firmware.",
    how=(
        "--next is marked for a trial, maintenance is left and entered again; where somebody is there, the "
        "power is taken away as well."
    ),
    finding="The update that somebody broke off happens later, when nobody expects it.",
    remedy="Erase the secondary's trailer when maintenance ends, or write it only before the session's own reset.",
    catches="leaving keeps what was armed",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
