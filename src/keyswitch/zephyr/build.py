"""A build directory: which images it made, and the bootloader as it was really built.

Rules kept here:

* what the build does not say is said to be a guess;
* a bootloader that a policy cannot describe is refused with its Kconfig symbol, not described as another one.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError
from keyswitch.files.reading import FileKind, read_file
from keyswitch.mcuboot.config import Downgrade, LoaderEntrance
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import NOT_MODELLED, Algorithm
from keyswitch.policy.model import BootloaderSettings, ImagePair
from keyswitch.zephyr.kconfig import SYSBUILD, Kconfig, read_kconfig
from keyswitch.zephyr.partitions import Partition, SlotPartitions, read_devicetree, read_partitions_yml

_CONFIG: Final = Path("zephyr") / ".config"
_DEVICETREE: Final = Path("zephyr") / "zephyr.dts"
_PARTITIONS: Final = "partitions.yml"
_MCUBOOT: Final = "mcuboot"
DOMAINS_FILE: Final = FileKind(expected="a domains.yaml as sysbuild writes it", max_size=2**16)
_DEFAULT_IMAGE: Final = "domains.yaml"
_DEFAULT: Final = re.compile(r"^default: *([A-Za-z0-9_.-]+) *$", re.MULTILINE)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFiles:
    """What there is of a build directory; each part may be missing.

    Attributes:
        directory: of the build.
        mcuboot: the bootloader's configuration.
        application: the application's; None also where several images could be it.
        sysbuild: sysbuild's own.
        slots: where the slots of image 0 lie.
    """

    directory: Path
    mcuboot: Kconfig | None
    application: Kconfig | None
    sysbuild: Kconfig | None
    slots: SlotPartitions | None


def read_build_files(directory: Path) -> BuildFiles:
    """Read what there is of a build directory of `west build`, with sysbuild, with a child image, or without MCUboot.

    Raises:
        InputError: no image was configured there, or a file that is there cannot be read; names it.
    """
    mcuboot, application, sysbuild = _configurations(directory)
    if mcuboot is None and application is None and sysbuild is None:
        expected = f"a directory of `west build`, so with {_CONFIG}, or with an image's {_CONFIG} below it"
        raise InputError(str(directory), "no build", expected)
    return BuildFiles(
        directory=directory,
        mcuboot=mcuboot,
        application=application,
        sysbuild=sysbuild,
        slots=_slots_if_said(directory, application),
    )


def read_build(directory: Path) -> Build:
    """Read a build directory of `west build`, with sysbuild or with a child image for MCUboot.

    Raises:
        InputError: no build, a build without MCUboot, or without slots; says which file was looked for.
    """
    mcuboot, application, sysbuild = _configurations(directory)
    if mcuboot is None:
        expected = f"a directory of `west build` with MCUboot, so with {_MCUBOOT}/{_CONFIG}"
        raise InputError(str(directory), "no build with MCUboot", expected)
    return Build(
        directory=directory,
        mcuboot=mcuboot,
        application=application,
        sysbuild=sysbuild,
        slots=_slots(directory),
    )


def _configurations(directory: Path) -> tuple[Kconfig | None, Kconfig | None, Kconfig | None]:
    """Configurations of MCUboot, application and sysbuild."""
    boot, top = directory / _MCUBOOT / _CONFIG, directory / _CONFIG
    mcuboot = read_kconfig(boot) if boot.is_file() else None
    top_config = read_kconfig(top) if top.is_file() else None
    if top_config is not None and top_config.prefix != SYSBUILD:
        return mcuboot, top_config, None
    return mcuboot, _application(directory), top_config


def _application(directory: Path) -> Kconfig | None:
    """The image that sysbuild calls the default one, or else the one that MCUboot starts; None if that is not plain."""
    named = directory / _DEFAULT_IMAGE
    if named.is_file():
        found = _DEFAULT.search(read_file(named, DOMAINS_FILE).decode("utf-8", "replace"))
        default = None if found is None else directory / found[1] / _CONFIG
        if default is not None and default.is_file():
            return read_kconfig(default)
    others = sorted(path for path in directory.glob(f"*/{_CONFIG}") if path.parts[-3] != _MCUBOOT)
    applications = [each for each in map(read_kconfig, others) if each.on("BOOTLOADER_MCUBOOT")]
    return applications[0] if len(applications) == 1 else None


def _slots_if_said(directory: Path, application: Kconfig | None) -> SlotPartitions | None:
    """The slots as MCUboot was built for them, or else as the application was; None where no file says it."""
    if (directory / _PARTITIONS).is_file() or (directory / _MCUBOOT / _DEVICETREE).is_file():
        return _slots(directory)
    own = None if application is None else application.path.with_name(_DEVICETREE.name)
    return read_devicetree(own) if own is not None and own.is_file() else None


def _slots(directory: Path) -> SlotPartitions:
    partitions = directory / _PARTITIONS
    devicetree = directory / _MCUBOOT / _DEVICETREE
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
        hash=hash_of(config),
        slot_size=primary.size,
        secondary_size=None if secondary is None or secondary.size == primary.size else secondary.size,
        loader_entrance=tuple(dict.fromkeys(each for symbol, each in _ENTRANCES.items() if config.on(symbol))),
        max_sectors=None if config.on("BOOT_MAX_IMG_SECTORS_AUTO") else config.number("BOOT_MAX_IMG_SECTORS"),
        sector_size=sector_size or usual.sector_size,
        write_block=write_block or usual.write_block,
        needs_erase=not any(config.on(symbol) for symbol in _NO_ERASE),
        downgrade=downgrade_of(config),
        guessed=sector_size is None or write_block is None,
        images=_images(build, algorithm, primary, secondary),
    )
    key_file = config.text("BOOT_SIGNATURE_KEY_FILE")
    return BuiltBootloader(settings=settings, key_file=key_file, external=secondary is not None and secondary.external)


def _images(
    build: Build, algorithm: Algorithm, primary: Partition, secondary: Partition | None
) -> tuple[ImagePair, ...]:
    """The slots of each image where MCUboot is built for several; none where it is built for one.

    nRF5340's network core is copied by sdk-mcuboot through RAM, whatever is done with the application.
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
            copied=core is not None and number == core,
        )
        for number, (one, other) in enumerate(pairs[:count])
    )


def hash_of(config: Kconfig) -> VerifiedHash | None:
    """What MCUboot verifies; None where its configuration does not say it, as before it had a choice of hashes."""
    if config.on("BOOT_SIGNATURE_TYPE_PURE"):
        return VerifiedHash.PURE
    return next((each for symbol, each in _HASHES.items() if config.on(symbol)), None)


def downgrade_of(config: Kconfig) -> Downgrade:
    """What of MCUboot's software keeps older images out; a counter in hardware is none that a policy can describe."""
    if config.on("MCUBOOT_DOWNGRADE_PREVENTION_SECURITY_COUNTER"):
        return Downgrade.BY_COUNTER
    return Downgrade.BY_VERSION if config.on("MCUBOOT_DOWNGRADE_PREVENTION") else Downgrade.ALLOWED
