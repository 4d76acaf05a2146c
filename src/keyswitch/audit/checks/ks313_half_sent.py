"""KS-313: a command that was half sent when maintenance ended is not executed."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.gatt_story import has_radio, kept_handle
from keyswitch.audit.story import ERASE, GONE_ON_MS, by_effect, go_outside, not_for, undecided
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part
from keyswitch.audit.wire import attempt
from keyswitch.terms import Transport

ID: Final = "KS-313"
HALF: Final = 12
"""Bytes that are sent in maintenance: the header, so that the rest is waited for, and the beginning of the body."""


async def play(bench: Bench) -> tuple[Part, ...]:
    """Send the first bytes of an erase, leave, and send the rest: over that connection, and over the next one."""
    what = "an erase, half of which was sent in maintenance"
    if not has_radio(bench):
        return (not_for(what, "the policy does not serve Bluetooth LE, where commands come in pieces"),)
    if bench.main is not Transport.BLE:
        raise NotReachedError("this enters over Bluetooth LE: give that target first, and the others with --also")
    handle = await kept_handle(bench)
    return tuple([await _halves(bench, f"{what}, {words}", handle, again=again) for words, again in _WAYS])


_WAYS: Final = (("the rest over the same connection", False), ("the rest over the next connection", True))


async def _halves(bench: Bench, what: str, handle: int, *, again: bool) -> Part:
    visit = await bench.prepare()
    before = await bench.snapshot(visit)
    table = visit.table
    if table is None or not before.decides(ERASE):
        return undecided(what, "an erase could not be seen, or this way tells no handles (hci: targets do)")
    body = {"pad": bytes(32)}  # a key that no server knows, and skips: the packet is long enough to be cut
    packet = attempt(ID, ERASE, "erase the other slot", body).packet(visit.next_sequence())
    await table.write_handle(handle, packet[:HALF])
    await bench.leave(visit)
    await bench.pause(GONE_ON_MS)
    if again or visit.closed:
        await bench.hang_up()
        visit = await bench.visit()
        table = visit.table
    if table is not None:
        await table.write_handle(handle, packet[HALF:])
    await bench.settle()
    await go_outside(bench)
    after = await bench.snapshot()
    return by_effect(what, before, after, (f"> {packet[:HALF].hex()}", f"> {packet[HALF:].hex()}"))


CHECK: Final = Check(
    id=ID,
    title="a command that was half sent when maintenance ended is not executed",
    requirement="Leaving drops what was half received, and a command is gated when it is whole.",
    why="Reassembly has no time limit on most servers: the rest may come minutes later, from somebody else.",
    how="The first bytes of an erase are written in maintenance, maintenance is left, and the rest is written.",
    finding="What began inside ends outside: firmware changes after maintenance is over.",
    remedy="Drop partial frames on leaving (smp_client reassembly buffers too); gate when a frame is executed.",
    catches="a frame is gated when its first piece arrives",
    impact=Impact.REVERSIBLE,
    act=Story(play=play, of_radio=True),
)
