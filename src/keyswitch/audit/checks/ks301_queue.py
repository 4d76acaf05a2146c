"""KS-301: what waits behind a leave is not executed."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import ERASE, LEAVE, RESET, STATE, by_effect, firmware, go_outside, piece
from keyswitch.audit.verdict import Part
from keyswitch.audit.wire import Attempt, attempt

ID: Final = "KS-301"


def behind(data: bytes, digest: bytes) -> tuple[Attempt, ...]:
    """What is sent behind the leave, in this order."""
    return (
        attempt(ID, LEAVE, "leave"),
        attempt(ID, ERASE, "erase the other slot"),
        piece(ID, data, 0),
        attempt(ID, STATE, "mark the other image", {"hash": digest}),
        attempt(ID, RESET, "reset"),
    )


async def play(bench: Bench) -> tuple[Part, ...]:
    """Send them without waiting for an answer; look afterwards."""
    data, digest = firmware(bench)
    before = await bench.snapshot(await bench.prepare())
    visit = await bench.enter()
    link = visit.link()
    assert link is not None  # noqa: S101 - a connection that works in maintenance
    first = link.passed
    for each in behind(data, digest):
        await link.send(each.packet(visit.next_sequence()))
    await bench.settle()
    exchange = link.since(first)
    await go_outside(bench)
    after = await bench.snapshot()
    return (by_effect("erase, upload, mark and reset sent behind a leave, without waiting", before, after, exchange),)


CHECK: Final = Check(
    id=ID,
    title="what waits behind a leave is not executed",
    requirement="Requests that were queued before maintenance ended are not executed after it.",
    why="Servers queue: what was sent in maintenance may run when the machine works again.",
    how="Leave, erase, upload, state write and reset sent one behind the other without waiting for answers.",
    finding="Whoever sends fast enough changes firmware after maintenance has ended.",
    remedy="Ask for the mode when a frame is executed, not when it arrives; drop the queue on leaving.",
    catches="requests that waited are executed after leaving",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
    resets=True,
)
