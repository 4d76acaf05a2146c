"""KS-203: an update works in maintenance, and goes back if nobody confirms it."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import failed, firmware, mark, not_for, passed, reset_in_maintenance, running, send_back
from keyswitch.audit.verdict import Part

ID: Final = "KS-203"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Upload, mark, reset, see it run; leave without confirming, and see the old one run."""
    bootloader = bench.target.policy.bootloader
    if not bootloader.has_trials(0):
        return (not_for("an update that goes back", f'"{bootloader.algorithm}" has no trial: what is started stays'),)
    _, digest = firmware(bench)
    visit = await mark(bench, digest)
    old = await running(visit)
    await reset_in_maintenance(bench, visit)
    here = await bench.mode()
    if not bench.target.policy.modes[here].maintenance:
        return (failed("an update in maintenance", f"the session did not outlive its own reset: the mode is {here}"),)
    visit = await bench.enter()
    if await running(visit) != digest:
        return (failed("an update in maintenance", "the new image does not run after its trial was asked for"),)
    works = passed("an update in maintenance", "uploaded, marked, started, and the session went on")
    await bench.leave(visit)
    await bench.hang_up()
    await bench.settle()
    await bench.go(bench.target.policy.device.initial_mode)
    runs = await running(await bench.enter())
    what = "maintenance left during the trial, without a confirmation"
    if runs == old:
        return (works, passed(what, "the old image runs again"))
    await send_back(bench, old)
    return (works, failed(what, "the new image runs on outside maintenance", effects=["the new image stays"]))


CHECK: Final = Check(
    id=ID,
    title="an update works in maintenance, and goes back if nobody confirms it",
    requirement="A trial ends in maintenance: confirmed, or reverted.",
    why=(
        "A trial that runs on outside maintenance reverts at some later power-up: firmware changes at a "
        "moment that nobody planned."
    ),
    how=(
        "The whole update with --next but its confirmation; then maintenance is left, and the running image "
        "is looked at. Not applicable where the policy's bootloader has no trial."
    ),
    finding="Unconfirmed firmware runs in the working machine, and may vanish from it at any power-up.",
    remedy="Revert before leaving: reset while the session still stands, and only then change the mode.",
    catches="leaving reverts no trial",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
    resets=True,
)
