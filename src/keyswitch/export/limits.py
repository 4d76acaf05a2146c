"""What the core's tables can hold, and what the firmware module cannot carry out yet: both refused, never weakened."""

from collections.abc import Iterator
from typing import Final

from keyswitch.errors import InputError
from keyswitch.export.settings import SWAP_OFFSET, Release
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.mcuboot.tlvs import HASH_SIZES
from keyswitch.policy.bootloader import listed_hash_of
from keyswitch.policy.enums import Identity, SessionRule
from keyswitch.policy.model import Policy
from keyswitch.terms import Transport

MAX_MODES: Final = 32
"""Modes are bits of a word (`ks_transition.sources`)."""
MAX_TRANSITIONS: Final = 255
"""Transitions are numbered by a byte, and one value of it says that there is none (`KS_NO_TRANSITION`)."""
MAX_INPUTS: Final = 255
MAX_INHIBITS: Final = 32
"""What the application must not do is a bit of a word (`ks_mode.inhibits`)."""
MAX_GUARDS: Final = 65_535
MAX_COMMAND_ID: Final = 31
"""Commands that a mode serves are bits of a word (`ks_allow`)."""

Problem = tuple[str, str, str]
"""Key path, what is wrong there, what to do."""


def inhibits_of(policy: Policy) -> tuple[str, ...]:
    """Everything that some mode forbids the application, each once, in the order of the file."""
    return tuple(dict.fromkeys(name for mode in policy.modes.values() for name in mode.inhibits))


def macro(name: str) -> str:
    """The name as a part of one in C."""
    return name.upper().replace("-", "_")


def check_fits(policy: Policy) -> None:
    """Raises: InputError: the core's tables cannot hold the policy."""
    counts = (
        ("modes", len(policy.modes), MAX_MODES),
        ("transitions", len(policy.transitions), MAX_TRANSITIONS),
        ("inputs", len(policy.inputs), MAX_INPUTS),
        ("modes.*.inhibits", len(inhibits_of(policy)), MAX_INHIBITS),
        ("transitions[*].when", sum(len(way.when) for way in policy.transitions), MAX_GUARDS),
    )
    for where, count, most in counts:
        if count > most:
            raise InputError(f"{policy.origin}: {where}", f"{count} for the firmware module", f"at most {most}")
    for where, names in (
        ("modes", tuple(policy.modes)),
        ("inputs", tuple(each.name for each in policy.inputs)),
        ("modes.*.inhibits", inhibits_of(policy)),
    ):
        known: dict[str, str] = {}
        for name in names:
            other = known.setdefault(macro(name), name)
            if other != name:
                problem = f'"{other}" and "{name}" are one name in C: {macro(name)}'
                raise InputError(f"{policy.origin}: {where}", problem, "names that differ in more than - and _")
    for mode in policy.modes.values():
        for key in sorted(mode.allow):
            if key.id > MAX_COMMAND_ID:
                problem = f"command {key.id} of group {key.group} has no place in the firmware module's tables"
                raise InputError(
                    f"{policy.origin}: modes.{mode.name}.allow", problem, f"ids of at most {MAX_COMMAND_ID}"
                )


def check_exportable(policy: Policy) -> None:
    """Raises: InputError: the policy is too large, or promises what the firmware module does not carry out yet."""
    check_fits(policy)
    for where, what, instead in _not_yet(policy):
        raise InputError(f"{policy.origin}: {where}", f"not yet in the firmware module: {what}", instead)


def check_release(policy: Policy, release: Release) -> None:
    """Raises: InputError: this release of Zephyr knows no such bootloader."""
    if policy.bootloader.algorithm is Algorithm.SWAP_OFFSET and SWAP_OFFSET in release.undefined:
        problem = f'Zephyr {release.zephyr} cannot be told of "{Algorithm.SWAP_OFFSET}"'
        raise InputError(
            f"{policy.origin}: bootloader.algorithm", problem, f'a newer release, or "{Algorithm.SWAP_MOVE}"'
        )


_ARMED: Final = (Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET, Algorithm.OVERWRITE_ONLY)
"""Where the glue finds header and trailer of the image to be armed (`firmware/src/zephyr/image.c`)."""
_BY_ITSELF: Final = "where an upload starts because it lies there, and MCUmgr writes its header first"
_NOT_ARMED: Final = {
    Algorithm.DIRECT_XIP: "where what runs may lie in either slot",
    Algorithm.DIRECT_XIP_NO_REVERT: _BY_ITSELF,
    Algorithm.FIRMWARE_LOADER: _BY_ITSELF,
    Algorithm.SINGLE_SLOT: "where no slot is free for an upload",
}
"""Why not: the module takes the first slot for what runs, and arms by a trailer."""
MAX_IMAGES: Final = 3
"""`CONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER` (zephyr subsys/mgmt/mcumgr/grp/img_mgmt/Kconfig, 3.4.99 and 4.1.0)."""
LIST_AROUND: Final = 32
LIST_ENTRY: Final = 105
"""Bytes of an image list in its packet, and of one slot in it with the longest version and without its hash.

`firmware/src/zephyr/image.c` has the same numbers; a trap on the fake kernel has the longest list in such a packet."""


def longest_list(images: int, hash_size: int) -> int:
    """How large a packet has to be for the list of so many images, known by hashes of so many bytes."""
    return LIST_AROUND + 2 * images * (LIST_ENTRY + hash_size)


_LISTED: Final = (None, VerifiedHash.SHA256, VerifiedHash.SHA512, VerifiedHash.PURE)
"""Whose images MCUmgr's image group lists: by SHA-256 or by SHA-512, which images with pure signatures carry too.

zephyr subsys/mgmt/mcumgr/grp/img_mgmt/include/mgmt/mcumgr/grp/img_mgmt/img_mgmt_priv.h, `IMAGE_TLV_SHA`
(nrfconnect/sdk-zephyr pull request 2257, zephyrproject-rtos/zephyr pull request 95332).
"""


def _not_yet(policy: Policy) -> Iterator[Problem]:
    yield from _images_not_yet(policy)
    algorithm = policy.bootloader.algorithm
    if algorithm not in _ARMED:
        what = f'arming images for "{algorithm}", {_NOT_ARMED[algorithm]}'
        yield "bootloader.algorithm", what, " or ".join(f'"{each}"' for each in _ARMED)
    if policy.bootloader.hash not in _LISTED:
        what = f'images that are known by "{policy.bootloader.hash}", which MCUmgr does not list'
        yield "bootloader.hash", what, " or ".join(f'"{each}"' for each in _LISTED if each is not None)
    if policy.gate.identity is Identity.SECOND:
        yield "gate.identity", "a second identity", f'"{Identity.SAME}"'
    off_ble = [each.value for each in policy.smp.transports if each is not Transport.BLE]
    for mode in policy.modes.values():
        if mode.session is SessionRule.OWNER and off_ble:
            what = f"an owner on {' and '.join(off_ble)}, where peers have no identity"
            yield f"modes.{mode.name}.session", what, 'smp.transports = ["ble"], or session = "anyone"'


def _images_not_yet(policy: Policy) -> Iterator[Problem]:
    images = policy.bootloader.images
    if len(policy.bootloader.pairs) == 1:
        return
    if len(images) > MAX_IMAGES:
        what = f"{len(images)} images: MCUmgr knows {MAX_IMAGES} at most (CONFIG_MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER)"
        yield "bootloader.images", what, f"at most {MAX_IMAGES} images"
    if policy.bootloader.algorithm is Algorithm.SWAP_OFFSET and any(pair.copied for pair in images):
        what = f'an image that is copied, beside "{Algorithm.SWAP_OFFSET}": where it lies in its slot is not known'
        yield (
            "bootloader.images",
            what,
            f'bootloader.algorithm = "{Algorithm.SWAP_MOVE}" or "{Algorithm.OVERWRITE_ONLY}"',
        )
    needed = longest_list(len(images), HASH_SIZES[listed_hash_of(policy)])
    if policy.smp.buf_size < needed:
        what = f"{policy.smp.buf_size} bytes for the list of {len(images)} images"
        yield "smp.buf_size", what, f"at least {needed}"
