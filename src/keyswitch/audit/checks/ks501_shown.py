"""KS-501: the SMP service is in the table where the strategy says."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.gatt_story import has_radio, radio_visit, shown_in, strategy
from keyswitch.audit.story import GONE_ON_MS, failed, not_for, passed, undecided
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part
from keyswitch.policy.model import Mode
from keyswitch.terms import Transport

ID: Final = "KS-501"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Connect anew in each mode, and discover: in maintenance first, since what was shown there has to go."""
    if not has_radio(bench):
        return (not_for("the GATT table", "the policy does not serve Bluetooth LE"),)
    parts: list[Part] = []
    for mode in sorted(bench.target.policy.modes.values(), key=lambda mode: not mode.maintenance):
        try:
            parts.append(await _in(bench, mode))
        except NotReachedError as error:
            parts.append(undecided(f"the GATT table in mode {mode.name}", str(error)))
    return tuple(parts)


async def _in(bench: Bench, mode: Mode) -> Part:
    what = f"the GATT table in mode {mode.name}, found by a new connection"
    await (bench.enter() if mode.name == bench.maintenance else bench.go(mode.name))
    if not mode.maintenance or bench.main is not Transport.BLE:
        await bench.hang_up()
        await bench.pause(GONE_ON_MS)
    visit, _ = await radio_visit(bench)
    promised, shown = shown_in(bench, mode), visit.shows_smp
    words = f"it has {'the' if shown else 'no'} SMP service, as {strategy(bench).value!r} promises"
    if shown is promised:
        return passed(what, words)
    wrong = f"the SMP service is {'there' if shown else 'not there'}, and {strategy(bench).value!r} promises otherwise"
    return failed(what, wrong, effects=[wrong])


CHECK: Final = Check(
    id=ID,
    title="the SMP service is in the table where the strategy says",
    requirement="In each mode a client that connects anew finds the SMP service, or does not, as the policy declares.",
    why="Apps decide by the table whether an update is possible: one that lies sends people to the wrong step.",
    how="A new connection and a whole discovery in every mode.",
    finding="The table does not show the mode. That is no open gate by itself; it is what clients go by.",
    remedy=(
        "Call smp_bt_register() and smp_bt_unregister() from the one place that changes the mode, not from the"
        " handlers."
    ),
    catches="the service stays in the table outside maintenance",
    impact=Impact.READ_ONLY,
    act=Story(play=play, needs_mode=False, of_radio=True),
)
