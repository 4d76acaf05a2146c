"""A build directory: which images it made, and the bootloader as it was really built.

Rules kept here:

* what the build does not say is said to be a guess;
* a bootloader that a policy cannot describe is refused with its Kconfig symbol, not described as another one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError
from keyswitch.mcuboot.config import Downgrade, LoaderEntrance
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import NOT_MODELLED, Algorithm
from keyswitch.policy.model import BootloaderSettings, ImagePair
from keyswitch.zephyr.kconfig import SYSBUILD, Kconfig, read_kconfig
from keyswitch.zephyr.partitions import Partition, SlotPartitions, read_devicetree, read_partitions_yml

_CONFIG: Final = Path("zephyr") / ".config"
_MCUBOOT: Final = "mcuboot"

ALGORITHMS: Final = {
    "BOOT_SWAP_USING_MOVE": Algorithm.SWAP_MOVE,
    "BOOT_SWAP_USING_OFFSET": Algorithm.SWAP_OFFSET,
    "BOOT_UPGRADE_ONLY": Algorithm.OVERWRITE_ONLY,
    "BOOT_DIRECT_XIP": Algorithm.DIRECT_XIP_NO_REVERT,
    "BOOT_FIRMWARE_LOADER": Algorithm.FIRMWARE_LOADER,
    "SINGLE_APPLICATION_SLOT": Algorithm.SINGLE_SLOT,
}
"""MCUboot's choice `BOOT_IMAGE_UPGRADE_MODE` (boot/zephyr/Kconfig), as far as a policy can describe it.

Direct-XIP with `BOOT_DIRECT_XIP_REVERT` is the one with revert."""
NOT_DESCRIBED: Final = {
    "BOOT_SWAP_USING_SCRATCH": "swap-scratch",
    "BOOT_RAM_LOAD": "ram-load",
    "SINGLE_APPLICATION_SLOT_RAM_LOAD": "single-slot-ram-load",
}
"""The rest of that choice, by the word for it."""
_ENTRANCES: Final = {
    "BOOT_FIRMWARE_LOADER_BOOT_MODE": LoaderEntrance.BOOT_MODE,
    "BOOT_FIRMWARE_LOADER_ENTRANCE_GPIO": LoaderEntrance.PIN,
    "BOOT_FIRMWARE_LOADER_PIN_RESET": LoaderEntrance.PIN,
    "BOOT_FIRMWARE_LOADER_NO_APPLICATION": LoaderEntrance.NO_APPLICATION,
}
"""boot/zephyr/Kconfig.firmware_loader."""
_HASHES: Final = {
    "BOOT_IMG_HASH_ALG_SHA256": VerifiedHash.SHA256,
    "BOOT_IMG_HASH_ALG_SHA384": VerifiedHash.SHA384,
    "BOOT_IMG_HASH_ALG_SHA512": VerifiedHash.SHA512,
}
_NO_ERASE: Final = ("SOC_FLASH_NRF_RRAM", "SOC_FLASH_NRF_MRAM")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What one build directory holds.

    Attributes:
        directory: of the build.
        mcuboot: the bootloader's configuration.
        application: the application's, None if none was found.
        sysbuild: sysbuild's own, None for builds without it.
        slots: where the slots of the images lie.
    """

    directory: Path
    mcuboot: Kconfig
    application: Kconfig | None
    sysbuild: Kconfig | None
    slots: SlotPartitions


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltBootloader:
    """The bootloader that a build made.

    Attributes:
        settings: in a policy's terms, without a key; `guessed` where the build does not say how its flash is written.
        key_file: the signing key as MCUboot's configuration names it, None if it names none.
        external: whether the secondary slot lies on another chip.
    """

    settings: BootloaderSettings
    key_file: str | None
    external: bool


def read_build(directory: Path) -> Build:
    """Read a build directory of `west build`, with sysbuild or with a child image for MCUboot.

    Raises:
        InputError: no build, a build without MCUboot, or without slots; says which file was looked for.
    """
    mcuboot = directory / _MCUBOOT / _CONFIG
    if not mcuboot.is_file():
        expected = f"a directory of `west build` with MCUboot, so with {_MCUBOOT}/{_CONFIG}"
        raise InputError(str(directory), "no build with MCUboot", expected)
    top = directory / _CONFIG
    top_config = read_kconfig(top) if top.is_file() else None
    sysbuild = top_config if top_config is not None and top_config.prefix == SYSBUILD else None
    application = top_config if sysbuild is None else _application(directory)
    return Build(
        directory=directory,
        mcuboot=read_kconfig(mcuboot),
        application=application,
        sysbuild=sysbuild,
        slots=_slots(directory),
    )


def _application(directory: Path) -> Kconfig | None:
    """The one image beside MCUboot that is an application of its own; None if that is not plain."""
    others = sorted(path for path in directory.glob(f"*/{_CONFIG}") if path.parts[-3] != _MCUBOOT)
    found = [read_kconfig(path) for path in others]
    applications = [each for each in found if each.on("BOOTLOADER_MCUBOOT")]
    return applications[0] if len(applications) == 1 else None


def _slots(directory: Path) -> SlotPartitions:
    partitions = directory / "partitions.yml"
    devicetree = directory / _MCUBOOT / "zephyr" / "zephyr.dts"
    if not partitions.is_file():
        return read_devicetree(devicetree)
    found = read_partitions_yml(partitions)
    if not devicetree.is_file():
        return found
    try:
        flash = read_devicetree(devicetree)
    except InputError:
        return found
    return SlotPartitions(
        source=found.source,
        primary=found.primary,
        secondary=found.secondary,
        sector_size=flash.sector_size,
        write_block=flash.write_block,
        further=found.further,
    )


def bootloader_of(build: Build) -> BuiltBootloader:
    """The bootloader in a policy's terms.

    Raises:
        InputError: a policy cannot describe it; names the Kconfig symbol and the file.
    """
    config = build.mcuboot
    for symbol, word in NOT_DESCRIBED.items():
        if config.on(symbol):
            expected = ", ".join(f"CONFIG_{each}" for each in ALGORITHMS)
            raise InputError(f"{config.path}: CONFIG_{symbol}", f'"{word}" {NOT_MODELLED[word]}', f"one of {expected}")
    algorithm = next((each for symbol, each in ALGORITHMS.items() if config.on(symbol)), None)
    if algorithm is None:
        raise InputError(str(config.path), "no image upgrade mode", "a .config of MCUboot")
    if config.on("BOOT_DIRECT_XIP_REVERT"):
        algorithm = Algorithm.DIRECT_XIP
    primary, secondary = build.slots.primary, build.slots.secondary
    if algorithm is Algorithm.SINGLE_SLOT:
        secondary = None
    elif secondary is None:
        raise InputError(str(build.slots.source), "no secondary slot", "two slots")
    sector_size, write_block = build.slots.sector_size, build.slots.write_block
    usual = BootloaderSettings()
    settings = BootloaderSettings(
        algorithm=algorithm,
        hash=_hash(config),
        slot_size=primary.size,
        secondary_size=None if secondary is None or secondary.size == primary.size else secondary.size,
        loader_entrance=tuple(dict.fromkeys(each for symbol, each in _ENTRANCES.items() if config.on(symbol))),
        max_sectors=None if config.on("BOOT_MAX_IMG_SECTORS_AUTO") else config.number("BOOT_MAX_IMG_SECTORS"),
        sector_size=sector_size or usual.sector_size,
        write_block=write_block or usual.write_block,
        needs_erase=not any(config.on(symbol) for symbol in _NO_ERASE),
        downgrade=_downgrade(config),
        guessed=sector_size is None or write_block is None,
        images=_images(build, algorithm, primary, secondary),
    )
    key_file = config.text("BOOT_SIGNATURE_KEY_FILE")
    return BuiltBootloader(settings=settings, key_file=key_file, external=secondary is not None and secondary.external)


def _images(
    build: Build, algorithm: Algorithm, primary: Partition, secondary: Partition | None
) -> tuple[ImagePair, ...]:
    """The slots of each image where MCUboot is built for several; none where it is built for one.

    nRF5340's network core is copied by sdk-mcuboot where the application is swapped.
    """
    config = build.mcuboot
    count = config.number("UPDATEABLE_IMAGE_NUMBER") or 1
    if count == 1:
        return ()
    if secondary is None or not algorithm.updates_itself:
        raise InputError(f"{config.path}: CONFIG_UPDATEABLE_IMAGE_NUMBER", f"{count} images with {algorithm}", "1")
    pairs = ((primary, secondary), *build.slots.further)
    if count > len(pairs):
        problem = f"{count} images, and {build.slots.source} has the slots of {len(pairs)}"
        raise InputError(f"{config.path}: CONFIG_UPDATEABLE_IMAGE_NUMBER", problem, "both slots of each image")
    core = config.number("MCUBOOT_NETWORK_CORE_IMAGE_NUMBER") if config.on("NRF53_MULTI_IMAGE_UPDATE") else None
    return tuple(
        ImagePair(
            slot_size=one.size,
            secondary_size=other.size,
            copied=algorithm.swaps and core is not None and number == core,
        )
        for number, (one, other) in enumerate(pairs[:count])
    )


def _hash(config: Kconfig) -> VerifiedHash | None:
    if config.on("BOOT_SIGNATURE_TYPE_PURE"):
        return VerifiedHash.PURE
    return next((each for symbol, each in _HASHES.items() if config.on(symbol)), None)


def _downgrade(config: Kconfig) -> Downgrade:
    if config.on("MCUBOOT_DOWNGRADE_PREVENTION_SECURITY_COUNTER"):
        return Downgrade.BY_COUNTER
    return Downgrade.BY_VERSION if config.on("MCUBOOT_DOWNGRADE_PREVENTION") else Downgrade.ALLOWED
