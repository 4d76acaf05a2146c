"""`keyswitch smp`: one SMP request as it is written, the device's answer in words, and what its gate says."""

from typing import Any

import click

from keyswitch.cli.defaults import with_target
from keyswitch.cli.diagnostics import diagnostics
from keyswitch.cli.fields import in_options, json_line
from keyswitch.cli.interrupts import run_to_end
from keyswitch.cli.output import echo
from keyswitch.cli.pairing import pairing_options
from keyswitch.exits import Exit


@click.command(context_settings={"max_content_width": 110})
@click.argument("target", metavar="[TARGET]", required=False)
@click.argument("group", metavar="GROUP", required=False)
@click.argument("command", metavar="COMMAND", required=False)
@click.argument("body", metavar="[JSON]", required=False)
@click.option(
    "--op",
    type=click.Choice(["read", "write"]),
    help="Send this operation, instead of the one that the command has (where it has both: read, but for an echo).",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait this long for the answer.",
)
@pairing_options
@diagnostics
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def smp(
    target: str | None,
    group: str | None,
    command: str | None,
    body: str | None,
    *,
    op: str | None,
    timeout_s: float,
    as_json: bool,
    **link: Any,
) -> Exit:
    """Send one SMP request to the device at TARGET, and print what it answers and what its gate says.

    GROUP and COMMAND are numbers, or names as policies have them: os echo, image state, 65 3. JSON is the request's
    map; "hex:0a0b" in it means bytes, in answers too. The request is sent as it is written: it can erase or reset the
    device where its gate lets it. Exit code 0: answered, 1: refused, 3: what came back is no answer, 4: not reached, or
    silent.

    \b
    Examples:
      keyswitch smp "ble:Pump 7" os echo '{"d": "hi"}'
      keyswitch smp udp:192.0.2.7 image state
      keyswitch smp serial:/dev/ttyACM0 image state '{"hash": "hex:5af1…", "confirm": false}' --op write
    """
    from keyswitch.app.smp_request import ask, json_words, request_of, smp_json
    from keyswitch.cli.prompt import TerminalNumbers, ask_passkey
    from keyswitch.host.smp.reply import Refusal
    from keyswitch.smp.header import Op

    target, group, command, body = with_target(target, group, command, body)
    if target is None or group is None or command is None:
        raise click.UsageError("Missing argument 'GROUP' or 'COMMAND'.")
    request = request_of(group, command, body, op=None if op is None else Op.READ if op == "read" else Op.WRITE)
    asked = run_to_end(
        ask(
            target,
            request,
            timeout_ms=round(timeout_s * 1000),
            ask_passkey=ask_passkey,
            numbers=TerminalNumbers(),
            **link,
        )
    )
    reply, verdict = asked.reply, asked.verdict
    refused = isinstance(reply, Refusal)
    if as_json:
        echo(json_line(smp_json(request, asked)))
    else:
        echo(request.words)
        if reply is None:
            echo(f"no answer: {asked.trouble}")
        else:
            echo(f"refused: {reply}" if isinstance(reply, Refusal) else f"answer: {json_words(reply.values)}")
        echo(f"gate: {verdict.line}")
        if verdict.next_step and (refused or reply is None):
            echo(f"next: {in_options(verdict.next_step)}")
    if reply is None:
        return Exit.UNREACHABLE if asked.lost else Exit.UNKNOWN
    return Exit.NO if refused else Exit.YES
