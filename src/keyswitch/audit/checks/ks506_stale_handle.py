"""KS-506: the handle of a hidden service belongs to nobody else."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.gatt_story import has_radio, kept_handle, outside_visit, refusal_of
from keyswitch.audit.story import failed, not_for, passed
from keyswitch.audit.verdict import Part

ID: Final = "KS-506"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Look what lies at the handle of the SMP characteristic outside maintenance, and ask it for something."""
    what = "the handle at which the SMP characteristic lies in maintenance, outside it"
    if not has_radio(bench):
        return (not_for(what, "the policy does not serve Bluetooth LE"),)
    handle = await kept_handle(bench)
    visit, table = await outside_visit(bench)
    if visit.shows_smp:
        return (not_for(what, "the service is shown there as well, so that no handle is stale"),)
    if not table.is_free(handle):
        words = f"another service lies at {handle:#06x}"
        return (failed(what, words, effects=[words]),)
    refused = await refusal_of(table, handle, b"")
    if refused is None:
        words = f"{handle:#06x} is in no service, and takes a write all the same"
        return (failed(what, words, effects=[words]),)
    return (passed(what, f"no service has it, and a write to it is refused: {refused}"),)


CHECK: Final = Check(
    id=ID,
    title="the handle of a hidden service belongs to nobody else",
    requirement="While the SMP service is hidden, nothing lies at its handles.",
    why="A client with an old table writes firmware pieces there: into whatever characteristic has the handle now.",
    how="The handle is taken down in maintenance; outside, the table is discovered anew, and one write is asked for.",
    finding="What an app means for the update service goes to another service of the product.",
    remedy="Register the SMP service last, or give each service of the product a handle that never moves.",
    catches="the handle of the SMP service goes to another service",
    impact=Impact.REVERSIBLE,
    act=Story(play=play, of_radio=True),
)
