"""KS-505: commands of a client that has missed a change of the table are not executed."""

from contextlib import suppress
from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.gatt_story import (
    NOTIFY,
    OUT_OF_SYNC,
    TOLD_WITHIN_MS,
    end_quietly,
    entered_by_radio,
    has_radio,
    outside_visit,
    refusal_of,
    strategy,
)
from keyswitch.audit.story import LEAVE, failed, not_for, passed
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part
from keyswitch.audit.wire import attempt
from keyswitch.errors import SilenceError
from keyswitch.policy.enums import Visibility
from keyswitch.smp.groups import mode

ID: Final = "KS-505"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Say that we cache robustly, do not subscribe to Service Changed, enter, and send a command as if nothing were."""
    what = "a client that caches robustly and was not told of the change"
    if not has_radio(bench) or strategy(bench) is not Visibility.LIVE:
        return (not_for(what, "the table never changes under a connection"),)
    entered_by_radio(bench)
    visit, table = await outside_visit(bench)
    if not await table.cache_robustly():
        return (not_for(what, "the server knows no robust caching"),)
    if visit.mode is None or bench.target.strategy is None:
        raise NotReachedError("this needs a mode service over which maintenance is entered")
    ccc = await table.ccc_of(mode.SERVICE_UUID, mode.CONTROL_UUID)
    control = table.handle_of(mode.SERVICE_UUID, mode.CONTROL_UUID)
    with suppress(SilenceError):  # the answer may wait until the client knows the table: that is right
        await bench.enter_from(visit)
    await bench.pause(TOLD_WITHIN_MS)
    await table.write_handle(control, attempt(ID, LEAVE, "leave").packet(visit.next_sequence()))
    await bench.pause(TOLD_WITHIN_MS)
    refused = await refusal_of(table, ccc, NOTIFY)
    await refusal_of(table, ccc, NOTIFY)  # another request than the one that was refused: now the table is known
    here = await bench.mode()
    parts: list[Part] = []
    sent = f"{what}: a leave, sent as a Write Command"
    if not bench.target.policy.modes[here].maintenance:
        parts.append(failed(sent, f"it was executed: the device is in mode {here}", effects=[f"mode {here}"]))
    else:
        parts.append(passed(sent, f"it was ignored: the device is in mode {here}"))
    asked = f"{what}: its first request that names a handle"
    code = None if refused is None else refused.code
    if code == OUT_OF_SYNC:
        parts.append(passed(asked, "it gets Database Out Of Sync, and so learns of the change"))
    else:
        words = "it is answered as if nothing had changed" if refused is None else str(refused)
        parts.append(failed(asked, f"{words}: it never learns of the change", effects=[words]))
    await end_quietly(bench)
    return tuple(parts)


CHECK: Final = Check(
    id=ID,
    title="commands of a client that has missed a change of the table are not executed",
    requirement="Until it knows the new table, a client's commands are ignored, and its first request gets error 0x12.",
    why="It may mean another characteristic than the one that lies at the handle now.",
    how=(
        "A client that caches robustly and has not subscribed to Service Changed enters, sends a leave as a Write"
        " Command, and then a request."
    ),
    finding="A client with an old table does something else than it means, or is never told that it is out of date.",
    remedy="Build with CONFIG_BT_GATT_CACHING=y and CONFIG_BT_GATT_ENFORCE_CHANGE_UNAWARE=y.",
    catches="commands of a client that missed a change are executed",
    impact=Impact.REVERSIBLE,
    act=Story(play=play, of_radio=True),
)
