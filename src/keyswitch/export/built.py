"""Whether a build keeps what a policy promises: every demand, against what Kconfig really set.

Rules kept here:

* what counts is the `.config` of an image, never what `prj.conf` asked for; a symbol without a line there is off;
* what no file of the build says is not visible, which is neither held nor lost;
* what past the gate takes firmware counts as held only where the policy declares it in `device.bypasses`;
* an option that looks like a further way in, and that this table does not know, is not visible either.

Where each symbol was read stands beside it: `zephyr` is zephyrproject-rtos/zephyr (3.4.99: lgalstyan/nrf_connect at
a86fb816), `mcuboot` is mcu-tools/mcuboot at 2d4bacc3.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypedDict

from keyswitch.errors import InputError
from keyswitch.export.settings import (
    SWAP_OFFSET,
    TRANSPORTS,
    Release,
    Setting,
    asks_for_bonds,
    demands_of,
    sysbuild_of,
)
from keyswitch.mcuboot.keys import KeyKind
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.bootloader import keys_of
from keyswitch.policy.enums import ProofKind, Visibility
from keyswitch.policy.model import OnEnter, Policy
from keyswitch.terms import Transport
from keyswitch.zephyr.build import ALGORITHMS, NOT_DESCRIBED, BuildFiles, downgrade_of, hash_of
from keyswitch.zephyr.kconfig import Kconfig


class PromiseState(StrEnum):
    """What a build says about one promise. The value is the word in JSON and in what people read."""

    HELD = "held"
    LOST = "lost"
    NOT_VISIBLE = "not visible"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPromise:
    """One promise, and whether the build keeps it.

    Attributes:
        name: stable, for scripts: `CONFIG_…` where one Kconfig symbol is the promise.
        promise: what is promised, in a sentence.
        state: held, lost or not visible.
        line: what the build says, as its file has it; empty where it says nothing.
        file: where it says it, from the build directory; empty as above.
        advice: what to do; empty where the promise is held.
    """

    name: str
    promise: str
    state: PromiseState
    line: str = ""
    file: str = ""
    advice: str = ""


class BuiltPromiseJson(TypedDict):
    """A promise and what the build makes of it: `held`, `lost` or `not visible`. Empty texts are null."""

    promise: str
    why: str
    state: str
    line: str | None
    file: str | None
    advice: str | None


def as_json(each: BuiltPromise) -> BuiltPromiseJson:
    """The promise as it goes out."""
    return {
        "promise": each.name,
        "why": each.promise,
        "state": each.state.value,
        "line": each.line or None,
        "file": each.file or None,
        "advice": each.advice or None,
    }


def check_build(policy: Policy, release: Release, build: BuildFiles) -> tuple[BuiltPromise, ...]:
    """Every promise of the policy that a build can break, in order."""
    return (
        *_demands(policy, release, build),
        *_ways_in(policy, build),
        *_application(policy, build),
        *_bootloader(policy, build),
        *_sysbuild(policy, build),
        *_slots(policy, build),
    )


# --- what an image says ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Image:
    """An image's configuration, with how its file is told. Attributes: what: the image, in words."""

    what: str
    config: Kconfig | None
    directory: Path

    @property
    def file(self) -> str:
        return "" if self.config is None else _told(self.config.path, self.directory)

    def on(self, symbols: tuple[str, ...]) -> str | None:
        """The first of these symbols that is set."""
        return None if self.config is None else next((each for each in symbols if self.config.on(each)), None)


def _told(path: Path, directory: Path) -> str:
    return path.relative_to(directory).as_posix() if path.is_relative_to(directory) else path.name


def _application_of(build: BuildFiles) -> _Image:
    return _Image("the application", build.application, build.directory)


def _mcuboot_of(build: BuildFiles) -> _Image:
    return _Image("MCUboot", build.mcuboot, build.directory)


def _unseen(name: str, promise: str, what: str) -> BuiltPromise:
    advice = f"no .config of {what} was found in the build directory: give the directory that `west build` made"
    return BuiltPromise(name=name, promise=promise, state=PromiseState.NOT_VISIBLE, advice=advice)


def _found(name: str, promise: str, image: _Image, line: str, *, held: bool, advice: str) -> BuiltPromise:
    state = PromiseState.HELD if held else PromiseState.LOST
    return BuiltPromise(
        name=name, promise=promise, state=state, line=line, file=image.file, advice="" if held else advice
    )


# --- the demands of ks.conf -----------------------------------------------------------------------------------------

_AT_LEAST: Final = frozenset(
    {
        "MCUMGR_TRANSPORT_NETBUF_COUNT",
        "MCUMGR_TRANSPORT_NETBUF_SIZE",
        "MCUMGR_TRANSPORT_WORKQUEUE_STACK_SIZE",
    }
)
"""Numbers of which more is no less."""


def _demands(policy: Policy, release: Release, build: BuildFiles) -> Iterator[BuiltPromise]:
    application = _application_of(build)
    for setting in demands_of(policy, release):
        name = f"CONFIG_{setting.symbol}"
        if application.config is None:
            yield _unseen(name, setting.reason, application.what)
        else:
            held = _is_met(application.config, setting)
            line = application.config.line(setting.symbol)
            yield _found(name, setting.reason, application, line, held=held, advice=_advice(setting))


def _is_met(config: Kconfig, setting: Setting) -> bool:
    if setting.value == "y":
        return config.on(setting.symbol)
    if setting.value == "n":
        return not config.on(setting.symbol)
    number = config.number(setting.symbol)
    wanted = int(setting.value)
    return number is not None and (number >= wanted if setting.symbol in _AT_LEAST else number == wanted)


def _advice(setting: Setting) -> str:
    if setting.value == "n":
        return f"CONFIG_{setting.symbol}=n; where another option selects it, turn that one off"
    return f"CONFIG_{setting.symbol}={setting.value}, as ks.conf has it; Kconfig drops it if what it depends on is off"


# --- further ways in ------------------------------------------------------------------------------------------------

_OTHER_TRANSPORTS: Final = (
    "MCUMGR_TRANSPORT_SHELL",  # zephyr subsys/mgmt/mcumgr/transport/Kconfig.shell, 3.4.99
    "MCUMGR_TRANSPORT_DUMMY",  # .../Kconfig.dummy, 3.4.99
    "MCUMGR_TRANSPORT_RAW_DUMMY",  # .../Kconfig.raw_dummy, bcc5529e
    "MCUMGR_TRANSPORT_LORAWAN",  # .../Kconfig.lorawan, cf308cbb
    "MCUMGR_TRANSPORT_RAW_UART",  # .../Kconfig.raw_uart, 22bb9f7b
    "MCUMGR_TRANSPORT_SPI",  # .../Kconfig.spi, 0596d0be
    "MCUMGR_TRANSPORT_ETHERNET",  # .../Kconfig.ethernet, 4d4fd800
)
"""Carriers of SMP that no policy can name."""
_NO_TRANSPORTS: Final = ("REASSEMBLY", "FORWARD_TREE", "WORKQUEUE", "NETBUF", "SERIAL", "LOG")
"""What follows `MCUMGR_TRANSPORT_` in options of all transports together (.../Kconfig, 3.4.99; main: 22bb9f7b)."""
_OTHER_GROUPS: Final = (
    "MCUMGR_GRP_TRANSPORT",  # zephyr subsys/mgmt/mcumgr/grp/transport_mgmt/Kconfig, 385ad34e: SMP to further servers
    "MEMFAULT_MCUMGR_GRP",  # docs.memfault.com/docs/mcu/mcumgr: with MCUmgr it is on by itself
)
_KNOWN_GROUPS: Final = ("OS", "IMG", "STAT", "SETTINGS", "FS", "SHELL", "ENUM", "ZBASIC", "TRANSPORT")
_OTHER_UPDATERS: Final = {
    "HAWKBIT": "hawkBit",  # zephyr subsys/mgmt/hawkbit/Kconfig, 3.4.99
    "UPDATEHUB": "UpdateHub",  # subsys/mgmt/updatehub/Kconfig, 3.4.99
    "LWM2M_FIRMWARE_UPDATE_OBJ_SUPPORT": "LwM2M",  # subsys/net/lib/lwm2m/Kconfig, 3.4.99
    "BT_MESH_DFU_SRV": "Bluetooth mesh",  # subsys/bluetooth/mesh/Kconfig, 3.4.99
}
_USB_DFU: Final = (
    "USB_DFU_CLASS",  # zephyr subsys/usb/device/class/dfu/Kconfig, 3.4.99
    "USBD_DFU",  # subsys/usb/device_next/class/Kconfig.dfu, 09b54d19
)


def _ways_in(policy: Policy, build: BuildFiles) -> Iterator[BuiltPromise]:
    image = _application_of(build)
    transports = 'SMP comes over no transport but those in "smp.transports"'
    groups = "no group of commands is built that the policy cannot name"
    if image.config is None:
        yield _unseen("transports", transports, image.what)
        yield _unseen("groups", groups, image.what)
        yield _unseen("updaters", _UPDATERS, image.what)
        yield _unseen("usb-dfu.application", _USB_DFU_OFF, image.what)
        return
    yield _further(
        "transports",
        transports,
        image,
        known=image.on(_OTHER_TRANSPORTS),
        advice="turn it off, or serve it by a policy and a gate of its own",
        unknown=_unknown(image.config, "MCUMGR_TRANSPORT_", (*_NO_TRANSPORTS, *_CARRIERS)),
    )
    yield _further(
        "groups",
        groups,
        image,
        known=image.on(_OTHER_GROUPS),
        advice="turn it off; the gate refuses its commands in every mode, and so should an access callback of its own",
        unknown=_unknown(image.config, "MCUMGR_GRP_", _KNOWN_GROUPS),
    )
    yield _not_past_the_gate("updaters", _UPDATERS, image, tuple(_OTHER_UPDATERS), policy)
    yield _not_past_the_gate("usb-dfu.application", _USB_DFU_OFF, image, _USB_DFU, policy)


_UPDATERS: Final = "no other updater of the application takes firmware past the gate"
_USB_DFU_OFF: Final = "the application takes no firmware over USB"


_CARRIERS: Final = tuple(each.removeprefix("MCUMGR_TRANSPORT_") for each in (*TRANSPORTS.values(), *_OTHER_TRANSPORTS))


def _unknown(config: Kconfig, prefix: str, known: tuple[str, ...]) -> str | None:
    """A set option that begins so and belongs to nothing that is known."""
    for symbol, value in config.values.items():
        rest = symbol.removeprefix(prefix)
        if value == "y" and rest != symbol and not any(rest == each or rest.startswith(f"{each}_") for each in known):
            return symbol
    return None


def _further(
    name: str, promise: str, image: _Image, *, known: str | None, unknown: str | None, advice: str
) -> BuiltPromise:
    if known is not None:
        return _found(name, promise, image, f"CONFIG_{known}=y", held=False, advice=advice)
    if unknown is None:
        return _found(name, promise, image, "", held=True, advice="")
    return BuiltPromise(
        name=name,
        promise=promise,
        state=PromiseState.NOT_VISIBLE,
        line=f"CONFIG_{unknown}=y",
        file=image.file,
        advice="this version does not know the option: find out whether it opens a further way in; turn it off if so",
    )


_BYPASS_WORDS: Final = {
    "serial-recovery": ("serial recovery",),
    "usb-dfu": ("usb",),
    "usb-dfu.application": ("usb",),
    "updaters": tuple(each.casefold() for each in _OTHER_UPDATERS.values()),
    "images": ("further image", "network core"),
}
"""How `device.bypasses` says that somebody knows of it."""


def _not_past_the_gate(
    name: str, promise: str, image: _Image, symbols: tuple[str, ...], policy: Policy
) -> BuiltPromise:
    """Something that takes firmware without asking the gate is off, or the policy declares it."""
    if image.config is None:
        return _unseen(name, promise, image.what)
    on = image.on(symbols)
    if on is None:
        return _found(name, promise, image, image.config.line(symbols[0]), held=True, advice="")
    line = f"CONFIG_{on}=y"
    bypass = _declared(policy, _words_of(name, on))
    if bypass is not None:
        declared = f"{promise}, or device.bypasses declares it: {bypass}"
        return _found(name, declared, image, line, held=True, advice="")
    advice = f'CONFIG_{on}=n; or declare it in device.bypasses by "{_words_of(name, on)[0]}" and what protects it'
    return _found(name, promise, image, line, held=False, advice=advice)


def _declared(policy: Policy, words: tuple[str, ...]) -> str | None:
    """The bypass that names it by one of these words."""
    return next((each for each in policy.device.bypasses if any(word in each.casefold() for word in words)), None)


def _words_of(name: str, symbol: str) -> tuple[str, ...]:
    updater = _OTHER_UPDATERS.get(symbol)
    return _BYPASS_WORDS[name] if updater is None else (updater.casefold(),)


# --- the application ------------------------------------------------------------------------------------------------


def _application(policy: Policy, build: BuildFiles) -> Iterator[BuiltPromise]:
    image = _application_of(build)
    if image.config is None:
        for name, promise in (_STORE, _UPLOAD_SLOT, _BOOT_MODE):
            yield _unseen(name, promise, image.what)
        return
    config = image.config
    # zephyr subsys/settings/Kconfig, 3.4.99: without a backend every write is accepted and forgotten.
    empty = config.on("SETTINGS_NONE")
    yield _found(*_STORE, image, config.line("SETTINGS_NONE"), held=not empty, advice="a backend: NVS, ZMS or FCB")
    # zephyr subsys/mgmt/mcumgr/grp/img_mgmt/Kconfig, 3.4.99
    direct = "MCUMGR_GRP_IMG_DIRECT_UPLOAD"
    yield _found(*_UPLOAD_SLOT, image, config.line(direct), held=not config.on(direct), advice=f"CONFIG_{direct}=n")
    yield from _connections(policy, image, config)
    yield from _identity(policy, image, config)
    yield from _random(policy, image, config)
    yield from _authorization(policy, image, config)
    yield _mode_agreed(build, image, config)


_STORE: Final = ("settings-backend", "session record, lock-out and mode outlive a reset")
_UPLOAD_SLOT: Final = ("upload-slot", "an upload is written into the secondary slot, never over what runs")
_BOOT_MODE: Final = ("bootloader-mode", "the application arms the bootloader that is there")


def _connections(policy: Policy, image: _Image, config: Kconfig) -> Iterator[BuiltPromise]:
    if Transport.BLE not in policy.smp.transports:
        return
    stack, gate = config.number("BT_MAX_CONN"), config.number("KEYSWITCH_MAX_CONNECTIONS")
    promise = "the gate knows every central that can be connected"
    if stack is None or gate is None:
        missing = "BT_MAX_CONN" if stack is None else "KEYSWITCH_MAX_CONNECTIONS"
        advice = f"the application's .config has no CONFIG_{missing}"
        yield BuiltPromise(
            name="connections", promise=promise, state=PromiseState.NOT_VISIBLE, file=image.file, advice=advice
        )
        return
    line = f"CONFIG_KEYSWITCH_MAX_CONNECTIONS={gate}, CONFIG_BT_MAX_CONN={stack}"
    advice = f"CONFIG_KEYSWITCH_MAX_CONNECTIONS={stack}, at most 32"
    yield _found("connections", promise, image, line, held=gate >= stack, advice=advice)


def _identity(policy: Policy, image: _Image, config: Kconfig) -> Iterator[BuiltPromise]:
    """A bond belongs to the device's identity address.

    zephyr subsys/bluetooth/host/id.c, 4.1.0 (3.4.99 alike): it is the controller's public address
    (`bt_setup_public_id_addr`), else its static one (`bt_setup_random_id_addr`), else one drawn at random, which is
    stored only with CONFIG_BT_PRIVACY and CONFIG_BT_SETTINGS: without them another one is drawn at each boot.
    """
    if not asks_for_bonds(policy):
        return
    name, promise = "identity", "the device keeps the address that its bonds belong to when it is reset"
    line = config.line("BT_PRIVACY")
    if config.on("BT_PRIVACY") and config.on("BT_SETTINGS"):
        yield _found(name, promise, image, line, held=True, advice="")
        return
    advice = (
        "find out whether the controller has a public or a static address, or the application gives one to "
        "bt_id_create() before bt_enable(); if neither, CONFIG_BT_PRIVACY=y, with which Zephyr stores its own"
    )
    yield BuiltPromise(
        name=name, promise=promise, state=PromiseState.NOT_VISIBLE, line=line, file=image.file, advice=advice
    )


def _authorization(policy: Policy, image: _Image, config: Kconfig) -> Iterator[BuiltPromise]:
    if policy.gate.service is not Visibility.AUTHORIZE:
        return
    module, other = (f"KEYSWITCH_GATT_AUTHORIZATION_OWNER_{each}" for each in ("MODULE", "APP"))
    promise = "the host asks the gate at each access to SMP"
    if config.on(other) and not config.on(module):
        yield BuiltPromise(
            name="authorization",
            promise=promise,
            state=PromiseState.NOT_VISIBLE,
            line=config.line(other),
            file=image.file,
            advice="the application has the one callback: look whether it asks ks_gatt_authorize() each time",
        )
        return
    advice = f"CONFIG_{module}=y"
    yield _found("authorization", promise, image, config.line(module), held=config.on(module), advice=advice)


def _random(policy: Policy, image: _Image, config: Kconfig) -> Iterator[BuiltPromise]:
    if not _proofs(policy) & {ProofKind.CHALLENGE, ProofKind.PERMIT}:
        return
    # zephyr subsys/random/Kconfig, 3.4.99: a generator for tests; and what sys_csrand_get() has to have.
    pretends = "TEST_RANDOM_GENERATOR"
    source = image.on(("CSPRNG_ENABLED", "CSPRING_ENABLED"))
    line = config.line(pretends) if source is None or config.on(pretends) else f"CONFIG_{source}=y"
    advice = f"CONFIG_{pretends}=n, and a driver of a real source of randomness: without one no challenge is given"
    held = source is not None and not config.on(pretends)
    yield _found("random", "no challenge can be foreseen", image, line, held=held, advice=advice)


def _proofs(policy: Policy) -> set[ProofKind]:
    """Every kind of proof that some way in takes over a link."""
    return {proof for way in policy.transitions if isinstance(way.trigger, OnEnter) for proof in way.trigger.proofs}


_MODES: Final = {
    "MCUBOOT_BOOTLOADER_MODE_SWAP_WITHOUT_SCRATCH": Algorithm.SWAP_MOVE,
    "MCUBOOT_BOOTLOADER_MODE_SWAP_USING_MOVE": Algorithm.SWAP_MOVE,
    SWAP_OFFSET: Algorithm.SWAP_OFFSET,
    "MCUBOOT_BOOTLOADER_MODE_OVERWRITE_ONLY": Algorithm.OVERWRITE_ONLY,
    "MCUBOOT_BOOTLOADER_MODE_DIRECT_XIP_WITH_REVERT": Algorithm.DIRECT_XIP,
}
"""What the application takes the bootloader for (zephyr modules/Kconfig.mcuboot, 3.4.99; newer: img_mgmt/Kconfig)."""


def _mode_agreed(build: BuildFiles, image: _Image, config: Kconfig) -> BuiltPromise:
    name, promise = _BOOT_MODE
    symbol = image.on(tuple(_MODES))
    built = None if build.mcuboot is None else _algorithm(build.mcuboot)
    if symbol is None or built is None:
        advice = "set up MCUboot by sysbuild, which tells the application; or compare the two by hand"
        return BuiltPromise(name=name, promise=promise, state=PromiseState.NOT_VISIBLE, file=image.file, advice=advice)
    advice = f"{ALGORITHM_SYMBOLS[built]} is what MCUboot was built with: let sysbuild set both"
    return _found(name, promise, image, config.line(symbol), held=_MODES[symbol] is built, advice=advice)


# --- MCUboot --------------------------------------------------------------------------------------------------------

ALGORITHM_SYMBOLS: Final = {algorithm: f"CONFIG_{symbol}" for symbol, algorithm in ALGORITHMS.items()}
_SERIAL: Final = ("MCUBOOT_SERIAL",)  # mcuboot boot/zephyr/Kconfig.serial_recovery
_BOOT_USB: Final = ("BOOT_USB_DFU_WAIT", "BOOT_USB_DFU_GPIO")  # mcuboot boot/zephyr/Kconfig
_KEY_SYMBOLS: Final = {
    KeyKind.RSA2048: "BOOT_SIGNATURE_TYPE_RSA",
    KeyKind.RSA3072: "BOOT_SIGNATURE_TYPE_RSA",
    KeyKind.ECDSA_P256: "BOOT_SIGNATURE_TYPE_ECDSA_P256",
    KeyKind.ED25519: "BOOT_SIGNATURE_TYPE_ED25519",
}
"""mcuboot boot/zephyr/Kconfig, choice BOOT_SIGNATURE_TYPE; it has no P-384."""


def _algorithm(mcuboot: Kconfig) -> Algorithm | None:
    return next((each for symbol, each in ALGORITHMS.items() if mcuboot.on(symbol)), None)


def _bootloader(policy: Policy, build: BuildFiles) -> Iterator[BuiltPromise]:
    image = _mcuboot_of(build)
    settings = policy.bootloader
    yield _not_past_the_gate("serial-recovery", "MCUboot takes no firmware over a serial line", image, _SERIAL, policy)
    yield _not_past_the_gate("usb-dfu", "MCUboot takes no firmware over USB", image, _BOOT_USB, policy)
    algorithm = f'images are exchanged as bootloader.algorithm says: "{settings.algorithm.value}"'
    downgrade = f'older images are kept out as bootloader.downgrade says: "{settings.downgrade.value}"'
    count = len(settings.pairs)
    images = (
        "one image is updated, as the proof has it"
        if count == 1
        else f"{count} images are updated, as the proof has them"
    )
    if image.config is None:
        yield from (
            _unseen(name, promise, image.what)
            for name, promise in (("algorithm", algorithm), ("downgrade", downgrade), ("images", images))
        )
        if settings.hash is not None:
            yield _unseen("hash", f'images are verified by "{settings.hash.value}"', image.what)
        if settings.key is not None:
            yield _unseen("signature", _SIGNED, image.what)
        return
    config = image.config
    yield _as_proved(
        "algorithm", algorithm, image, _algorithm_line(config), held=_algorithm(config) is settings.algorithm
    )
    yield _downgrade(policy, image, config, downgrade)
    yield _images(policy, image, config, images)
    yield from _hash(policy, image, config)
    yield from _signature(policy, image)
    yield from _encrypted(policy, image, config)


_SIGNED: Final = "an image runs only with a signature by bootloader.key"


def _as_proved(name: str, promise: str, image: _Image, line: str, *, held: bool) -> BuiltPromise:
    advice = "build MCUboot as the policy says, or write into the policy what is built and have it proved again"
    return _found(name, promise, image, line, held=held, advice=advice)


def _algorithm_line(config: Kconfig) -> str:
    symbols = (*ALGORITHMS, *NOT_DESCRIBED)
    return next((config.line(each) for each in symbols if config.on(each)), "no image upgrade mode")


def _downgrade(policy: Policy, image: _Image, config: Kconfig, promise: str) -> BuiltPromise:
    hardware = "MCUBOOT_HW_DOWNGRADE_PREVENTION"  # mcuboot boot/zephyr/Kconfig, choice BOOT_DOWNGRADE_PREVENTION_CHOICE
    if config.on(hardware):
        return BuiltPromise(
            name="downgrade",
            promise=promise,
            state=PromiseState.NOT_VISIBLE,
            line=config.line(hardware),
            file=image.file,
            advice="a counter in hardware, which no policy describes: find out by hand which images it keeps out",
        )
    counter = "MCUBOOT_DOWNGRADE_PREVENTION_SECURITY_COUNTER"
    symbol = counter if config.on(counter) else "MCUBOOT_DOWNGRADE_PREVENTION"
    held = downgrade_of(config) is policy.bootloader.downgrade
    return _as_proved("downgrade", promise, image, config.line(symbol), held=held)


def _images(policy: Policy, image: _Image, config: Kconfig, promise: str) -> BuiltPromise:
    """Further images of MCUboot's are past the gate, unless `device.bypasses` says what protects them."""
    line = config.line("UPDATEABLE_IMAGE_NUMBER")
    declared = _declared(policy, _BYPASS_WORDS["images"])
    if declared is not None:
        promise = f"{promise}, or device.bypasses declares the others: {declared}"
    wanted, built = len(policy.bootloader.pairs), config.number("UPDATEABLE_IMAGE_NUMBER") or 1
    held = built == wanted or (declared is not None and built > wanted)
    word = f'"{_BYPASS_WORDS["images"][0]}" and what protects them'
    advice = (
        f"one image; or have the further ones exchanged by another way, and declare it in device.bypasses by {word}"
    )
    if wanted > 1:
        number = f"CONFIG_UPDATEABLE_IMAGE_NUMBER={wanted} in MCUboot's build"
        advice = f"{number}; if it is to have more images, declare them in device.bypasses by {word}"
    return _found("images", promise, image, line, held=held, advice=advice)


def _sysbuild(policy: Policy, build: BuildFiles) -> Iterator[BuiltPromise]:
    """What nRF Connect SDK's sysbuild has to set for an image that is copied."""
    image = _Image("sysbuild", build.sysbuild, build.directory)
    for setting in sysbuild_of(policy):
        name = f"SB_CONFIG_{setting.symbol}"
        if image.config is None:
            yield _unseen(name, setting.reason, image.what)
        else:
            line = image.config.line(setting.symbol)
            held = image.config.on(setting.symbol)
            yield _found(name, setting.reason, image, line, held=held, advice=f"{name}=y, as sysbuild.conf has it")


def _hash(policy: Policy, image: _Image, config: Kconfig) -> Iterator[BuiltPromise]:
    wanted = policy.bootloader.hash
    if wanted is None:
        return
    promise = f'images are verified by bootloader.hash: "{wanted.value}"'
    built = hash_of(config)
    if built is None:
        advice = "this MCUboot does not say which hash it verifies: look into its sources"
        yield BuiltPromise(name="hash", promise=promise, state=PromiseState.NOT_VISIBLE, file=image.file, advice=advice)
        return
    symbols = ("BOOT_SIGNATURE_TYPE_PURE", *(f"BOOT_IMG_HASH_ALG_SHA{bits}" for bits in (256, 384, 512)))
    line = next(config.line(each) for each in symbols if config.on(each))
    yield _as_proved("hash", promise, image, line, held=built is wanted)


def _signature(policy: Policy, image: _Image) -> Iterator[BuiltPromise]:
    if policy.bootloader.key is None:
        return
    on = image.on(("BOOT_SIGNATURE_TYPE_NONE", *dict.fromkeys(_KEY_SYMBOLS.values())))
    line = "no signature type" if on is None else f"CONFIG_{on}=y"
    signed = on not in {None, "BOOT_SIGNATURE_TYPE_NONE"}
    try:
        kinds = {_KEY_SYMBOLS.get(each.kind) for each in keys_of(policy).keys}
    except InputError as error:
        if signed:
            yield BuiltPromise(
                name="signature",
                promise=_SIGNED,
                state=PromiseState.NOT_VISIBLE,
                line=line,
                file=image.file,
                advice=f"the key's kind is not known: {error}",
            )
            return
        kinds = set[str | None]()
    yield _as_proved("signature", _SIGNED, image, line, held=signed and on in kinds)


def _encrypted(policy: Policy, image: _Image, config: Kconfig) -> Iterator[BuiltPromise]:
    if ProofKind.PERMIT not in _proofs(policy):
        return
    symbol = "BOOT_ENCRYPT_IMAGE"  # mcuboot boot/zephyr/Kconfig
    promise = "a permit's images are told by what lies in the slot"
    advice = "of an encrypted image only the hash that it carries can be read: no encryption, or permits without images"
    yield _found("permitted-images", promise, image, config.line(symbol), held=not config.on(symbol), advice=advice)


# --- flash ----------------------------------------------------------------------------------------------------------


def _of_image(number: int) -> str:
    """What the names of a further image's slots have besides."""
    return f"-of-image-{number}" if number else ""


def _slots(policy: Policy, build: BuildFiles) -> Iterator[BuiltPromise]:
    settings, slots = policy.bootloader, build.slots
    wanted: dict[str, tuple[str, int]] = {}
    for number, pair in enumerate(settings.pairs):
        at = f"bootloader.images[{number}]" if settings.images else "bootloader"
        wanted[f"slot-size{_of_image(number)}"] = (f"{at}.slot_size", pair.slot_size)
        wanted[f"secondary-slot-size{_of_image(number)}"] = (f"{at}.secondary_size", pair.secondary_size)
    wanted["sector-size"] = ("bootloader.sector_size", settings.sector_size)
    wanted["write-block"] = ("bootloader.write_block", settings.write_block)
    built: dict[str, int | None] = {}
    if slots is not None:
        for number, (primary, secondary) in enumerate(((slots.primary, slots.secondary), *slots.further)):
            built[f"slot-size{_of_image(number)}"] = primary.size
            built[f"secondary-slot-size{_of_image(number)}"] = 0 if secondary is None else secondary.size
        built["sector-size"], built["write-block"] = slots.sector_size, slots.write_block
    for name, (key, value) in wanted.items():
        promise = f"the flash is as {key} says: {value} bytes"
        found = built.get(name)
        if slots is None or found is None:
            advice = "neither partitions.yml nor a zephyr.dts of the build says it: compare by hand"
            yield BuiltPromise(name=name, promise=promise, state=PromiseState.NOT_VISIBLE, advice=advice)
            continue
        held = found == value
        yield BuiltPromise(
            name=name,
            promise=promise,
            state=PromiseState.HELD if held else PromiseState.LOST,
            line=f"{found} bytes" if found else "no secondary slot",
            file=_told(slots.source, build.directory),
            advice="" if held else f"{key} = {found} in the policy, and have it proved again; or other partitions",
        )
