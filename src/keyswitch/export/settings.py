"""The Kconfig settings that a policy needs of a Zephyr build, each with its reason.

One table gives `ks.conf`, `hardening.yaml` and what a build is checked for (`keyswitch.export.built`). Symbols are
those of Zephyr's own Kconfig; how they differ between releases stands in `Release`. A build stops at a symbol that its
tree does not have; a setting whose dependencies are not met is dropped with no more than a warning.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from keyswitch.errors import Field, InputError
from keyswitch.mcuboot.tlvs import TlvType
from keyswitch.policy.bootloader import listed_hash_of
from keyswitch.policy.enums import ProofKind, Visibility
from keyswitch.policy.model import OnEnter, Policy
from keyswitch.smp.groups import basic, enum, fs, settings, shell, stat
from keyswitch.terms import Security, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What differs between Zephyr releases.

    Attributes:
        zephyr: the release's name.
        permission_choice: the SMP characteristic's permission is one of three symbols; before, one for one level.
        undefined: symbols of other releases that this one does not have, or not in all of its versions.
    """

    zephyr: str
    permission_choice: bool
    undefined: frozenset[str] = frozenset()


_BOOT_MODE: Final = "MCUMGR_GRP_OS_RESET_BOOT_MODE"
"""Since Zephyr 4.2 (doc/releases/release-notes-4.2.rst)."""
_ENUM: Final = "MCUMGR_GRP_ENUM"
"""Since Zephyr 4.0 (its documentation of SMP groups; 3.7's has none)."""

REGISTRATION: Final = "MCUMGR_TRANSPORT_BT_DYNAMIC_SVC_REGISTRATION"
"""Since Zephyr 3.7 (doc/releases/release-notes-3.7.rst); before, the SMP service came and went in every build."""

SWAP_OFFSET: Final = "MCUBOOT_BOOTLOADER_MODE_SWAP_USING_OFFSET"
"""Since Zephyr 4.1 (zephyrproject-rtos/zephyr pull request 83893): how sysbuild tells an application of it."""
_SHA512: Final = "MCUBOOT_BOOTLOADER_USES_SHA512"
"""Since Zephyr 4.3 (zephyrproject-rtos/zephyr pull request 95332).

nRF Connect SDK's own tree has it since November 2024 (nrfconnect/sdk-zephyr pull requests 2257 and 2262), and its
sysbuild sets it (sdk-nrf pull request 18817)."""

RELEASES: Final[Mapping[str, Release]] = {
    "3.7": Release(
        zephyr="3.7", permission_choice=False, undefined=frozenset({_BOOT_MODE, _ENUM, _SHA512, SWAP_OFFSET})
    ),
    "4.1": Release(zephyr="4.1", permission_choice=True, undefined=frozenset({_BOOT_MODE, _SHA512})),
    "main": Release(zephyr="main", permission_choice=True),
}
"""The ages of MCUmgr's interfaces that are told apart."""

NCS: Final[Mapping[str, str]] = {"2.9": "3.7", "3.1": "4.1", "3.4": "main"}
"""nRF Connect SDK, and whose interfaces it has."""

DEFAULT: Final = "4.1"


def release_of(zephyr: str | None, ncs: str | None) -> Release:
    """The release that was asked for; `DEFAULT` if none was.

    Raises:
        InputError: it is none of these, or two were named.
    """
    if zephyr is not None and ncs is not None:
        raise InputError(Field("ncs", ncs), "named together with a release of Zephyr", "one of the two")
    if ncs is not None:
        if ncs not in NCS:
            raise InputError(Field("ncs", ncs), "no release that the firmware module knows", f"one of {', '.join(NCS)}")
        return RELEASES[NCS[ncs]]
    wanted = DEFAULT if zephyr is None else zephyr
    if wanted not in RELEASES:
        expected = f"one of {', '.join(RELEASES)}"
        raise InputError(Field("zephyr", wanted), "no release that the firmware module knows", expected)
    return RELEASES[wanted]


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of Kconfig. Attributes: symbol: without CONFIG_; value: as it is written; reason: why, in one line."""

    symbol: str
    value: str
    reason: str


def demands_of(policy: Policy, release: Release) -> tuple[Setting, ...]:
    """Everything that a build of this policy has to be, in order; also off what only some trees of a release have."""
    return (*_core(policy), *_groups(policy), *_transports(policy, release))


def sysbuild_of(policy: Policy) -> tuple[Setting, ...]:
    """What sysbuild of nRF Connect SDK has to set for an image that is copied; nothing without one.

    An nRF5340 is the one product that is known to have such an image. Symbols: nrfconnect/sdk-nrf, `sysbuild/`
    `Kconfig.mcuboot` 00748906, `Kconfig.netcore` 03f849c7 and `Kconfig.secureboot` 0182a044.
    """
    if not any(pair.copied for pair in policy.bootloader.pairs):
        return ()
    return (
        Setting("BOOTLOADER_MCUBOOT", "y", "what copies the image"),
        Setting("SECURE_BOOT_NETCORE", "y", "the network core's own bootloader, which takes the copy"),
        Setting("NETCORE_APP_UPDATE", "y", "the network core's image is updated by way of the application core"),
        Setting("MCUBOOT_NRF53_MULTI_IMAGE_UPDATE", "y", "MCUboot knows it as an image of its own"),
    )


def settings_of(policy: Policy, release: Release) -> tuple[Setting, ...]:
    """The demands that every tree of the release has a symbol for: a build stops at one that it does not have."""
    return tuple(each for each in demands_of(policy, release) if each.symbol not in release.undefined)


def _core(policy: Policy) -> Iterator[Setting]:
    smp = policy.smp
    yield Setting("KEYSWITCH", "y", "the gate's machine with this policy's tables")
    yield Setting("KEYSWITCH_GLUE", "y", "the gate in front of every handler, and what follows from it")
    if any(isinstance(way.trigger, OnEnter) and ProofKind.PERMIT in way.trigger.proofs for way in policy.transitions):
        yield Setting("KEYSWITCH_PERMIT", "y", "a transition takes permits")
    yield Setting("MCUMGR", "y", "what is gated")
    yield Setting("MCUMGR_MGMT_NOTIFICATION_HOOKS", "y", "the second barrier behind the handlers")
    yield Setting("MCUMGR_SMP_COMMAND_STATUS_HOOKS", "y", "the second barrier is asked for every command")
    yield Setting("MCUMGR_SMP_VERBOSE_ERR_RESPONSE", "y", "a refusal tells its reason (rsn)")
    yield Setting("MCUMGR_GRP_OS_RESET_HOOK", "y", "a reset is granted by the gate and taken back on leaving")
    yield Setting("MCUMGR_GRP_OS_MCUMGR_PARAMS", "y", "clients learn how many buffers there are")
    yield Setting("MCUMGR_GRP_IMG_UPLOAD_CHECK_HOOK", "y", "each piece of an upload is told to the gate")
    yield Setting("MCUMGR_GRP_IMG_STATUS_HOOKS", "y", "an upload's end is told to the gate")
    yield Setting("MCUMGR_GRP_IMG_MUTEX", "y", "an upload is dropped on leaving without a race")
    yield from _images(policy)
    if policy.bootloader.hash is not None:
        known = f'bootloader.hash = "{policy.bootloader.hash}"'
        long = listed_hash_of(policy) is TlvType.SHA512
        by = "SHA-512" if long else "SHA-256"
        yield Setting(_SHA512, "y" if long else "n", f"{known}: images are listed, armed and remembered by {by}")
    count = f"{smp.buf_count} for a client, and two more: requests and answers of all transports share them"
    yield Setting("MCUMGR_TRANSPORT_NETBUF_COUNT", str(smp.buf_count + 2), count)
    yield Setting("MCUMGR_TRANSPORT_NETBUF_SIZE", str(smp.buf_size), "smp.buf_size of the policy")
    yield Setting("MCUMGR_TRANSPORT_WORKQUEUE_STACK_SIZE", "4608", "the gate decides on this queue's stack")
    yield Setting("REBOOT", "y", "a granted reset, and the revert of a trial that nobody confirmed")
    yield Setting("SETTINGS", "y", "session record, lock-out and mode outlive a reset")


def _images(policy: Policy) -> Iterator[Setting]:
    count = len(policy.bootloader.pairs)
    if count == 1:
        return
    listed = f"{count} images are in bootloader.images"
    yield Setting("UPDATEABLE_IMAGE_NUMBER", str(count), f"{listed}: what the application knows of MCUboot's slots")
    yield Setting("MCUMGR_GRP_IMG_UPDATABLE_IMAGE_NUMBER", str(count), f"{listed}: what MCUmgr takes uploads of")
    if any(pair.copied for pair in policy.bootloader.pairs):
        why = "an image is copied: MCUmgr cannot read the slot that runs of it, and would take the other for one in use"
        yield Setting("MCUMGR_GRP_IMG_ALLOW_ERASE_PENDING", "y", why)


_GROUPS: Final = (
    ("MCUMGR_GRP_FS", fs.ID),
    ("MCUMGR_GRP_SETTINGS", settings.ID),
    ("MCUMGR_GRP_SHELL", shell.ID),
    ("MCUMGR_GRP_STAT", stat.ID),
    (_ENUM, enum.ID),
    ("MCUMGR_GRP_ZBASIC", basic.ID),
)


def _groups(policy: Policy) -> Iterator[Setting]:
    served = {key.group for mode in policy.modes.values() for key in mode.allow}
    for symbol, group in _GROUPS:
        if group not in served:
            yield Setting(symbol, "n", "no mode serves this group: what is not built cannot be asked")
    yield Setting(_BOOT_MODE, "n", "boot_mode leads to serial recovery, which knows no modes")


def _transports(policy: Policy, release: Release) -> Iterator[Setting]:
    for transport in Transport:
        symbol = TRANSPORTS[transport]
        if transport in policy.smp.transports:
            yield Setting(symbol, "y", f'"{transport.value}" is in smp.transports')
        else:
            yield Setting(symbol, "n", f'"{transport.value}" is not in smp.transports')
    if Transport.BLE in policy.smp.transports:
        yield from _ble(policy, release)


TRANSPORTS: Final = {
    Transport.BLE: "MCUMGR_TRANSPORT_BT",
    Transport.UDP: "MCUMGR_TRANSPORT_UDP",
    Transport.SERIAL: "MCUMGR_TRANSPORT_UART",
}
"""Zephyr's own carrier of SMP for each transport of a policy."""

_PERMISSIONS: Final = {
    Security.NONE: "MCUMGR_TRANSPORT_BT_PERM_RW",
    Security.ENCRYPTED: "MCUMGR_TRANSPORT_BT_PERM_RW_ENCRYPT",
    Security.AUTHENTICATED: "MCUMGR_TRANSPORT_BT_PERM_RW_AUTHEN",
}


def _ble(policy: Policy, release: Release) -> Iterator[Setting]:
    yield Setting("MCUMGR_TRANSPORT_BT_REASSEMBLY", "y", "packets of smp.buf_size in several writes")
    least = min((mode.security for mode in policy.modes.values() if mode.maintenance), default=Security.NONE)
    reason = f'the least that a maintenance mode asks for ("{least.word}"); the gate asks for each mode\'s own'
    if release.permission_choice:
        yield Setting(_PERMISSIONS[least], "y", reason)
    else:
        yield Setting("MCUMGR_TRANSPORT_BT_AUTHEN", "y" if least is Security.AUTHENTICATED else "n", reason)
    asked = _security_of_links(policy)
    if asked > Security.NONE:
        yield Setting("BT_SMP", "y", "the policy asks for encrypted or authenticated links")
    if asked is Security.AUTHENTICATED:
        # subsys/bluetooth/host/keys.c, bt_keys_get_addr(), 4.1.0: at a Pairing Request, before any digits are compared
        oldest = "else a stranger who asks to pair removes the oldest bond when the list is full, whatever it is worth"
        yield Setting("BT_KEYS_OVERWRITE_OLDEST", "n", oldest)
    shown = f'service = "{policy.gate.service.value}"'
    match policy.gate.service:
        case Visibility.RECONNECT | Visibility.LIVE:
            yield Setting("BT_GATT_DYNAMIC_DB", "y", f"{shown}: the SMP service comes and goes")
            yield Setting(REGISTRATION, "y", f"{shown}: the SMP service comes and goes")
        case Visibility.AUTHORIZE:
            yield Setting("BT_GATT_AUTHORIZATION_CUSTOM", "y", f"{shown}: each access is asked for")
        case Visibility.ALWAYS:
            pass
        case _:
            assert_never(policy.gate.service)
    yield Setting("BT_GATT_SERVICE_CHANGED", "y", "centrals that have bonded learn of another table")
    yield Setting("BT_GATT_CACHING", "y", "a central with a stale table is told, not misunderstood")
    yield Setting("BT_SETTINGS", "y", "bonds, and what a bonded central is owed, outlive a reset")


def _security_of_links(policy: Policy) -> Security:
    """The most that a mode or an entry asks of a link; more than none has to be paired for."""
    modes = (mode.security for mode in policy.modes.values())
    entries = (way.security for way in policy.transitions)
    return max((*modes, *entries), default=Security.NONE)


def asks_for_bonds(policy: Policy) -> bool:
    """Whether there is anything on BLE that has to be paired for."""
    return Transport.BLE in policy.smp.transports and _security_of_links(policy) > Security.NONE
