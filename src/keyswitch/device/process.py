"""A device as a process: state directory, flash, air, radio, panel and runtime, put together and taken apart.

Rules: everything that can be wrong with what a person gave is found before anything is written; what was opened is
closed in the opposite order, however the device ended.
"""

import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from keyswitch.device.ble import BleCarrier
from keyswitch.device.controls import Controls
from keyswitch.device.factory import boot_config_of, check_first_image, install_first_image
from keyswitch.device.flash_file import FlashFile
from keyswitch.device.panel import Panel
from keyswitch.device.parts import Parts
from keyswitch.device.runtime import Runtime
from keyswitch.device.server import Server
from keyswitch.device.state_dir import BONDS, FLASH, StateDir
from keyswitch.device.store import Store
from keyswitch.errors import InputError
from keyswitch.gatt.services import device_table
from keyswitch.link.air.hub import Hub
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import parse_air
from keyswitch.link.bumble.peripheral import BumblePeripheral
from keyswitch.link.bumble.radio import on_air
from keyswitch.link.peripheral import Peripheral
from keyswitch.mcuboot.bootloader import BootConfig
from keyswitch.mcuboot.flash import TIMES_BY_PROFILE, Flash, FlashTimes
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_secret
from keyswitch.policy.words import Service
from keyswitch.terms import Transport

Report = Callable[[dict[str, Any]], None]

VIRTUAL: Final = "virtual"
MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person asked for, as it was written.

    Attributes:
        policy: the policy file.
        state: the state directory.
        image: the image that a new state directory starts with.
        ble: `virtual[:PORT]`.
        air: `interval_ms=15,phy=2M,loss=0`.
        flash: name of a flash profile.
    """

    policy: Path
    state: Path
    image: Path | None = None
    ble: str = VIRTUAL
    air: str = ""
    flash: str = "none"


def build(
    policy: Policy,
    *,
    flash: Flash,
    boot_config: BootConfig,
    store: Store,
    secret: bytes | None,
    peripheral: Peripheral,
    random: Callable[[int], bytes] = secrets.token_bytes,
    report: Report | None = None,
    parts: Parts | None = None,
) -> Runtime:
    """A device from its parts; nothing is started.

    Args:
        policy: the rules.
        flash: with the slots.
        boot_config: how the bootloader is built.
        store: what survives resets.
        secret: for entry by challenge.
        peripheral: the radio.
        random: unpredictable bytes; tests hand in their own.
        report: told what happens.
        parts: what the device is made of; tests plant faults here.
    """
    made_of = parts or Parts()
    server = Server(
        policy,
        flash=flash,
        layout=boot_config.layout,
        store=store,
        secret=secret,
        random=random,
        parts=made_of,
    )
    name = policy.device.name
    ble = BleCarrier(
        peripheral,
        name=name,
        company_id=policy.device.company_id,
        tables={shown: device_table(name, smp=shown) for shown in (False, True)},
        live=policy.gate.service is not Service.RECONNECT,
        receiver=lambda: made_of.receiver(Transport.BLE, policy.smp.buf_size),
    )
    return Runtime(
        server=server,
        flash=flash,
        boot_config=boot_config,
        store=store,
        carriers={Transport.BLE: ble},
        answer_room=policy.smp.buf_count,
        report=report,
        parts=made_of,
    )


async def serve(options: Options, report: Report) -> None:
    """Run a device until it is cancelled.

    Args:
        options: what a person asked for.
        report: told what happens, beginning with `ready`.

    Raises:
        InputError: something of it cannot be used; nothing was written.
        LinkLostError: there is no radio.
    """
    policy = read_policy(options.policy)
    secret = read_secret(policy) if policy.entry.challenge is not None else None
    config = boot_config_of(policy)
    times = flash_times(options.flash)
    air = AirLink(parse_air(options.air))
    port = ble_port(options.ble)
    async with AsyncExitStack() as stack:
        content = first_image(options, config)
        state = stack.enter_context(StateDir.open(options.state))
        if content is not None:
            make_flash(state, config, content)
        flash = stack.enter_context(FlashFile(state.flash, config.layout.geometry, times))
        hub = Hub(air)
        stack.push_async_callback(hub.close)
        await hub.start(port)
        name = policy.device.name
        peripheral = BumblePeripheral(
            on_air(air, name), address=identity(state), table=device_table(name, smp=False), name=name
        )
        runtime = build(
            policy,
            flash=flash,
            boot_config=config,
            store=state,
            secret=secret,
            peripheral=peripheral,
            report=report,
        )
        controls = Controls(policy, runtime)
        panel = Panel(state.panel, controls.answer)
        stack.push_async_callback(runtime.close)
        await runtime.start()
        await panel.start()
        stack.push_async_callback(panel.close)
        report({
            "event": "ready",
            "mode": controls.status()["mode"],
            "ble": hub.name,
            "udp": None,
            "serial": None,
            "name": name,
            "address": peripheral.address,
        })  # fmt: skip
        await runtime.failed()


def first_image(options: Options, config: BootConfig) -> bytes | None:
    """The checked image for a new state directory; None where there is a flash already.

    Raises:
        InputError: a new directory without an image, or an image that the bootloader would refuse.
    """
    if (options.state / FLASH).exists():
        return None
    if options.image is None:
        raise InputError(str(options.state), "a new state directory has nothing to run", "--image FILE, a signed image")
    return check_first_image(config, options.image)


def make_flash(state: StateDir, config: BootConfig, content: bytes) -> None:
    """Make the flash with its first image; the file has its name only once all of it is there."""
    unfinished = state.path / ".flash.new"
    unfinished.unlink(missing_ok=True)
    with FlashFile(unfinished, config.layout.geometry, create=True) as flash:
        install_first_image(flash, config.layout, content)
    state.adopt(unfinished, FLASH)


def identity(state: StateDir) -> str:
    """The device's static random address: drawn once, kept beside the bonds (Core spec Vol 6 Part B 1.3.2.1)."""
    document = state.read(BONDS) or {}
    address = document.get("address")
    if not isinstance(address, str):
        drawn = bytearray(secrets.token_bytes(6))
        drawn[0] |= 0xC0
        address = drawn.hex(":").upper()
        state.write(BONDS, {**document, "address": address})
    return address


def flash_times(profile: str) -> FlashTimes:
    """What the flash costs on this profile's part."""
    if profile not in TIMES_BY_PROFILE:
        raise InputError("--flash", f"no profile {profile!r}", " or ".join(TIMES_BY_PROFILE))
    return TIMES_BY_PROFILE[profile]


def ble_port(text: str) -> int:
    """The TCP port of `virtual[:PORT]`; 0 lets the system choose."""
    kind, _, port = text.partition(":")
    if kind != VIRTUAL:
        raise InputError("--ble", f"no radio {text!r}", "virtual or virtual:PORT")
    if not port:
        return 0
    if not port.isdecimal() or not 0 <= int(port) <= MAX_PORT:
        raise InputError("--ble", f"no port {port!r}", f"a number up to {MAX_PORT}")
    return int(port)
