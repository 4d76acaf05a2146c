"""`keyswitch update --dry-run`: the device is asked what a plan needs, and the plan is printed."""

from keyswitch.app.json_output import plan_json
from keyswitch.app.plan import ask_for_plan, plan_unasked
from keyswitch.app.update import Prepared
from keyswitch.cli.fields import in_options, json_line
from keyswitch.cli.output import echo
from keyswitch.errors import LinkLostError, SilenceError
from keyswitch.exits import Exit
from keyswitch.host.update.plan import Plan, PlannedDevice
from keyswitch.host.upload.throughput import Rate
from keyswitch.text import counted


async def plan(prepared: Prepared, *, as_json: bool) -> Exit:
    """Ask the device what a plan needs, and print it.

    Raises:
        LinkLostError: the device was not reached; the plan by file and policy alone is printed as JSON before.
        SilenceError: it was reached and answered nothing more; the same.
    """
    try:
        made, device = await ask_for_plan(prepared)
    except (LinkLostError, SilenceError) as error:
        if as_json:
            echo(json_line(plan_json(plan_unasked(prepared), unreachable=str(error))))
        raise
    for line in [json_line(plan_json(made))] if as_json else _plan_lines(made, device):
        echo(line)
    return Exit.NO if made.refused else Exit.YES


def _plan_lines(made: Plan, device: PlannedDevice) -> list[str]:
    verdict = device.verdict
    lines = [f"gate: {verdict.line}"] if verdict is not None else []
    for number, step in enumerate(made.steps, 1):
        takes = _seconds(step.expected_ms, step.slow_ms, 1)
        what = f"not needed: {step.skipped}" if step.skipped else f"{step.says} (~{takes})"
        lines.append(f"{number:3}. {step.name.value:<24} {what}")
    requests, takes = counted(made.requests, "request"), _seconds(made.expected_ms, made.slow_ms)
    lines.append(f"{made.image_bytes:,} bytes in {requests}; about {takes}")
    if made.image_bytes:
        lines.append(f"at most {_rate(made.fast)}; with a usual part's flash {_rate(made.slow)}")
    refused = [f"it would be refused: {made.refused}"] if made.refused else []
    refused += [f"next: {in_options(made.next_step)}"] if made.next_step else []
    return [*lines, *(f"note: {note}" for note in made.notes), *refused]


def _seconds(fast_ms: int, slow_ms: int, digits: int = 0) -> str:
    fast, slow = (f"{ms / 1000:.{digits}f}" for ms in (fast_ms, slow_ms))
    return f"{fast} s" if fast == slow else f"{fast} to {slow} s"


def _rate(rate: Rate) -> str:
    return f"{rate.bytes_per_second:,} bytes/s ({rate.limited_by})"
