"""KS-601: an update that was confirmed stays."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import confirm_next, failed, firmware, go_outside, install_good, not_for, passed, running
from keyswitch.audit.target import NotReachedError
from keyswitch.audit.verdict import Part
from keyswitch.mcuboot.config import Downgrade
from keyswitch.policy.enums import Confirm

ID: Final = "KS-601"


async def play(bench: Bench) -> tuple[Part, ...]:
    """The whole update, confirmed; then maintenance is left, the power taken away, and the running image looked at."""
    what = "an update that was confirmed, maintenance left, and the power taken away"
    if bench.target.policy.update.confirm is Confirm.SELF:
        return (not_for(what, "the policy lets the application alone confirm"),)
    _, digest = firmware(bench)
    await bench.leave(await confirm_next(bench))
    await go_outside(bench)
    try:
        await bench.power_cycle()
        await bench.settle()
    except NotReachedError:
        what = "an update that was confirmed, and maintenance left"
    runs = await running(await bench.enter())
    part = passed(what, "the new image runs")
    if runs != digest:
        words = f"the image that runs is {runs.hex()[:16]}, not the one that was confirmed"
        part = failed(what, words, effects=[words])
        bench.confirmed = False
    elif bench.target.policy.bootloader.downgrade is Downgrade.ALLOWED and await install_good(bench):
        bench.confirmed = False
    await go_outside(bench)
    return (part,)


CHECK: Final = Check(
    id=ID,
    title="an update that was confirmed stays",
    requirement="A confirmed image runs after leaving and after a loss of power.",
    why="A confirmation that is lost undoes the update at some later power-up, in the working machine.",
    how=(
        "The whole update with --next, confirmed; maintenance is left, the power taken away, and the running image"
        " looked at. --image is put back afterwards, where the policy allows downgrades; else --next stays."
    ),
    finding="The device goes back to old firmware at a moment that nobody planned.",
    remedy="Write image_ok (boot_write_img_confirmed) when the state write says so, and answer only afterwards.",
    catches="a confirmation is lost",
    impact=Impact.IRREVERSIBLE,
    act=Story(play=play),
    resets=True,
)
