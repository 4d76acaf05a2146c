"""Usual numbers of a few boards' bootloaders: a guess to start from, until a build was read.

Slots are the default partitions of Zephyr's devicetree; what the bootloader verifies is nRF Connect SDK's default.
"""

from dataclasses import dataclass
from typing import Final

from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.model import BootloaderSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One board. Attributes: bootloader: its usual numbers; sources: where they stand."""

    bootloader: BootloaderSettings
    sources: tuple[str, ...]


def _usual(
    slot_size: int, build: VerifiedHash, *, write_block: int = 4, needs_erase: bool = True
) -> BootloaderSettings:
    return BootloaderSettings(
        algorithm=Algorithm.SWAP_MOVE,
        hash=build,
        slot_size=slot_size,
        sector_size=4096,
        write_block=write_block,
        needs_erase=needs_erase,
        guessed=True,
    )


_NCS: Final = "nRF Connect SDK sysbuild/Kconfig.mcuboot (swap using move; hash and signature by SoC)"
_PARTITIONS: Final = "zephyr dts/vendor/nordic/{}"

BOARDS: Final = {
    "nrf52840dk": Board(
        bootloader=_usual(0x76000, VerifiedHash.SHA256),
        sources=(_PARTITIONS.format("nrf52840_partition.dtsi"), _NCS),
    ),
    "nrf5340dk": Board(
        bootloader=_usual(0x70000, VerifiedHash.SHA256),
        sources=(_PARTITIONS.format("nrf5340_cpuapp_partition.dtsi"), _NCS),
    ),
    "nrf54l15dk": Board(
        bootloader=_usual(664 * 1024, VerifiedHash.SHA512, write_block=16, needs_erase=False),
        sources=(_PARTITIONS.format("nrf54l15_partition.dtsi"), _NCS),
    ),
}
