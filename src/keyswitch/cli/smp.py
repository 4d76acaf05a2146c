"""`keyswitch smp`: one SMP request as it is written, the device's answer in words, and what its gate says."""

import asyncio
import json
from pathlib import Path

import click

from keyswitch.cli.defaults import with_target
from keyswitch.cli.diagnostics import diagnostics
from keyswitch.cli.output import echo
from keyswitch.exits import Exit


@click.command(context_settings={"max_content_width": 110})
@click.argument("target", metavar="[TARGET]", required=False)
@click.argument("group", metavar="GROUP", required=False)
@click.argument("command", metavar="COMMAND", required=False)
@click.argument("body", metavar="[JSON]", required=False)
@click.option(
    "--op",
    type=click.Choice(["read", "write"]),
    help="Send this operation, instead of the one that the command has (read, where it has both).",
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
@click.option("--pair", is_flag=True, help="Pair with the device first, or encrypt with earlier keys.")
@click.option(
    "--passkey",
    type=click.IntRange(0, 999_999),
    metavar="DIGITS",
    help="Pair with these six digits, which the device shows, instead of asking.",
)
@click.option(
    "--bonds",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Keep the pairing keys of an hci: target in this file.",
)
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
    pair: bool,
    passkey: int | None,
    bonds: Path | None,
    capture: Path | None,
    as_json: bool,
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
    from keyswitch.app.smp_request import ask, json_words, reply_json, request_of  # noqa: PLC0415 - not for --help
    from keyswitch.cli.prompt import TerminalNumbers, ask_passkey  # noqa: PLC0415
    from keyswitch.host.smp.reply import Refusal  # noqa: PLC0415
    from keyswitch.smp.header import Op  # noqa: PLC0415

    target, group, command, body = with_target(target, group, command, body)
    if target is None or group is None or command is None:
        raise click.UsageError("Missing argument 'GROUP' or 'COMMAND'.")
    request = request_of(group, command, body, op=None if op is None else Op.READ if op == "read" else Op.WRITE)
    asked = asyncio.run(
        ask(
            target,
            request,
            timeout_ms=round(timeout_s * 1000),
            pair=pair,
            passkey=passkey,
            bonds=bonds,
            ask_passkey=ask_passkey,
            capture=capture,
            numbers=TerminalNumbers(),
        )
    )
    reply, verdict = asked.reply, asked.verdict
    refused = isinstance(reply, Refusal)
    if as_json:
        gate = {"gate": verdict.gate.value, "reason": verdict.reason, "detail": verdict.detail, "mode": verdict.mode}
        told = {"request": request.words, "reply": reply_json(reply), "trouble": asked.trouble or None, **gate}
        echo(json.dumps({"schema_version": 1, **told}))
    else:
        echo(request.words)
        if reply is None:
            echo(f"no answer: {asked.trouble}")
        else:
            echo(f"refused: {reply}" if isinstance(reply, Refusal) else f"answer: {json_words(reply.values)}")
        echo(f"gate: {verdict.line}")
        if verdict.next_step and (refused or reply is None):
            echo(f"next: {verdict.next_step}")
    if reply is None:
        return Exit.UNREACHABLE if asked.lost else Exit.UNKNOWN
    return Exit.NO if refused else Exit.YES
