"""KS-119: the mode service carries its own group and nothing else."""

from dataclasses import replace
from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.checks import ks101_upload_first, ks104_state_test, ks106_erase, ks108_reset
from keyswitch.audit.wire import Attempt

ID: Final = "KS-119"


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """Firmware commands, with their own operation and with a reserved one."""
    found = tuple(
        replace(each, check=ID)
        for check in (ks101_upload_first, ks104_state_test, ks106_erase, ks108_reset)
        for each in check.attempts(situation)[:1]
    )
    return (*found, *(replace(each, op=6, words=f"{each.words}, with operation 6") for each in found))


CHECK: Final = Check(
    id=ID,
    title="the mode service carries its own group and nothing else",
    requirement="No firmware command is executed that comes by the mode service, in maintenance neither.",
    why="The mode service is in the table in every mode: behind it there must be no second door.",
    how=(
        "Upload, state write, erase and reset written to the control characteristic of the mode service, in every mode."
    ),
    finding="The service that is always visible opens what the other one keeps shut.",
    remedy="Give the mode service a transport of its own, and refuse every other group on it.",
    catches="what comes by the mode service passes by the gate",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts, control_only=True),
    resets=True,
)
