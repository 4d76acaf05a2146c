"""KS-205: an image that another key has signed is not run."""

from typing import Final

from keyswitch.audit.bench import Bench
from keyswitch.audit.catalogue import Check, Impact, Story
from keyswitch.audit.forged import signed_by_another
from keyswitch.audit.story import firmware, go_outside, never_runs
from keyswitch.audit.verdict import Part

ID: Final = "KS-205"


async def play(bench: Bench) -> tuple[Part, ...]:
    """Sign --next with a key that everybody knows; upload it, mark it, reset, and look what runs."""
    data, _ = firmware(bench)
    parts: list[Part] = []
    for named in (True, False):
        forged = signed_by_another(data, named=named)
        parts.append(await never_runs(bench, forged.words, forged.data, forged.hash))
    await go_outside(bench)
    return tuple(parts)


CHECK: Final = Check(
    id=ID,
    title="an image that another key has signed is not run",
    requirement="Only the product's own key signs what the device runs.",
    why="A signature is worth as much as the key is kept: the keys that MCUboot and SDKs ship with are public.",
    how=(
        "In maintenance, --next signed anew by a key of the auditor's, once naming that key and once naming the"
        " device's: uploaded, marked for a trial, started by a reset."
    ),
    finding="Anybody can sign firmware for this device.",
    remedy="Sign with a key of your own (SB_CONFIG_BOOT_SIGNATURE_KEY_FILE), kept on no developer's disk.",
    catches="a signature by any key is good",
    impact=Impact.REVERSIBLE,
    act=Story(play=play),
    resets=True,
)
