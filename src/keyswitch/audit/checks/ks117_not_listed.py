"""KS-117: a mode serves what it lists, and nothing else."""

from dataclasses import replace
from typing import Any, Final

from keyswitch.audit.bench import FILE, SETTING
from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt, key_name
from keyswitch.policy.firmware_commands import FIRMWARE_COMMANDS
from keyswitch.smp.commands import ALL_KEYS
from keyswitch.smp.groups import fs, mode, os, settings
from keyswitch.smp.header import Op

ID: Final = "KS-117"
_BODIES: Final[dict[tuple[int, int], dict[str, Any]]] = {
    (os.ID, os.Id.ECHO): {"d": "ks"},
    (os.ID, os.Id.DATETIME): {"datetime": "2026-01-01T00:00:00"},
    (settings.ID, settings.Id.VALUE): {"name": SETTING},
    (fs.ID, fs.Id.FILE): {"name": FILE, "off": 0},
    (fs.ID, fs.Id.STATUS): {"name": FILE},
    (fs.ID, fs.Id.HASH): {"name": FILE},
}
_NOT_TRIED: Final = frozenset({(os.ID, os.Id.DATETIME, Op.WRITE)})
"""Setting a clock is an effect of its own that could not be put back."""


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Every command that changes no firmware; what it gives is its answer."""
    del situation
    return tuple(
        replace(attempt(ID, key, key_name(key), _BODIES.get((key.group, key.id))), answer_only=True)
        for key in sorted(ALL_KEYS - FIRMWARE_COMMANDS.keys())
        if key not in _NOT_TRIED and key.group != mode.ID
    )


CHECK: Final = Check(
    id=ID,
    title="a mode serves what it lists, and nothing else",
    requirement="A command that the policy does not list for a mode is refused there, reading included.",
    why="What may be read outside maintenance was decided once; files, settings and versions help whoever attacks.",
    how="Every known command that changes no firmware, besides the mode group, in each mode that does not list it.",
    finding="The device tells or does more in this mode than its policy says.",
    remedy="Gate by an allow list over all groups, not by a list of what is forbidden.",
    catches="commands that only read are not gated",
    impact=Impact.READ_ONLY,
    act=Matrix(attempts=attempts),
)
