"""The bootloader that a policy describes: where its slots lie, which keys it takes, what it asks of an image.

Device and operator ask the same functions: an image that one of them takes is not refused by the other.
"""

from keyswitch.errors import InputError
from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.keys import VerificationKeys, VerifiedHash, read_keys
from keyswitch.mcuboot.known_faults import BootloaderKind
from keyswitch.mcuboot.layout import Algorithm, Layout
from keyswitch.mcuboot.tlvs import TlvType
from keyswitch.mcuboot.verify import Limits
from keyswitch.policy.model import BootloaderSettings, Policy


def layout_of(policy: Policy) -> Layout:
    """Where the slots lie.

    Raises:
        InputError: the policy describes slots that cannot be.
    """
    return slots_of(policy.bootloader, where=f"{policy.origin}: bootloader")


def slots_of(settings: BootloaderSettings, *, where: str) -> Layout:
    """The slots that these settings describe.

    Raises:
        InputError: there can be no such slots; the image's `slot_size` below `where` is named.
    """
    several = settings.images
    return Layout.for_pairs(
        settings.algorithm,
        [(pair.slot_size, pair.secondary_size) for pair in settings.pairs],
        copied=frozenset(number for number, pair in enumerate(settings.pairs) if pair.copied),
        sector_size=settings.sector_size,
        write_block=settings.write_block,
        max_sectors=settings.max_sectors,
        where=[f"{where}.images[{number}].slot_size" for number in range(len(several))] or [f"{where}.slot_size"],
    )


def keys_of(policy: Policy) -> VerificationKeys:
    """The keys that images must be signed with; none where the policy names none.

    Raises:
        InputError: the file cannot be read, or is no key.
    """
    path = policy.bootloader.key
    return VerificationKeys() if path is None else read_keys(path)


def boot_config_of(policy: Policy) -> BootConfig:
    """How the bootloader is built.

    Raises:
        InputError: as `layout_of` and `keys_of`, or the key does not go with the hash.
    """
    settings, keys = policy.bootloader, keys_of(policy)
    if keys and settings.hash is not None and settings.hash not in keys.verified_hashes:
        kind = keys.keys[0].kind.value
        expected = ", ".join(f'"{build}"' for build in sorted(keys.verified_hashes))
        raise InputError(f"{policy.origin}: bootloader.hash", f'"{settings.hash}" with a key of {kind}', expected)
    return BootConfig(
        layout=layout_of(policy),
        keys=keys,
        hash=settings.hash,
        downgrade=settings.downgrade,
        loader_entrances=frozenset(settings.loader_entrance),
    )


def limits_of(policy: Policy, image: int = 0) -> Limits:
    """What the bootloader asks of an image besides its signature, on a device that has no security counter stored.

    Raises:
        InputError: as `layout_of`.
    """
    config = BootConfig(layout=layout_of(policy), keys=VerificationKeys(), hash=policy.bootloader.hash)
    return config.limits(image=image, counters=())


def listed_hash_of(policy: Policy) -> TlvType:
    """Which hash the device's image list shows; another thing than what the bootloader verifies.

    Zephyr's image management knows two: SHA-512 where the bootloader is built for it, which pure signatures come with
    as well (`CONFIG_MCUBOOT_BOOTLOADER_USES_SHA512`), else SHA-256.
    """
    long = policy.bootloader.hash in {VerifiedHash.SHA512, VerifiedHash.PURE}
    return TlvType.SHA512 if long else TlvType.SHA256


def bootloader_kind_of(policy: Policy) -> BootloaderKind:
    """What of the bootloader decides which known faults of MCUboot it has."""
    settings = policy.bootloader
    numbers = None if settings.mcuboot is None else settings.mcuboot.split(".")
    return BootloaderKind(
        algorithm=settings.algorithm,
        downgrade=settings.downgrade,
        needs_erase=settings.needs_erase,
        version=None if numbers is None else (int(numbers[0]), int(numbers[1]), int(numbers[2])),
    )


def bypasses_of(policy: Policy) -> tuple[str, ...]:
    """Ways past the gate that the policy cannot close: those that it declares, and what its bootloader brings along."""
    return (*policy.device.bypasses, *_loader_bypass(policy.bootloader))


def _loader_bypass(settings: BootloaderSettings) -> tuple[str, ...]:
    if settings.algorithm is not Algorithm.FIRMWARE_LOADER or settings.loader_gated:
        return ()
    started = ", ".join(each.words for each in settings.loader_entrance)
    said = (
        f"the firmware loader (bootloader.loader_gated = false): while it runs, its own server takes images from "
        f"anybody, without a mode, a lease or an owner; it is started by {started}"
    )
    return (said,)
