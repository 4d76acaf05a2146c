"""KS-116: reserved protocol versions execute nothing."""

from dataclasses import replace
from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.checks import ks101_upload_first, ks106_erase, ks108_reset, ks113_storage
from keyswitch.audit.wire import Attempt

ID: Final = "KS-116"
VERSIONS: Final = (2, 3)
"""In the header's two bits; no specification has them."""


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Each version with the commands that would show an effect."""
    return situation.seen(
        replace(each, check=ID, version=version, words=f"{each.words}, in reserved version {version}")
        for check in (ks101_upload_first, ks106_erase, ks113_storage, ks108_reset)
        for each in check.attempts(situation)[:1]
        for version in VERSIONS
    )


CHECK: Final = Check(
    id=ID,
    title="reserved protocol versions execute nothing",
    requirement="A frame of a version that no specification has is not executed.",
    why="Two bits of the header select a path that nobody has tested.",
    how="Upload, erase, storage erase and reset in frames of the versions 2 and 3.",
    finding="The gate is open to whoever sends a number that nobody thought of.",
    remedy="Answer UNSUPPORTED_TOO_NEW before anything else is done (Zephyr does since 3.5).",
    catches="a reserved version passes by the gate",
    impact=Impact.IRREVERSIBLE,
    act=Matrix(attempts=attempts),
    resets=True,
)
