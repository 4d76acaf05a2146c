"""A device as a process: state directory, flash, air, radio, panel and runtime, put together and taken apart.

Rules: everything that can be wrong with what a person gave is found before anything is written; what was opened is
closed in the opposite order, however the device ended.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keyswitch.device.events import DeviceReady, LogEnded, to_json
from keyswitch.device.process.controls import Controls
from keyswitch.device.process.factory import check_first_image, check_first_images, install_first_images
from keyswitch.device.process.gpio import GpioButton, longest_hold_ms
from keyswitch.device.process.options import NO_RADIO, VIRTUAL, flash_times, udp_address, virtual_port
from keyswitch.device.process.panel_server import Panel
from keyswitch.device.runtime.clock import DeviceClock
from keyswitch.device.runtime.event_recorder import Log
from keyswitch.device.runtime.passkey import PasskeyDisplay
from keyswitch.device.runtime.runtime import Runtime
from keyswitch.device.server.components import Components
from keyswitch.device.server.server import Server
from keyswitch.device.storage.event_log import CURRENT, EventLog, WallClock
from keyswitch.device.storage.flash_file import FlashFile
from keyswitch.device.storage.identity import load_identity
from keyswitch.device.storage.state_dir import FLASH, UNIT, StateDir, check_owner
from keyswitch.device.storage.store import Store
from keyswitch.device.transport.ble import BleTransport
from keyswitch.device.transport.gatt_profile import gatt_profile
from keyswitch.device.transport.ports import DeviceTransport
from keyswitch.device.transport.serial import SerialTransport
from keyswitch.device.transport.udp import UdpTransport
from keyswitch.errors import Field, InputError, Phrase
from keyswitch.extras import need
from keyswitch.gate.events import ButtonHeld
from keyswitch.link.air.settings import AirSettings, parse_air
from keyswitch.link.peripheral import Peripheral
from keyswitch.mcuboot.bootloader import BootConfig
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.bootloader import boot_config_of
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_issuers, read_secret
from keyswitch.policy.unit_data import is_unit_data, read_unit_data
from keyswitch.policy.units import Unit, only_unit, with_unit
from keyswitch.smp.framing.raw import StreamReceiver
from keyswitch.terms import Transport

if TYPE_CHECKING:
    from keyswitch.device.transport.radio import Radio

Report = Callable[[dict[str, Any]], None]

COMPUTER: Final = "the computer that the device runs on"
"""Whose clock it is that dates the event log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOptions:
    """What a person asked for, as it was written.

    Attributes:
        policy: the policy file.
        state: the state directory.
        unit: file that says which unit this is, or holds its data; None: the policy does.
        first_image: the image that a new state directory starts with; of several images the package.
        loader: the firmware loader that it starts with, where the policy's bootloader has one.
        ble: `virtual[:PORT]`, `none`, or an HCI transport as Bumble names it.
        air: `interval_ms=15,phy=2M,loss=0`.
        flash: name of a flash profile.
        udp: `HOST:PORT` to listen on; None: no UDP.
        serial: path of a port, or of a pseudo-terminal to be made; None: no serial line.
        serial_framing: `console` (base64 lines between other text) or `raw` (bare packets).
        virtual_time: whether the panel may advance the device's clock.
        capture: file for what passes between the device and its controller (btsnoop); None: none.
    """

    policy: Path
    state: Path
    first_image: Path | None = None
    loader: Path | None = None
    ble: str = VIRTUAL
    air: str = ""
    flash: str = "none"
    udp: str | None = None
    serial: Path | None = None
    serial_framing: str = "console"
    virtual_time: bool = False
    capture: Path | None = None
    unit: Path | None = None


def build(
    policy: Policy,
    *,
    flash: Flash,
    boot_config: BootConfig,
    store: Store,
    secret: bytes | None,
    issuers: tuple[bytes, ...] = (),
    peripheral: Peripheral | None,
    second_address: str = "",
    others: Mapping[Transport, DeviceTransport] | None = None,
    random: Callable[[int], bytes] = secrets.token_bytes,
    report: Report | None = None,
    parts: Components | None = None,
    clock: DeviceClock | None = None,
    display: PasskeyDisplay | None = None,
    event_log: Log | None = None,
) -> Runtime:
    """A device from its parts; nothing is started.

    Args:
        policy: the rules.
        flash: with the slots.
        boot_config: how the bootloader is built.
        store: what survives resets.
        secret: for entry by challenge.
        issuers: public keys that may issue permits.
        peripheral: the radio; None: there is none.
        second_address: for maintenance, where the policy asks for a second identity.
        others: carriers besides the radio.
        random: unpredictable bytes; tests hand in their own.
        report: told what happens.
        parts: what the device is made of; tests plant faults here.
        clock: the device's time; real time by default.
        display: where the radio shows passkeys.
        event_log: keeps what happens.
    """
    made_of = parts or Components()
    address = "" if peripheral is None else peripheral.address
    face = gatt_profile(policy, address, second_address or address)
    server = Server(
        policy,
        flash=flash,
        layout=boot_config.layout,
        store=store,
        secret=secret,
        issuers=issuers,
        clock_s=lambda: int(time.time()),
        random=random,
        maintenance_address=face.addresses[True] if face.addresses[True] != address else "",
        parts=made_of,
    )
    carriers = dict(others or {})
    if peripheral is not None:
        carriers[Transport.BLE] = BleTransport(
            peripheral, face, receiver=lambda: made_of.receiver(Transport.BLE, policy.smp.buf_size)
        )
    return Runtime(
        server=server,
        flash=flash,
        boot_config=boot_config,
        store=store,
        carriers=carriers,
        answer_room=policy.smp.buf_count,
        report=report,
        parts=made_of,
        clock=clock,
        display=display,
        event_log=event_log,
    )


async def serve(options: DeviceOptions, report: Report) -> None:
    """Run a device until it is cancelled.

    Args:
        options: what a person asked for.
        report: told what happens, beginning with `ready`.

    Raises:
        InputError: something of it cannot be used; nothing was written, unless the medium itself failed.
        LinkLostError: there is no radio.
    """
    try:
        await _serve(options, report)
    except OSError as error:
        if error.errno is None:
            raise  # not the system's
        raise InputError(str(error.filename or options.state), error.strerror or str(error)) from error


def unit_of(policy: Policy, unit: Path | None) -> tuple[Policy, bytes | None, tuple[bytes, ...]]:
    """The policy as this unit has it, the unit's secret, and the keys of who may issue permits to it.

    Args:
        policy: of the product.
        unit: file that describes the unit, or holds its data; None: the policy says all.

    Raises:
        InputError: a file cannot be used.
    """
    if unit is not None and is_unit_data(unit):
        data = read_unit_data(unit)
        return with_unit(policy, Unit(id=data.id)), data.secret, data.issuers
    if unit is not None:
        policy = with_unit(policy, only_unit(unit))
    secret = read_secret(policy) if policy.entry.challenge is not None else None
    issuers = read_issuers(policy) if policy.entry.permit is not None else ()
    return policy, secret, issuers


async def _serve(options: DeviceOptions, report: Report) -> None:
    policy = read_policy(options.policy)
    policy, secret, issuers = unit_of(policy, options.unit)
    config = boot_config_of(policy)
    check_loader_gated(policy)
    times = flash_times(options.flash)
    air = parse_air(options.air)
    udp, serial = _other_carriers(options, policy)
    _check_ble(options, policy)
    if policy.entry.button.gpio is not None:
        need("gpiozero", f"{policy.origin}: entry.button.gpio")
    async with AsyncExitStack() as stack:
        contents, loader = first_images(options, config), first_loader(options, config)
        state = stack.enter_context(StateDir.open(options.state))
        check_owner(state, policy.device.id)
        others = await _open_others(udp, serial, state, stack)
        radio = await _open_radio(options, air, policy.device.name, report, stack)
        if contents:
            make_flash(state, config, contents, loader)
        state.write(UNIT, {"id": policy.device.id})
        flash = stack.enter_context(FlashFile(state.flash, config.layout.geometry, times))
        identity = load_identity(state, secrets.token_bytes)
        display = PasskeyDisplay()
        peripheral = None if radio is None else radio.peripheral(policy, identity, display)
        runtime = build(
            policy,
            flash=flash,
            boot_config=config,
            store=state,
            secret=secret,
            issuers=issuers,
            peripheral=peripheral,
            second_address=identity.second_address,
            others=others,
            report=report,
            clock=DeviceClock(virtual=options.virtual_time),
            display=display,
            event_log=_open_log(state, report, stack),
        )
        controls = Controls(policy, runtime)
        panel = Panel(state.panel, controls.answer)
        stack.push_async_callback(runtime.close)
        await runtime.start()
        await panel.start()
        stack.push_async_callback(panel.close)
        _listen_to_button(policy, runtime, stack)
        ready = DeviceReady(
            mode=controls.status()["mode"],
            ble=None if radio is None else radio.name,
            udp=None if udp is None else udp.name,
            serial=None if serial is None else str(serial.path),
            name=policy.device.name,
            address=None if peripheral is None else peripheral.address,
        )
        report(to_json(ready))
        await runtime.failed()


def _listen_to_button(policy: Policy, runtime: Runtime, stack: AsyncExitStack) -> None:
    pin = policy.entry.button.gpio
    if pin is None:
        return
    button = GpioButton(pin, longest_hold_ms(policy), lambda ms: _press(runtime, ms))
    stack.callback(button.close)
    button.start()


def _press(runtime: Runtime, hold_ms: int) -> None:
    runtime.happen(ButtonHeld(hold_ms=hold_ms))


async def _open_radio(
    options: DeviceOptions, air: AirSettings, name: str, report: Report, stack: AsyncExitStack
) -> "Radio | None":
    if options.ble == NO_RADIO:
        return None
    from keyswitch.device.transport.radio import open_radio  # noqa: PLC0415 - Bumble, only for a device that has a radio

    return await open_radio(options.ble, air=air, name=name, capture=options.capture, report=report, stack=stack)


def _other_carriers(options: DeviceOptions, policy: Policy) -> tuple[UdpTransport | None, SerialTransport | None]:
    served = policy.smp.transports
    for field, value, needed in (
        ("udp", options.udp, Transport.UDP),
        ("serial", options.serial, Transport.SERIAL),
    ):
        if value is not None and needed not in served:
            raise InputError(
                Field(field), f"{policy.origin} does not serve {needed.value}", "smp.transports to list it"
            )
    size = policy.smp.buf_size
    udp = UdpTransport(*udp_address(options.udp), max_packet=size) if options.udp is not None else None
    if options.serial is None:
        return udp, None
    if options.serial_framing == "raw":
        return udp, SerialTransport(options.serial, receiver=StreamReceiver(size), pieces=lambda packet: [packet])
    return udp, SerialTransport(options.serial, receiver=Components().receiver(Transport.SERIAL, size))


async def _open_others(
    udp: UdpTransport | None, serial: SerialTransport | None, state: StateDir, stack: AsyncExitStack
) -> dict[Transport, DeviceTransport]:
    others: dict[Transport, DeviceTransport] = {}
    if udp is not None:
        stack.push_async_callback(udp.close)
        await udp.bind()
        others[Transport.UDP] = udp
    if serial is not None:
        stack.push_async_callback(serial.close)
        await serial.open(state)
        others[Transport.SERIAL] = serial
    return others


def _open_log(state: StateDir, report: Report, stack: AsyncExitStack) -> EventLog:
    def failed(why: str) -> None:
        report(to_json(LogEnded(file=str(state.path / CURRENT), why=why)))

    clock = WallClock(owner=COMPUTER, now_s=time.time)
    log = EventLog(state, clock=clock, failed=failed)
    stack.callback(log.close)
    return log


def _check_ble(options: DeviceOptions, policy: Policy) -> None:
    if options.ble == NO_RADIO:
        if options.capture is not None:
            raise InputError(
                Field("capture", str(options.capture)), "there is no radio to capture", Phrase(f"no {{ble}} {NO_RADIO}")
            )
        return
    virtual_port(options.ble)
    if Transport.BLE not in policy.smp.transports:
        raise InputError(
            Field("ble"),
            f"{policy.origin} does not serve ble",
            Phrase(f"{{ble}} {NO_RADIO}, or smp.transports to list it"),
        )
    need("bumble", Field("ble", options.ble))


def first_images(options: DeviceOptions, config: BootConfig) -> tuple[bytes, ...]:
    """The checked images for a new state directory, one for each pair; none where there is a flash already.

    Raises:
        InputError: a new directory without an image, or an image that the bootloader would refuse.
    """
    if (options.state / FLASH).exists():
        return ()
    if options.first_image is None:
        what = "a signed image" if len(config.layout.pairs) == 1 else "a DFU package with all signed images"
        raise InputError(
            str(options.state), "a new state directory has nothing to run", Phrase(f"{{first_image}} FILE, {what}")
        )
    return check_first_images(config, options.first_image)


def check_loader_gated(policy: Policy) -> None:
    """Raises: InputError: the policy's firmware loader has no gate, and this device's always has."""
    if policy.bootloader.algorithm is Algorithm.FIRMWARE_LOADER and not policy.bootloader.loader_gated:
        raise InputError(
            f"{policy.origin}: bootloader.loader_gated",
            "false: the loader of a virtual device has this gate, and one that has none is not shown",
            "true",
        )


def first_loader(options: DeviceOptions, config: BootConfig) -> bytes | None:
    """The checked firmware loader for a new state directory; None where none is needed.

    Raises:
        InputError: none was given where one is needed, or the other way round, or the bootloader would refuse it.
    """
    needed = config.layout.algorithm is Algorithm.FIRMWARE_LOADER
    if options.loader is not None and not needed:
        problem = f"the bootloader is {config.layout.algorithm}, which has no loader"
        raise InputError(Field("loader", str(options.loader)), problem, "no such file")
    if not needed or (options.state / FLASH).exists():
        return None
    if options.loader is None:
        raise InputError(
            str(options.state), "a new state directory has no firmware loader", Phrase("{loader} FILE, a signed image")
        )
    return check_first_image(config, options.loader, loader=True)


def make_flash(state: StateDir, config: BootConfig, contents: tuple[bytes, ...], loader: bytes | None = None) -> None:
    """Make the flash with its first images; the file has its name only once all of it is there."""
    unfinished = state.path / ".flash.new"
    unfinished.unlink(missing_ok=True)
    with FlashFile(unfinished, config.layout.geometry, create=True) as flash:
        install_first_images(flash, config.layout, contents, loader=loader)
    state.rename(unfinished.name, FLASH)
    state.sync()
