"""KS-110: no setting is written outside maintenance."""

from typing import Final

from keyswitch.audit.bench import SETTING
from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import settings
from keyswitch.smp.header import Op

ID: Final = "KS-110"


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Writing, deleting, putting into effect, storing; on a name of the auditor's own."""
    del situation
    value, delete, commit, storage = (
        CommandKey(settings.ID, command, Op.WRITE)
        for command in (settings.Id.VALUE, settings.Id.DELETE, settings.Id.COMMIT, settings.Id.STORAGE)
    )
    return (
        attempt(ID, value, "write a setting", {"name": SETTING, "val": b"not in maintenance"}),
        attempt(ID, commit, "put settings into effect"),
        attempt(ID, storage, "store settings"),
        attempt(ID, delete, "delete a setting", {"name": SETTING}),
    )


CHECK: Final = Check(
    id=ID,
    title="no setting is written outside maintenance",
    requirement="Outside maintenance no setting is written, deleted, put into effect or stored.",
    why="Settings hold bonds, keys, calibration and boot flags: they change what the machine does at its next start.",
    how=(
        "A setting of the auditor's own, app/ks-audit, is made in maintenance and attacked in each mode that "
        "does not list the command."
    ),
    finding="Anybody in reach changes the configuration, the list of trusted peers among it.",
    remedy=(
        "Build without group 3 in products, or refuse it in the command hook; "
        "MGMT_EVT_OP_SETTINGS_MGMT_ACCESS sees names."
    ),
    catches="settings are not gated",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts),
    commands=frozenset(
        CommandKey(settings.ID, command, Op.WRITE)
        for command in (settings.Id.VALUE, settings.Id.DELETE, settings.Id.COMMIT, settings.Id.STORAGE)
    ),
)
