"""`keyswitch scan`: what is near, with mode and gate as advertised."""

import asyncio
import json
from pathlib import Path
from typing import Any

import click

from keyswitch.cli.output import echo
from keyswitch.errors import InputError
from keyswitch.exits import Exit


@click.command(context_settings={"max_content_width": 110})
@click.argument("target", metavar="[RADIO]", default="ble:")
@click.option("--seconds", type=click.FloatRange(0.1, 300), default=5.0, show_default=True, help="How long to listen.")
@click.option("--all", "everything", is_flag=True, help="Also devices that show no update service.")
@click.option(
    "--policy", metavar="FILE", type=click.Path(path_type=Path), help="Names the modes of the devices that obey it."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def scan(target: str, seconds: float, everything: bool, policy: Path | None, as_json: bool) -> Exit:
    """List the devices near RADIO that could be updated, with mode and gate as they advertise them.

    RADIO is `ble:`, this computer's own adapter, or `hci:TRANSPORT`. An advertisement shows, it does not decide:
    `keyswitch status` asks the device. Exit code 0: something was heard, 1: nothing.

    \b
    Examples:
      keyswitch scan
      keyswitch scan hci:tcp-client:127.0.0.1:6402 --seconds 2 --json
    """
    from keyswitch.host.near import Near, listen  # noqa: PLC0415 - imported for what is run, not for --help
    from keyswitch.link.targets import BleTarget, open_adapter, parse  # noqa: PLC0415
    from keyswitch.policy.load import read_policy  # noqa: PLC0415

    radio = parse(target, anyone=True)
    if not isinstance(radio, BleTarget):
        raise InputError(target, "no radio", "ble: or hci:TRANSPORT")
    modes = list(read_policy(policy).modes) if policy is not None else []

    async def heard() -> tuple[Near, ...]:
        adapter = open_adapter(radio)
        try:
            return await listen(adapter, round(seconds * 1000), everything=everything)
        finally:
            await adapter.close()

    found = asyncio.run(heard())
    for near in found:
        known = near.mode_index is not None and near.mode_index < len(modes)
        name = modes[near.mode_index] if known and near.mode_index is not None else None
        told: dict[str, Any] = {
            "address": near.address,
            "name": near.name,
            "gate": near.gate.value,
            "mode": name,
            "mode_index": near.mode_index,
            "token": near.token.hex() or None,
            "rssi_dbm": near.rssi_dbm,
        }
        echo(json.dumps(told) if as_json else _line(told))
    if not found and not as_json:
        echo("nothing was heard" + ("" if everything else " that could be updated (--all shows the rest)"))
    return Exit.YES if found else Exit.NO


def _line(told: dict[str, Any]) -> str:
    mode = told["mode"] or (f"mode {told['mode_index']}" if told["mode_index"] is not None else "")
    rssi = "" if told["rssi_dbm"] is None else f"{told['rssi_dbm']} dBm"
    return f"{told['address']:<18} {told['name'] or '-':<20} {told['gate']:<8} {mode:<14} {rssi}".rstrip()
