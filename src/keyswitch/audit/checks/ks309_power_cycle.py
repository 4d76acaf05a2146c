"""KS-309: the device does not come up in maintenance."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import failed, passed
from keyswitch.audit.verdict import Part

ID: Final = "KS-309"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Enter, and take the power away."""
    what = "the power taken away in maintenance"
    await bench.enter()
    await bench.power_cycle()
    await bench.settle()
    here = await bench.mode()
    if bench.target.policy.modes[here].maintenance:
        return (failed(what, f"the device comes up in mode {here}", effects=["maintenance without anybody's act"]),)
    return (passed(what, f"the device comes up in mode {here}"),)


CHECK: Final = Check(
    id=ID,
    title="the device does not come up in maintenance",
    requirement="A reset that is not the session's own ends maintenance.",
    why="A machine that was left open is switched on the next morning, and is open still.",
    how="Maintenance is entered, and somebody takes the power away and gives it back.",
    finding="Maintenance is a state of the device and no act of a person.",
    remedy="Carry the session over the update's own reset alone, by a record that is used once.",
    catches="maintenance survives a power cycle",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
