"""KS-504: the Database Hash is another one exactly where the table is another one."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.gatt_story import end_quietly, has_radio, outside_visit, radio_visit
from keyswitch.audit.story import failed, not_for, passed
from keyswitch.audit.verdict import Part
from keyswitch.terms import Transport

ID: Final = "KS-504"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Read it outside, in maintenance, and outside again, beside a whole discovery."""
    what = "the Database Hash outside maintenance, in it, and outside again"
    if not has_radio(bench):
        return (not_for(what, "the policy does not serve Bluetooth LE"),)
    seen = [await _outside(bench)]
    await bench.enter()
    visit, table = await radio_visit(bench, smp_shown=bench.main is not Transport.BLE)
    seen.append((visit.shows_smp, await table.read_hash()))
    await end_quietly(bench)
    seen.append(await _outside(bench))
    if not any(told for _, told in seen):
        return (not_for(what, "the server has none: clients have to discover at each connection"),)
    (shown, hashed), rest = seen[0], seen[1:]
    for other, told in rest:
        if (shown == other) is not (hashed == told):
            words = "the hash stayed and the table did not" if hashed == told else "the table stayed, the hash did not"
            return (failed(what, words, effects=[words]),)
    changes = len({told for _, told in seen}) > 1
    return (passed(what, f"it {'changes with the table' if changes else 'stays, and so does the table'}"),)


async def _outside(bench: Bench) -> tuple[bool, bytes]:
    visit, table = await outside_visit(bench)
    return visit.shows_smp, await table.read_hash()


CHECK: Final = Check(
    id=ID,
    title="the Database Hash changes exactly when the table does",
    requirement="Equal hashes mean equal tables; another table has another hash.",
    why="A client that caches by the hash believes it: with a hash that stays, it never looks for the service again.",
    how="The hash is read, and the table discovered beside it, outside maintenance, in it, and outside again.",
    finding="A phone has to be told to forget the device before it sees the service.",
    remedy="Build with CONFIG_BT_GATT_CACHING=y; do not change attributes behind the stack's back.",
    catches="the Database Hash never changes",
    impact=Impact.READ_ONLY,
    act=Story(play=play, of_radio=True),
)
