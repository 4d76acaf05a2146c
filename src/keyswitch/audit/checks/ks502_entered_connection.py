"""KS-502: what happens to the connection that enters is what the strategy says."""

from typing import Final

from keyswitch.audit.bench import GONE_MS, Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.gatt_story import end_quietly, entered_by_radio, has_radio, outside_visit, radio_visit, strategy
from keyswitch.audit.story import failed, not_for, passed
from keyswitch.audit.verdict import Part
from keyswitch.errors import LinkLostError
from keyswitch.policy.enums import Visibility

ID: Final = "KS-502"
STAYS_MS: Final = 2_000
"""A connection that is up for that long after entering is not ended for it."""


async def play(bench: Bench) -> tuple[Part, ...]:
    """Enter over a connection, and see whether it ends and what the next one finds."""
    what = "the connection over which maintenance is entered"
    if not has_radio(bench):
        return (not_for(what, "the policy does not serve Bluetooth LE"),)
    entered_by_radio(bench)
    visit, table = await outside_visit(bench)
    said = await bench.enter_from(visit)
    part = await (_ends(bench, what) if strategy(bench) is Visibility.RECONNECT else _stays(bench, what))
    if said is (strategy(bench) is not Visibility.RECONNECT) and bench.target.strategy is not None:
        words = "the answer to entering says otherwise than what the strategy promises"
        part = failed(what, words, effects=[words])
    del table
    await end_quietly(bench)
    return (part,)


async def _ends(bench: Bench, what: str) -> Part:
    visit = bench.made[-1]
    if await visit.connection.wait_closed(GONE_MS) is None:
        words = f"it is still up {GONE_MS / 1000:g} s after maintenance was entered, with a table of before"
        return failed(what, words, effects=[words])
    await bench.hang_up()
    try:
        visit, _ = await radio_visit(bench, smp_shown=True)
    except LinkLostError:
        visit, _ = await radio_visit(bench)  # it is there: then it does not say that it is open
        words = "the device came back and does not advertise the SMP service"
        return failed(what, words, effects=[words])
    if not visit.shows_smp:
        words = "the device came back, advertises the SMP service, and has none in its table"
        return failed(what, words, effects=[words])
    return passed(what, "it was ended, and the device came back with the SMP service advertised and in its table")


async def _stays(bench: Bench, what: str) -> Part:
    visit = bench.made[-1]
    if await visit.connection.wait_closed(STAYS_MS) is not None:
        words = f"it was ended, and {strategy(bench).value!r} promises that it stays"
        return failed(what, words, effects=[words])
    table = visit.table
    if table is not None:
        await table.look_anew()
    if not visit.shows_smp:
        words = "it stays, and the SMP service is not in its table"
        return failed(what, words, effects=[words])
    return passed(what, "it stays, and has the SMP service in its table")


CHECK: Final = Check(
    id=ID,
    title="the connection that enters is ended, or stays, as the strategy says",
    requirement=(
        'With "reconnect" the connection that entered is ended and the device comes back showing the service; with the'
        " other strategies it stays and the service is there."
    ),
    why="Most phones discover once for each connection: a table that changes under one is not seen, or seen wrongly.",
    how="Maintenance is entered over Bluetooth LE; the link is watched, and the table is discovered anew.",
    finding="Clients wait for a reconnect that does not come, or lose a connection that they were told to keep.",
    remedy=(
        "End the connection once the answer's notification is sent (bt_conn_disconnect in its sent callback), and"
        " register the service in the disconnected callback."
    ),
    catches="the connection that entered is not ended",
    impact=Impact.READ_ONLY,
    act=Story(play=play, of_radio=True),
)
