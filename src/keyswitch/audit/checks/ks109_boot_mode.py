"""KS-109: nobody brings the device into its bootloader outside maintenance."""

from typing import Final

from keyswitch.audit.catalogue import Check, Impact, Matrix, Situation
from keyswitch.audit.wire import Attempt, attempt
from keyswitch.smp.commands import CommandKey
from keyswitch.smp.groups import os
from keyswitch.smp.header import Op

ID: Final = "KS-109"
RESET: Final = CommandKey(os.ID, os.Id.RESET, Op.WRITE)


def attempts(situation: Situation) -> tuple[Attempt, ...]:
    """A reset that asks for the bootloader."""
    del situation
    return (attempt(ID, RESET, "reset into the bootloader", {"boot_mode": 1}),)


CHECK: Final = Check(
    id=ID,
    title="nobody brings the device into its bootloader outside maintenance",
    requirement="Outside maintenance no reset with boot_mode is granted.",
    why="Serial recovery and firmware loaders know no modes: whoever gets there is past the gate.",
    how="A reset with boot_mode 1 in each mode that does not list os.reset; a boot id that stays is the proof.",
    finding="One request leads past everything that the policy says.",
    remedy=(
        "Build without CONFIG_MCUMGR_GRP_OS_RESET_BOOT_MODE, or refuse by os_mgmt_reset_data.boot_mode in the"
        " reset hook."
    ),
    catches="a reset into the bootloader is not gated",
    impact=Impact.REVERSIBLE,
    act=Matrix(attempts=attempts),
    resets=True,
    commands=frozenset({RESET}),
)
