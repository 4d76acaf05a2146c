"""KS-508: a client that has never subscribed is gated like everybody else."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.gatt_story import has_radio, kept_handle, radio_visit, subscribe_to_smp
from keyswitch.audit.story import ERASE, by_effect, go_outside, not_for, undecided
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part
from keyswitch.audit.wire import attempt
from keyswitch.policy.model import Mode

ID: Final = "KS-508"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Write an erase to the characteristic's handle, with notifications off, in each mode outside maintenance."""
    what = "an erase by a client without a subscription"
    if not has_radio(bench):
        return (not_for(what, "the policy does not serve Bluetooth LE"),)
    handle = await kept_handle(bench)
    parts: list[Part] = []
    for mode in bench.target.policy.modes.values():
        if mode.maintenance or ERASE in mode.allow:
            continue
        words = f"{what}, in mode {mode.name}"
        try:
            parts.append(await _in(bench, mode, words, handle))
        except NotReachedError as error:
            parts.append(undecided(words, str(error)))
    return tuple(parts)


async def _in(bench: Bench, mode: Mode, what: str, handle: int) -> Part:
    before = await bench.snapshot(await bench.prepare())
    if not before.decides(ERASE):
        return undecided(what, "an erase could not be seen: give an image for the other slot with --next")
    await bench.go(mode.name)
    await bench.hang_up()
    visit, table = await radio_visit(bench)
    if not visit.shows_smp and not table.is_free(handle):
        return undecided(what, "another service lies at the handle, and what a write does there is not known")
    if visit.shows_smp:
        await subscribe_to_smp(table, on=False)
    packet = attempt(ID, ERASE, "erase the other slot").packet(visit.next_sequence())
    await table.write_handle(handle, packet)
    await bench.settle()
    await go_outside(bench)
    after = await bench.snapshot()
    return by_effect(what, before, after, (f"> {packet.hex()}",))


CHECK: Final = Check(
    id=ID,
    title="a client that has never subscribed is gated like everybody else",
    requirement="A command that nobody can be answered about is refused all the same.",
    why="Servers execute what comes without a subscription; a gate in the subscription's callback never sees it.",
    how="Notifications are switched off, and an erase is written to the characteristic's handle, in each mode.",
    finding="Whoever does not wait for an answer changes firmware in a machine that works.",
    remedy="Gate the command (MGMT_EVT_OP_CMD_RECV), not the subscription.",
    catches="a client without a subscription passes by the gate",
    impact=Impact.REVERSIBLE,
    act=Story(play=play, of_radio=True),
)
