"""KS-408: a right proof does not replace the conditions of entry."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.route import value_for
from keyswitch.audit.story import GONE_ON_MS, entry, failed, go_outside, not_entered, not_for
from keyswitch.audit.verdict import Part
from keyswitch.audit.wire import Outcome, Told
from keyswitch.host.access.strategy import EntryGranted

ID: Final = "KS-408"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Make each condition of entry false, and prove."""
    way = entry(bench)
    if not way.when:
        return (not_for("a condition of entry", "the policy has none"),)
    parts: list[Part] = []
    for guard in way.when:
        other = value_for(bench.target.policy, [guard], true=False)
        fine = value_for(bench.target.policy, [each for each in way.when if each.input == guard.input])
        words = f"a right proof while {guard.text} is not so"
        if other is None or fine is None:
            parts.append(not_for(words, "it cannot be made false"))
            continue
        await go_outside(bench)
        bench.costs.by_hand += 1
        await bench.target.hand.set_input(guard.input, other)
        try:
            await bench.pause(GONE_ON_MS)
            parts.append(await _prove(bench, words))
        finally:
            await bench.target.hand.set_input(guard.input, fine)
        await bench.hang_up()
    return tuple(parts)


async def _prove(bench: Bench, words: str) -> Part:
    """Prove as an update does, in as many steps as it takes; the mode afterwards tells."""
    strategy = bench.target.strategy
    if strategy is None:
        return not_for(words, "maintenance is not entered by a proof")
    told = await strategy.enter((await bench.visit()).connection, bench.say)
    if isinstance(told, EntryGranted):
        return failed(words, "it opened: the device gave a session")
    outcome = Outcome(told=Told.REFUSED, words=f"refused: {told.detail}", delivered=True)
    return await not_entered(bench, words, outcome)


CHECK: Final = Check(
    id=ID,
    title="a right proof does not replace the conditions of entry",
    requirement="While a condition of entry is not true, nobody enters.",
    why="The technician has the right key, and the machine still moves.",
    how="Each input that a condition of entry asks about is made wrong at the device, and a right proof is sent.",
    finding="Maintenance begins in a machine that works.",
    remedy="Ask the conditions when the proof has been found right, at the moment of entering.",
    catches="entry does not ask its conditions",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
)
