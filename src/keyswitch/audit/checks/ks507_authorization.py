"""KS-507: authorization is asked at each access, and not once for each connection."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.gatt_story import (
    end_quietly,
    entered_by_radio,
    has_radio,
    outside_visit,
    strategy,
    subscribe_to_smp,
)
from keyswitch.audit.story import GONE_ON_MS, failed, not_for, passed
from keyswitch.audit.verdict import Part
from keyswitch.link.ports import GattRefused
from keyswitch.policy.enums import Visibility

ID: Final = "KS-507"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Subscribe before entering, inside, and after leaving, over one connection."""
    what = "a subscription to the SMP characteristic"
    if not has_radio(bench) or strategy(bench) is not Visibility.AUTHORIZE:
        return (not_for(what, "the policy asks for no authorization by ATT"),)
    entered_by_radio(bench)
    visit, table = await outside_visit(bench)
    parts = [_refused(f"{what} before maintenance", await subscribe_to_smp(table, on=True))]
    await bench.enter_from(visit)
    inside = await subscribe_to_smp(table, on=True)
    words = f"{what} in maintenance, over the same connection"
    if inside is None:
        parts.append(passed(words, "it is taken"))
    else:
        parts.append(failed(words, f"it is refused: {inside}", effects=[str(inside)]))
    await bench.leave(visit)
    await bench.pause(GONE_ON_MS)
    if not visit.closed:
        after = await subscribe_to_smp(table, on=True)
        parts.append(_refused(f"{what} after leaving, over the same connection", after))
    await end_quietly(bench)
    return tuple(parts)


def _refused(what: str, refusal: GattRefused | None) -> Part:
    if refusal is None:
        return failed(what, "it is taken outside maintenance", effects=["a subscription outside maintenance"])
    if refusal.not_authorized:
        return passed(what, "it gets Insufficient Authorization (0x08); KS-101 to KS-118 try the commands")
    words = f"it is refused, and not by Insufficient Authorization (0x08): {refusal}"
    return failed(what, words, effects=[words])


CHECK: Final = Check(
    id=ID,
    title="authorization is asked at each access, and not once for each connection",
    requirement="Outside maintenance each access to the SMP characteristic gets error 0x08, also after a session.",
    why="A connection that was let in once stays for hours; what it was let in for is over after minutes.",
    how="One connection subscribes before maintenance, in it, and after it.",
    finding="Who has been authorised once keeps the service. If commands are not gated either, that is an open gate.",
    remedy="Ask for the mode inside the callbacks of bt_gatt_authorization_cb_register(); keep no result of it.",
    catches="authorization is remembered for the connection",
    impact=Impact.READ_ONLY,
    act=Story(play=play, of_radio=True),
)
