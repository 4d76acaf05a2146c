"""KS-307: power lost after an image was marked starts nothing."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import failed, firmware, mark, not_for, passed, running, send_back
from keyswitch.audit.verdict import Part
from keyswitch.policy.enums import Arm

ID: Final = "KS-307"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Mark, and take the power away before any reset of the session's own."""
    what = "the power taken away after an image was marked, in maintenance"
    if bench.target.policy.update.arm is Arm.EARLY:
        return (not_for(what, "the policy writes the mark at once, and `keyswitch check` shows that window"),)
    _, digest = firmware(bench)
    old = await running(await mark(bench, digest))
    await bench.power_cycle()
    await bench.settle()
    runs = await running(await bench.enter())
    if runs == old:
        return (passed(what, "the old image runs"),)
    await send_back(bench, old)
    return (failed(what, "the marked image runs, outside the session that marked it", effects=["it swapped"]),)


CHECK: Final = Check(
    id=ID,
    title="power lost after an image was marked starts nothing",
    requirement="Only the session's own reset starts a marked image.",
    why="MCUboot knows no modes: a mark that is in flash is acted on at any power-up.",
    how="--next is marked for a trial in maintenance, and somebody takes the power away.",
    finding="A battery pulled at the wrong moment starts the update outside the session.",
    remedy="Remember the mark, and write the trailer as the last act before the session's own reset.",
    catches="the mark is written at once",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
