"""KS-602: an older image does not come back, where the policy says so."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.story import confirm_next, firmware, go_outside, never_runs, not_for, running
from keyswitch.audit.target import Firmware, NotReachedError
from keyswitch.audit.verdict import Part
from keyswitch.mcuboot.config import Downgrade
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import Image, ImageFault, parse_image

ID: Final = "KS-602"


async def play(bench: Bench) -> tuple[Part, ...]:
    """See that --next runs, confirmed; then upload --image, mark it, reset, and look what runs."""
    what = "an image that is older than the one that runs"
    kind = bench.target.policy.bootloader.downgrade
    if kind is Downgrade.ALLOWED:
        return (not_for(what, "the policy allows downgrades"),)
    good = bench.target.good
    if good is None:
        raise NotReachedError("this needs the image that runs, or an older one: give it with --image")
    data, digest = firmware(bench)
    if good.hash == await running(await bench.enter()):
        await confirm_next(bench)
    if await running(await bench.enter()) == digest and not _is_older(good, data, kind):
        return (not_for(what, f"--image is not older than --next by its {kind.value}"),)
    part = await never_runs(bench, what, good.data, good.hash)
    await go_outside(bench)
    return (part,)


def _is_older(good: Firmware, newer: bytes, kind: Downgrade) -> bool:
    old, new = _read(good.data), _read(newer)
    if kind is Downgrade.BY_VERSION:
        return old.version.without_build < new.version.without_build
    return (old.security_counter or 0) < (new.security_counter or 0)


def _read(data: bytes) -> Image:
    image = parse_image(BytesSource(data))
    if isinstance(image, ImageFault):
        raise NotReachedError(f"an image cannot be read: {image.line}")
    return image


CHECK: Final = Check(
    id=ID,
    title="an older image does not come back",
    requirement="Where the policy declares protection against downgrades, an older signed image is not run.",
    why="Old firmware has its old faults, and is signed as well as the new one.",
    how=(
        "--next is installed and confirmed where --image runs; then --image is uploaded, marked for a trial, started by"
        " a reset. --next stays."
    ),
    finding="Whoever may update may also bring back every fault that was ever mended.",
    remedy="Build MCUboot with BOOT_UPGRADE_ONLY, MCUBOOT_DOWNGRADE_PREVENTION or a security counter.",
    catches="downgrades are not refused",
    impact=Impact.IRREVERSIBLE,
    act=Story(play=play),
    resets=True,
)
