"""`keyswitch status`: would this device take an update now, if not why, and what to do."""

import asyncio
from pathlib import Path
from typing import Final

import click

from keyswitch.cli.defaults import default_policy, with_target
from keyswitch.cli.diagnostics import diagnostics
from keyswitch.cli.output import colour_of, echo
from keyswitch.errors import LinkLostError
from keyswitch.exits import Exit
from keyswitch.terms import Security


@click.command(context_settings={"max_content_width": 110})
@click.argument("target", metavar="[TARGET]", required=False)
@click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Say how to enter maintenance, as this policy of the device has it.",
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
def status(
    target: str | None,
    *,
    policy: Path | None,
    pair: bool,
    passkey: int | None,
    bonds: Path | None,
    capture: Path | None,
    as_json: bool,
) -> Exit:
    """Say whether the device at TARGET would take an update now: open, shut or unknown, why, and what to do.

    Shows what lies in its slots as well, where the device lists them. Changes nothing on the device. Exit code 0: open,
    1: shut, or not a device that obeys --policy, 3: unknown, 4: not reached.

    \b
    Examples:
      keyswitch status "ble:Pump 7"
      keyswitch status serial:/dev/ttyACM0 --json

    \b
    TARGET:
      ble:NAME or ble:ADDRESS      this computer's own adapter
      hci:TRANSPORT#NAME           a controller that Bumble opens: hci:tcp-client:127.0.0.1:6402#Pump 7
      ble:"C0:FF:EE:00:00:07"      in quotation marks anything is a NAME
      udp:HOST[:PORT]              serial:PATH[@BAUD]
    """
    from keyswitch.app.endpoints import open_reach  # noqa: PLC0415
    from keyswitch.app.events import status_json, to_line  # noqa: PLC0415
    from keyswitch.app.status import Looked, look  # noqa: PLC0415 - imported for what is run, not for --help
    from keyswitch.cli.progress import slot_lines  # noqa: PLC0415
    from keyswitch.cli.prompt import TerminalNumbers, ask_passkey  # noqa: PLC0415
    from keyswitch.host.connect.verdict import Gate, Given, Verdict, unreached  # noqa: PLC0415
    from keyswitch.policy.load import read_policy  # noqa: PLC0415

    (named,) = with_target(target)
    policy = policy or default_policy()
    rules = read_policy(policy) if policy is not None else None
    reach = open_reach(
        named or "",
        pair=pair,
        passkey=passkey,
        bonds=bonds,
        ask_passkey=ask_passkey,
        capture=capture,
        numbers=TerminalNumbers(),
    )
    try:
        looked = asyncio.run(look(reach, rules))
    except LinkLostError as error:
        next_step = error.next_step or unreached(Given(radio=reach.radio))
        if as_json:
            verdict = Verdict(gate=Gate.UNKNOWN, detail=str(error), next_step=next_step)
            echo(to_line(status_json(Looked(verdict=verdict))))
        echo(f"keyswitch: {error}", err=True)
        echo(f"next: {next_step}", err=True)
        return Exit.UNREACHABLE
    verdict = looked.verdict
    codes = {Gate.OPEN: Exit.YES, Gate.SHUT: Exit.NO, Gate.UNKNOWN: Exit.UNKNOWN}
    if as_json:
        echo(to_line(status_json(looked)))
    else:
        echo(f"gate: {verdict.line}", colour=colour_of(codes[verdict.gate]))
        if looked.other is not None:
            word = "another revision" if looked.other.same_device else "another device"
            echo(f"{word}: {looked.other.detail}")
        if verdict.next_step:
            echo(f"next: {verdict.next_step}")
        if verdict.mode is not None:
            echo(f"mode: {verdict.mode}")
        if reach.radio:
            echo(f"link: {_LINK[looked.security]}")
        for line in ["slots: not told"] if verdict.slots is None else slot_lines(verdict.slots):
            echo(line)
    if looked.other is not None:
        return Exit.NO
    return codes[verdict.gate]


_LINK: Final = {
    None: "this computer's system does not say whether it is encrypted",
    Security.NONE: "not encrypted",
    Security.ENCRYPTED: "encrypted, without protection against somebody in the middle",
    Security.AUTHENTICATED: "encrypted and authenticated",
}
