"""`keyswitch update --dry-run`: the device is asked what a plan needs, and the plan is printed."""

import json

import click

from keyswitch.cli.update_options import Options
from keyswitch.exits import Exit
from keyswitch.host.plan import Device, Line, Plan, make_plan, plan_json
from keyswitch.host.survey import survey
from keyswitch.link.serial_port import FRAMINGS
from keyswitch.link.targets import BleTarget, SerialTarget, UdpTarget, parse
from keyswitch.link.udp import IPV4_ROOM


async def plan(options: Options, *, as_json: bool) -> Exit:
    """Ask the device what a plan needs, and print it."""
    reach = options.reach
    try:
        device = await survey(reach, options.policy)
    finally:
        await reach.close()
    made = make_plan(options.job, device, _line(options.target))
    click.echo(json.dumps(plan_json(made)) if as_json else _plan_lines(made, device))
    return Exit.NO if made.refused else Exit.YES


def _line(text: str) -> Line:
    target = parse(text)
    kind = {BleTarget: "ble", UdpTarget: "udp", SerialTarget: "serial"}[type(target)]
    baud = target.baud if isinstance(target, SerialTarget) else None
    room = IPV4_ROOM if isinstance(target, UdpTarget) else None
    framing = FRAMINGS[target.framing][-1] if isinstance(target, SerialTarget) else 0
    return Line(kind=kind, baud=baud, max_packet=room, framing_bytes=framing)


def _plan_lines(made: Plan, device: Device) -> str:
    lines = [f"gate: {device.verdict.line}"] if device.verdict is not None else []
    for number, step in enumerate(made.steps, 1):
        what = f"not needed: {step.skipped}" if step.skipped else f"{step.says} (~{step.expected_ms / 1000:.1f} s)"
        lines.append(f"{number:3}. {step.name.value:<24} {what}")
    rate = f", at most {made.bytes_per_second:,} bytes/s ({made.limited_by})" if made.bytes_per_second else ""
    lines.append(f"{made.image_bytes:,} bytes in {made.requests} requests{rate}; about {made.expected_ms / 1000:.0f} s")
    refused = [f"it would be refused: {made.refused}"] if made.refused else []
    return "\n".join([*lines, *(f"note: {note}" for note in made.notes), *refused])
