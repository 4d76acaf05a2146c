"""KS-302: each frame of a write is asked about."""

from dataclasses import replace
from typing import Final

from keyswitch.audit.bench import Bench, Snapshot
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import ERASE, LEAVE, by_effect, go_outside
from keyswitch.audit.verdict import Part
from keyswitch.audit.wire import Visit, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import mode
from keyswitch.smp.header import Op

ID: Final = "KS-302"
ASK: Final = CommandKey(mode.ID, mode.Id.STATE, Op.READ)


async def play(bench: Bench) -> tuple[Part, ...]:
    """An erase behind a leave; outside maintenance, over each way, an erase behind a question that is allowed there."""
    before = await bench.snapshot(await bench.prepare())
    visit = await bench.enter()
    parts = [await _both(bench, visit, "leave", LEAVE, before)]
    for way in bench.target.ways:
        before = await bench.snapshot(await bench.prepare())
        await go_outside(bench)
        visit = await bench.visit(way)
        parts.append(await _both(bench, visit, f"over {way.value}, a question for the mode", ASK, before))
    return tuple(parts)


async def _both(bench: Bench, visit: Visit, words: str, first: CommandKey, before: Snapshot) -> Part:
    """Both frames in one write, and what is different afterwards."""
    in_front = attempt(ID, first, words).packet(visit.next_sequence())
    outcome = await visit.try_out(replace(attempt(ID, ERASE, "erase the other slot"), before=in_front))
    await bench.settle()
    await go_outside(bench)
    after = await bench.snapshot()
    return by_effect(f"{words} and an erase in one write", before, after, outcome.exchange)


CHECK: Final = Check(
    id=ID,
    title="each frame of a write is asked about",
    requirement="The second frame of a write is gated by the mode that the first one has led to.",
    why="A write may hold several frames; a gate in front of the loop sees the first one alone.",
    how=(
        "Leave and erase as two frames of one write; outside maintenance a question for the mode and an erase likewise."
    ),
    finding="Whatever is hung behind an allowed frame is executed.",
    remedy="Ask inside the loop over the frames (the command hook is; a hook on reception is not).",
    catches="only the first of two concatenated frames is gated",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
