"""`keyswitch scan`: what is near, with the service and mode that it advertises."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyswitch.cli.defaults import default_policy
from keyswitch.cli.interrupts import run_to_end
from keyswitch.cli.output import echo
from keyswitch.exits import Exit

if TYPE_CHECKING:
    from keyswitch.app.json_output import ScanJson


@click.command(context_settings={"max_content_width": 110})
@click.argument("target", metavar="[RADIO]", default="ble:")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 300),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Listen for this long.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="List devices that show no update service as well: some have one all the same.",
)
@click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Name the mode of each device that obeys this policy.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def scan(target: str, seconds: float, everything: bool, policy: Path | None, as_json: bool) -> Exit:
    """List the devices near RADIO that advertise an update service or a mode service, and what mode they tell.

    RADIO is `ble:`, this computer's own adapter, or `hci:TRANSPORT`. Whether a gate is open is not in an advertisement,
    nor which policy a device obeys: `keyswitch status` asks the device. Exit code 0: something was heard, 1: nothing.

    \b
    Examples:
      keyswitch scan
      keyswitch scan hci:tcp-client:127.0.0.1:6402 --seconds 2 --json
    """
    from keyswitch.app.json_output import scan_json, to_line
    from keyswitch.app.scan import scan as listen
    from keyswitch.host.connect.scan import Shows
    from keyswitch.policy.load import read_policy

    policy = policy or default_policy()
    rules = read_policy(policy) if policy is not None else None
    heard = run_to_end(listen(target, listen_ms=round(seconds * 1000), everything=True))
    found = [near for near in heard if everything or near.shows is not Shows.NEITHER]
    hidden = len(heard) - len(found)
    for near in found:
        told = scan_json(near, rules)
        echo(to_line(told) if as_json else _line(told))
    if hidden and not as_json:
        each = "device that shows" if hidden == 1 else "devices that show"
        echo(
            f"{'and ' if found else ''}{hidden} {each} no update service: --all lists {'it' if hidden == 1 else 'them'}"
        )
    if found and not as_json:
        echo("next: ask one of them whether it would take an update: keyswitch status")
    if not heard and not as_json:
        echo("nothing was heard")
    return Exit.YES if found else Exit.NO


def _line(told: "ScanJson") -> str:
    mode = f"mode {told['mode_index']}" if told["mode_index"] is not None else ""
    if told["mode_if_policy"] is not None:
        mode += f" ({told['mode_if_policy']}, if it obeys --policy)"
    rssi = "" if told["rssi_dbm"] is None else f"{told['rssi_dbm']} dBm"
    return f"{told['address']:<18} {told['name'] or '-':<20} {told['shows']:<14} {mode:<14} {rssi}".rstrip()
