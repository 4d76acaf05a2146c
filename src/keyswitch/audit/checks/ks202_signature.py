"""KS-202: an image whose content was changed is not run."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.forged import one_bit_changed
from keyswitch.audit.story import firmware, go_outside, never_runs
from keyswitch.audit.verdict import Part

ID: Final = "KS-202"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Upload it, mark it, reset, and look what runs."""
    forged = one_bit_changed(firmware(bench)[0])
    part = await never_runs(bench, forged.words, forged.data, forged.hash)
    await go_outside(bench)
    return (part,)


CHECK: Final = Check(
    id=ID,
    title="an image whose content was changed is not run",
    requirement="An image whose signature does not fit its content never runs.",
    why="A gate that is open for the right person still has to keep the wrong firmware out.",
    how=(
        "In maintenance, --next with one bit changed and its hash made to fit: uploaded, marked for a trial, "
        "started by a reset."
    ),
    finding="The bootloader runs what nobody has signed.",
    remedy="Build MCUboot with a signature (SB_CONFIG_BOOT_SIGNATURE_TYPE_…) and with BOOT_VALIDATE_SLOT0.",
    catches="the bootloader checks no signature",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
    resets=True,
)
