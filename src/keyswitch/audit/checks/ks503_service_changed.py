"""KS-503: who has subscribed to Service Changed is told when the table changes."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.gatt_story import (
    TOLD_WITHIN_MS,
    end_quietly,
    entered_by_radio,
    has_radio,
    kept_handle,
    outside_visit,
    strategy,
)
from keyswitch.audit.story import failed, not_for, passed
from keyswitch.audit.verdict import Part
from keyswitch.policy.enums import Visibility

ID: Final = "KS-503"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Subscribe to Service Changed, enter and leave over the same connection, and see what is told."""
    what = "a client that has subscribed to Service Changed"
    if not has_radio(bench) or strategy(bench) is not Visibility.LIVE:
        return (not_for(what, "the table never changes under a connection"),)
    entered_by_radio(bench)
    handle = await kept_handle(bench)
    visit, table = await outside_visit(bench)
    told: list[bytes] = []
    if not await table.watch_services(told.append):
        words = "the server has no Service Changed, and its table changes"
        return (failed(what, words, effects=[words]),)
    await bench.enter_from(visit)
    parts = [await _told(bench, f"{what}, maintenance entered", told, handle)]
    told.clear()
    await bench.leave(visit)
    parts.append(await _told(bench, f"{what}, maintenance left", told, handle))
    await end_quietly(bench)
    return tuple(parts)


async def _told(bench: Bench, what: str, told: list[bytes], handle: int) -> Part:
    await bench.pause(TOLD_WITHIN_MS)
    ranges = [(int.from_bytes(each[:2], "little"), int.from_bytes(each[2:4], "little")) for each in told]
    if any(first <= handle <= last for first, last in ranges):
        return passed(what, "it is told of a range that holds the SMP characteristic")
    heard = ", ".join(f"{first:#06x} to {last:#06x}" for first, last in ranges) or "nothing"
    words = f"within {TOLD_WITHIN_MS / 1000:g} s it is told of {heard}; the SMP characteristic lies at {handle:#06x}"
    return failed(what, words, effects=[words])


CHECK: Final = Check(
    id=ID,
    title="who has subscribed to Service Changed is told when the table changes",
    requirement="A change of the table under a connection is told to each client that subscribed to Service Changed.",
    why="A client that is not told goes on with handles that are gone: its commands vanish without an error.",
    how="Service Changed is subscribed to; maintenance is entered and left over the same connection.",
    finding="Clients that do all that the specification asks of them still work with a stale table.",
    remedy="Build with CONFIG_BT_GATT_SERVICE_CHANGED=y and CONFIG_BT_GATT_DYNAMIC_DB=y.",
    catches="Service Changed is not sent",
    impact=Impact.READ_ONLY,
    act=Story(play=play, of_radio=True),
)
