"""KS-312: right after a start the gate is there."""

from contextlib import suppress
from typing import Final

from keyswitch.audit.bench import SLOTS, Bench, Snapshot
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import ERASE, by_effect, firmware, go_outside, not_for, piece, undecided
from keyswitch.audit.verdict import Part
from keyswitch.audit.wire import attempt
from keyswitch.errors import LinkLostError

ID: Final = "KS-312"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Take the power away, come back as early as possible over each way, and send an upload and an erase."""
    what = "the first piece of an upload, and an erase, as early after a start as a connection can be made"
    policy = bench.target.policy
    if ERASE in policy.modes[policy.device.initial_mode].allow:
        return (not_for(what, "the policy lets the initial mode serve them"),)
    data, _ = firmware(bench)
    before = await bench.snapshot(await bench.prepare())
    if not before.decides(ERASE):
        return (undecided(what, "the device does not list both slots"),)
    await go_outside(bench)
    exchange: list[str] = []
    for way in bench.target.ways:
        await bench.power_cycle()
        with suppress(LinkLostError):
            visit = await bench.visit(way)
            for each in (piece(ID, data[: len(data) // 2], 0), attempt(ID, ERASE, "erase the other slot")):
                exchange += (await visit.try_out(each)).exchange
    await bench.settle()
    await bench.hang_up()
    after = await bench.snapshot()
    return (by_effect(what, _slots(before), _slots(after), exchange),)


def _slots(snapshot: Snapshot) -> Snapshot:
    """What the slots hold: everything else may be another after a start."""
    return Snapshot({name: text for name, text in snapshot.values.items() if name.startswith(SLOTS)})


CHECK: Final = Check(
    id=ID,
    title="right after a start the gate is there",
    requirement="From the first request after a power-up on, firmware commands are gated.",
    why="Services register themselves at boot; an application that takes them out later leaves a window each time.",
    how="Somebody takes the power away and gives it back; an upload and an erase are sent as early as can be.",
    finding="Whoever waits for a restart, or brings one about, changes firmware outside maintenance.",
    remedy="Register the gate's callback before bt_enable(), and build with dynamic registration, off at the start.",
    catches="the gate is not there yet after a start",
    impact=Impact.REVERSIBLE,
    act=Story(play=play, needs_mode=False),
)
