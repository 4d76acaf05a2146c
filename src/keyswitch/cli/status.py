"""`keyswitch status`: would this device take an update now, if not why, and what to do."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from keyswitch.cli.defaults import default_policy, with_target
from keyswitch.cli.diagnostics import diagnostics
from keyswitch.cli.fields import in_options, json_line
from keyswitch.cli.interrupts import run_to_end
from keyswitch.cli.output import colour_of, echo
from keyswitch.cli.pairing import pairing_options
from keyswitch.errors import InputError, LinkLostError, SilenceError
from keyswitch.exits import Exit
from keyswitch.terms import Security

if TYPE_CHECKING:
    from keyswitch.app.status import Looked
    from keyswitch.host.connect.verdict import Gate


@click.command(context_settings={"max_content_width": 110})
@click.argument("target", metavar="[TARGET]", required=False)
@click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Say how to enter maintenance, as this policy of the device has it.",
)
@click.option(
    "--inventory",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Take the unit's id from this file (TOML or CSV); --unit names it there.",
)
@click.option("--unit", metavar="ID", help="Expect this unit of the inventory.")
@pairing_options
@diagnostics
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(
    target: str | None,
    *,
    policy: Path | None,
    inventory: Path | None,
    unit: str | None,
    as_json: bool,
    **link: Any,
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
    from keyswitch.app.endpoints import open_endpoint
    from keyswitch.app.json_output import status_json
    from keyswitch.app.status import Looked, look
    from keyswitch.app.units import policy_of_unit
    from keyswitch.cli.prompt import TerminalNumbers, ask_passkey
    from keyswitch.host.connect.verdict import Gate, Given, Verdict, unreached

    if unit is not None and inventory is None:
        raise InputError("--unit", "means nothing without an inventory", "--inventory FILE")
    (named,) = with_target(target)
    rules, _ = policy_of_unit(policy or default_policy(), inventory, unit)
    endpoint = open_endpoint(named or "", ask_passkey=ask_passkey, numbers=TerminalNumbers(), **link)
    try:
        looked = run_to_end(look(endpoint, rules))
    except (LinkLostError, SilenceError) as error:
        known = error.next_step if isinstance(error, LinkLostError) else ""
        next_step = known or unreached(Given(radio=endpoint.radio))
        if as_json:
            verdict = Verdict(gate=Gate.UNKNOWN, detail=str(error), next_step=next_step)
            echo(json_line(status_json(Looked(verdict=verdict))))
        echo(f"keyswitch: {error}", err=True)
        echo(f"next: {in_options(next_step)}", err=True)
        return Exit.UNREACHABLE
    verdict = looked.verdict
    if as_json:
        echo(json_line(status_json(looked)))
    else:
        _say(looked, radio=endpoint.radio)
    if looked.other is not None:
        return Exit.NO
    return _exit_of(verdict.gate)


_LINK: Final = {
    None: "this computer's system does not say whether it is encrypted",
    Security.NONE: "not encrypted",
    Security.ENCRYPTED: "encrypted, without protection against somebody in the middle",
    Security.AUTHENTICATED: "encrypted and authenticated",
}


def _exit_of(gate: "Gate") -> Exit:
    from keyswitch.host.connect.verdict import Gate

    return {Gate.OPEN: Exit.YES, Gate.SHUT: Exit.NO, Gate.UNKNOWN: Exit.UNKNOWN}[gate]


def _say(looked: "Looked", *, radio: bool) -> None:
    from keyswitch.cli.progress import slot_lines
    from keyswitch.host.access.strategy import OLDER_FORM
    from keyswitch.policy.digest import FILE_FORM

    verdict = looked.verdict
    echo(f"gate: {verdict.line}", colour=colour_of(_exit_of(verdict.gate)))
    if looked.other is not None:
        word = "another revision" if looked.other.same_device else "another device"
        echo(f"{word}: {looked.other.detail}")
    elif looked.policy_form == FILE_FORM:
        echo(f"policy: {OLDER_FORM}")
    if verdict.next_step:
        echo(f"next: {in_options(verdict.next_step)}")
    if verdict.mode is not None:
        echo(f"mode: {verdict.mode}")
    if radio:
        echo(f"link: {_LINK[looked.security]}")
    for line in ["slots: not told"] if verdict.slots is None else slot_lines(verdict.slots):
        echo(line)
