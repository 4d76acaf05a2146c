"""`keyswitch device`: run a gated device from a policy file."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from keyswitch.cli.event_words import event_words
from keyswitch.cli.interrupts import run_to_end
from keyswitch.exits import Exit
from keyswitch.schema.output import to_line
from keyswitch.text import plain


@click.command(context_settings={"max_content_width": 110})
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.option(
    "--state",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep the device's flash, session, bonds and counters in this directory.",
)
@click.option(
    "--unit",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take the unit's id and secret from this file, so that one policy serves many units. FILE.hex: its data, as "
    "`keyswitch unit make` writes it.",
)
@click.option(
    "--image",
    "first_image",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Start a new DIR with this signed image; where the policy has several, with the package of all.",
)
@click.option(
    "--loader",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Start a new DIR with this signed firmware loader beside it, where the policy's bootloader has one.",
)
@click.option(
    "--ble",
    default="virtual",
    metavar="virtual[:PORT]|none|HCI",
    show_default=True,
    help="Use this radio. virtual: a modelled air that other processes join by HCI over TCP on PORT (0: any). "
    "HCI: a real controller, such as usb:0 or serial:/dev/ttyACM0.",
)
@click.option(
    "--air", default="", metavar="KEY=VALUE,…", help="Set the modelled air, such as interval_ms=15,phy=2M,loss=0."
)
@click.option("--udp", metavar="HOST:PORT", help="Serve SMP over UDP at this address as well.")
@click.option(
    "--serial",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Serve SMP on this serial port, or on a new pseudo-terminal.",
)
@click.option(
    "--capture",
    metavar="FILE.btsnoop",
    type=click.Path(path_type=Path),
    help="Write what passes between the device and its radio to this file, which Wireshark opens.",
)
@click.option(
    "--serial-framing",
    type=click.Choice(["console", "raw"]),
    default="console",
    show_default=True,
    help="Frame serial packets like this. console: base64 lines between other text; raw: bare packets.",
)
@click.option("--virtual-time", is_flag=True, help="Let `keyswitch panel DIR advance` move the device's clock.")
@click.option(
    "--flash",
    default="none",
    metavar="PROFILE",
    show_default=True,
    help="Let flash operations take as long as on this part: none or nrf52840.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what happens as one JSON object a line.")
def device(as_json: bool, **options: Any) -> Exit:
    """Run the device that POLICY describes, until SIGTERM or Ctrl-C.

    \b
    Examples:
      keyswitch device examples/pump/policy.toml --state pump-state --image pump-1.0.0.signed.bin
      keyswitch device policy.toml --state pump-state --ble virtual:6402 --air interval_ms=15,phy=2M,loss=0.05
      keyswitch device policy.toml --state pump-state --udp 127.0.0.1:1337 --serial pump-state/tty --ble none
    """
    from keyswitch.device.process.event_writer import EventWriter
    from keyswitch.device.process.process import DeviceOptions, serve

    telling = EventWriter(_stdout(), _json if as_json else _line)
    try:
        return run_to_end(_until_told(serve(DeviceOptions(**options), telling.tell)))
    finally:
        telling.close()


def _stdout() -> int:
    """The descriptor itself: a thread that waits inside Python's own buffer would keep the process from ending."""
    return -1 if sys.stdout is None else sys.stdout.fileno()  # None: it was closed (`>&-`)


async def _until_told(serving: Coroutine[Any, Any, None]) -> Exit:
    with suppress(asyncio.CancelledError):
        await serving
    return Exit.YES


def _json(event: dict[str, Any]) -> bytes:
    return f"{to_line(event)}\n".encode()


def _line(event: dict[str, Any]) -> bytes:
    said = _LINES.get(event["event"])
    words = event_words(event["event"], event) if said is None else said(event)
    return f"{plain(words)}\n".encode()


def _ready(event: dict[str, Any]) -> str:
    ways = [f"mode {event['mode']}"]
    ways += [f"radio {event['ble']}, address {event['address']}"] if event["ble"] is not None else []
    ways += [f"{name} {event[name]}" for name in ("udp", "serial") if event[name] is not None]
    return f"{event['name']} is up: {'; '.join(ways)}"


def _boot(event: dict[str, Any]) -> str:
    images = [f"{image['version']} {image['hash'][:16]}… ({'; '.join(image['why'])})" for image in event["images"]]
    return f"boot: {', '.join(images)}" if event["runs"] else "boot: nothing here may run"


_LINES: dict[str, Callable[[dict[str, Any]], str]] = {
    "ready": _ready,
    "boot": _boot,
    "mode": lambda event: f"mode {event['mode']}",
    "inhibit": lambda event: f"inhibited: {', '.join(event['names']) or 'nothing'}",
    "connected": lambda event: f"{event['transport']} peer {event['peer']} connected",
    "disconnected": lambda event: f"{event['transport']} peer {event['peer']} gone",
    "reset": lambda _: "reset",
    "transport-lost": lambda event: f"{event['transport']} lost: {event['why']}",
    "left-out": lambda event: f"{event['events']} events left out: nobody read them",
    "capture-ended": lambda event: f"{event['file']}: {event['why']}; captured no further",
    "log-ended": lambda event: f"{event['file']}: {event['why']}; no more events are kept there",
}
"""How the older events read; all others as in the panel's log."""
