"""KS-305: a condition of entry that is not true any more ends maintenance."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.route import value_for
from keyswitch.audit.story import GONE_ON_MS, PIECE, begin_upload, entry, failed, firmware, not_for, passed, piece, shut
from keyswitch.audit.verdict import Part
from keyswitch.policy.enums import WhenFalse

ID: Final = "KS-305"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Begin an upload, make each condition false, and go on."""
    way = entry(bench)
    if not way.when:
        return (not_for("a condition of entry", "the policy has none"),)
    parts: list[Part] = []
    for guard in way.when:
        known = bench.target.policy.inputs[guard.index]
        held = way.when_false is WhenFalse.HOLD and not known.safety
        what = f"{guard.text} made false during an upload"
        other = value_for(bench.target.policy, [guard], true=False)
        fine = value_for(bench.target.policy, [each for each in way.when if each.input == guard.input])
        if held or other is None or fine is None:
            parts.append(not_for(what, "the policy lets the upload end first" if held else "it cannot be made false"))
            continue
        data, _ = firmware(bench)
        await begin_upload(bench, ID)
        await bench.target.hand.set_input(guard.input, other)
        bench.costs.by_hand += 1
        try:
            parts += await _after(bench, what, data)
        finally:
            await bench.target.hand.set_input(guard.input, fine)
        await bench.hang_up()
    return tuple(parts)


async def _after(bench: Bench, what: str, data: bytes) -> list[Part]:
    await bench.pause(GONE_ON_MS)
    await bench.hang_up()
    here = await bench.mode()
    if bench.target.policy.modes[here].maintenance:
        return [failed(what, "maintenance went on", effects=[f"the mode is {here}"])]
    outside = await bench.visit()
    told = shut("the next piece of the upload", await outside.try_out(piece(ID, data, PIECE)))
    return [passed(what, f"maintenance ended: the mode is {here}"), told]


CHECK: Final = Check(
    id=ID,
    title="a condition of entry that is not true any more ends maintenance",
    requirement="What had to be so for entering has to stay so; a safety input ends maintenance at once.",
    why="A machine that begins to move must not be updated meanwhile.",
    how="An upload is begun; each input that a condition of entry asks about is made wrong at the device.",
    finding="Firmware is written into a machine that works.",
    remedy="Ask the conditions whenever an input changes, not on entering alone.",
    catches="a condition that turns false ends no maintenance",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
