"""The bootloader that a policy describes: where its slots lie, which keys it takes, what it asks of an image.

Device and operator ask the same functions: an image that one of them takes is not refused by the other.
"""

from keyswitch.mcuboot.config import BootConfig
from keyswitch.mcuboot.keys import VerificationKeys, read_keys
from keyswitch.mcuboot.layout import Layout
from keyswitch.mcuboot.verify import Limits
from keyswitch.policy.model import Policy


def layout_of(policy: Policy) -> Layout:
    """Where the slots lie.

    Raises:
        InputError: the policy describes slots that cannot be.
    """
    settings = policy.bootloader
    return Layout.for_slots(
        settings.algorithm,
        settings.slot_size,
        sector_size=settings.sector_size,
        write_block=settings.write_block,
        where=f"{policy.origin}: bootloader.slot_size",
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
        InputError: as `layout_of` and `keys_of`.
    """
    return BootConfig(layout=layout_of(policy), keys=keys_of(policy), downgrade=policy.bootloader.downgrade)


def limits_of(policy: Policy) -> Limits:
    """What the bootloader asks of an image besides its signature, on a device that has no security counter stored.

    Raises:
        InputError: as `layout_of`.
    """
    return BootConfig(layout=layout_of(policy), keys=VerificationKeys()).limits(image=0, counters=())
