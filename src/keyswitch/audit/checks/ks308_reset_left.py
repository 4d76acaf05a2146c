"""KS-308: a reset that was granted does not outlive maintenance."""

from typing import Final

from keyswitch.audit.bench import BOOT, Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import LEAVE, RESET, failed, go_outside, passed, undecided
from keyswitch.audit.verdict import Part
from keyswitch.audit.wire import attempt

ID: Final = "KS-308"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Reset and leave, without waiting."""
    what = "a reset granted, and maintenance left at once"
    visit = await bench.enter()
    before = await bench.snapshot(visit)
    link = visit.link()
    if BOOT not in before.values or link is None:
        return (undecided(what, "the device tells no boot id: a reset could not be seen"),)
    first = link.passed
    for each in (attempt(ID, RESET, "reset"), attempt(ID, LEAVE, "leave")):
        await link.send(each.packet(visit.next_sequence()))
    await bench.settle()
    exchange = link.since(first)
    await go_outside(bench)
    after = await bench.snapshot()
    if after.values.get(BOOT) != before.values[BOOT]:
        return (failed(what, "it was reset all the same", effects=["another boot id"], exchange=exchange),)
    return (passed(what, "the boot id is the same"),)


CHECK: Final = Check(
    id=ID,
    title="a reset that was granted does not outlive maintenance",
    requirement="Leaving takes a granted reset back.",
    why="The reset's timer runs on after the mode has changed: the machine stops when it is at work again.",
    how="A reset and a leave, one behind the other; then the boot id.",
    finding="The device resets outside maintenance, by a request that was allowed inside.",
    remedy="Zephyr's timer for os.reset cannot be stopped: use a work item of your own that leaving cancels.",
    catches="a granted reset outlives leaving",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
    resets=True,
)
