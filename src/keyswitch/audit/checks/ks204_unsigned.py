"""KS-204: an image that was cut short, or whose signature was taken off, is not run."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.forged import cut_short, without_signature
from keyswitch.audit.story import firmware, go_outside, never_runs
from keyswitch.audit.verdict import Part

ID: Final = "KS-204"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Upload both, mark them, reset, and look what runs."""
    data, _ = firmware(bench)
    parts = [
        await never_runs(bench, forged.words, forged.data, forged.hash)
        for forged in (cut_short(data), without_signature(data))
    ]
    await go_outside(bench)
    return tuple(parts)


CHECK: Final = Check(
    id=ID,
    title="an image without its end, or without its signature, is not run",
    requirement="An image runs only whole, and with a signature.",
    why="An upload breaks off in the middle; and a bootloader that checks only what is there can be given less.",
    how=(
        "In maintenance, the first half of --next; then --next with signature and key hash taken off: each uploaded,"
        " marked for a trial, started by a reset."
    ),
    finding="Whoever can upload can run anything, by leaving the signature out.",
    remedy="Build MCUboot with a signature (SB_CONFIG_BOOT_SIGNATURE_TYPE_…); never with BOOT_SIGNATURE_TYPE_NONE.",
    catches="an image without a signature is run",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
    resets=True,
)
