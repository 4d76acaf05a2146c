"""Direct-XIP with revert: images run where they lie, the higher version first (`MCUBOOT_DIRECT_XIP_REVERT`)."""

from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.ops import CarryOut
from keyswitch.mcuboot.report import BootReport


def boot_in_place(flash: Flash, config: BootConfig, *, counters: tuple[int, ...], do: CarryOut) -> BootReport:
    """Boot once, without moving anything."""
    raise NotImplementedError
