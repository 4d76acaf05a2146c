"""`keyswitch audit`: attack a device's gate from outside, and hand over what was found."""

import sys
from pathlib import Path
from typing import Any

import click

from keyswitch.cli.output import echo
from keyswitch.errors import InputError
from keyswitch.exits import Exit

FILE = click.Path(path_type=Path)


@click.command(context_settings={"max_content_width": 110})
@click.argument("target", metavar="[TARGET]", required=False)
@click.option("--list", "only_list", is_flag=True, help="List the checks and end; no device is needed.")
@click.option("--learn", is_flag=True, help="Only ask TARGET, and write a first policy file (-o) from what it answers.")
@click.option("--replay", metavar="REPORT/CHECK", help="Try one check of a report again, as it was tried.")
@click.option("--policy", metavar="FILE", type=FILE, help="The policy that the device is declared to obey.")
@click.option(
    "--also", metavar="TARGET", multiple=True, help="Try this way to the same device as well (another transport)."
)
@click.option("--image", metavar="IMAGE", type=FILE, help="The signed image that runs, or an older one that it takes.")
@click.option("--next", "next_image", metavar="IMAGE", type=FILE, help="A newer signed image that the device takes.")
@click.option("--only", metavar="CHECK", multiple=True, help="Run this check alone; repeatable.")
@click.option("--skip", metavar="CHECK", multiple=True, help="Leave this check out; repeatable.")
@click.option("--irreversible", is_flag=True, help="Run checks too whose damage, if the gate is open, stays.")
@click.option("--resets", is_flag=True, help="Run checks too that reset the device, if its gate is open.")
@click.option("--machine-is-safe", is_flag=True, help="Answer beforehand that the machine is safe; else you are asked.")
@click.option("--panel", metavar="DIR", type=FILE, help="Turn inputs, button and power of a device of ours here.")
@click.option("--ask", is_flag=True, help="Ask a person at the device to turn inputs, button and power.")
@click.option(
    "--max-wait",
    type=click.FloatRange(0),
    metavar="SECONDS",
    default=60,
    show_default=True,
    help="Wait no longer than this for a lease, a lock-out or a time limit.",
)
@click.option("--observe", metavar="COMMAND", help="Look at the device with this program too; it prints JSON.")
@click.option("--expect", metavar="FILE", type=FILE, help="Findings that are known and accepted for a while (TOML).")
@click.option(
    "--controls",
    type=click.Choice(["all", "failed", "cached", "none"]),
    default="all",
    show_default=True,
    help="Show each check on a sound device and on one with the hole: all, those that failed, or from the cache.",
)
@click.option("--secret", metavar="FILE", type=FILE, help="Read the entry secret from this file.")
@click.option("--permit", metavar="FILE", type=FILE, help="Enter with this signed permission.")
@click.option("--holder", metavar="PEM", type=FILE, help="Prove with this private key that the permit is yours.")
@click.option("--recipe", metavar="NAME|FILE", help="Enter maintenance of a device without our mode group so.")
@click.option("--set", "variables", metavar="NAME=VALUE", multiple=True, help="Set a variable of the recipe.")
@click.option("--to", metavar="MODE", help="Enter this maintenance mode; needed if the policy has several.")
@click.option("--pair", is_flag=True, help="Pair with the device, or encrypt with the keys of an earlier pairing.")
@click.option(
    "--passkey",
    type=click.IntRange(0, 999_999),
    metavar="DIGITS",
    help="Pair with these six digits, which the device shows, instead of asking.",
)
@click.option("--bonds", metavar="FILE", type=FILE, help="Keep the pairing keys of an hci: target in this file.")
@click.option("--sign", metavar="PEM", type=FILE, help="Sign the evidence record with this private Ed25519 key.")
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    type=FILE,
    help="Write the report as this new directory; with --learn, the file.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line; the last one is the summary.")
def audit(target: str | None, *, only_list: bool, learn: bool, as_json: bool, **options: Any) -> Exit:
    """Attack the gate of the device at TARGET from outside, in every mode, and write what was found into DIR.

    A check passes only with proof that nothing happened: what the slots hold, the boot id, settings. A refusal alone is
    inconclusive, and so is silence. What a check may change is said beforehand and put back. Absence of findings is not
    proof.

    Exit code 0: nothing was found, and nothing is inconclusive, that --expect does not accept. 1: findings. 3:
    inconclusive. 4: not reached. 130: interrupted; the report holds what was found until then.

    \b
    Examples:
      keyswitch audit --list
      keyswitch audit --learn udp:192.0.2.7 -o first.toml
      keyswitch audit --replay audit-1/KS-106
      keyswitch audit udp:192.0.2.7 --policy policy.toml --next pump-1.1.0.signed.bin --ask -o audit-1
      keyswitch audit "hci:tcp-client:127.0.0.1:6402#Pump 7" --also udp:127.0.0.1:1337 --policy policy.toml \\
          --panel pump-state --next pump-1.1.0.signed.bin --resets --irreversible -o audit-2
    """
    if only_list:
        return _list(as_json=as_json)
    replayed = options.pop("replay")
    if replayed is not None:
        return _replay(replayed, target, options, as_json=as_json)
    if learn:
        return _learn(target, options)
    for name, value in (("TARGET", target), ("--policy", options["policy"]), ("-o", options["output"])):
        if value is None:
            raise InputError(name, "missing", "keyswitch audit TARGET --policy FILE -o DIR, or keyswitch audit --list")
    assert target is not None  # noqa: S101 - just looked at
    from keyswitch.cli.audit_run import prepare, run

    prepared = prepare(target, options)
    for line in prepared.declared:
        echo(line, err=True)
    _see_that_it_is_safe(needed=prepared.permitted_something, answered=options["machine_is_safe"])
    return run(prepared, as_json=as_json)


def _replay(finding: str, target: str | None, options: dict[str, Any], *, as_json: bool) -> Exit:
    from keyswitch.cli.audit_replay import read_finding
    from keyswitch.cli.audit_run import prepare, run_again

    context = click.get_current_context()
    defaults = {click.core.ParameterSource.DEFAULT, click.core.ParameterSource.DEFAULT_MAP}
    given = {name: value for name, value in options.items() if context.get_parameter_source(name) not in defaults}
    if target is not None:
        given["target"] = target
    reached, again, then = read_finding(finding, given)
    prepared = prepare(reached, {**options, **again})
    for line in prepared.declared:
        echo(line, err=True)
    _see_that_it_is_safe(needed=prepared.permitted_something, answered=options["machine_is_safe"])
    return run_again(prepared, then, as_json=as_json)


def _learn(target: str | None, options: dict[str, Any]) -> Exit:
    from keyswitch.cli.audit_learn import learn

    for name, value in (("TARGET", target), ("-o", options["output"])):
        if value is None:
            raise InputError(name, "missing", "keyswitch audit --learn TARGET -o FILE")
    assert target is not None  # noqa: S101 - just looked at
    return learn(target, options["output"], options)


def _list(*, as_json: bool) -> Exit:
    from keyswitch.audit.checks import CHECKS
    from keyswitch.audit.json_output import check_json
    from keyswitch.schema.output import to_line

    for check in CHECKS:
        if as_json:
            echo(to_line(check_json(check)))
        else:
            more = ", resets" if check.resets else ""
            echo(f"{check.id}  {check.title} ({check.impact.value}{more})")
    return Exit.YES


def _see_that_it_is_safe(*, needed: bool, answered: bool) -> None:
    """Nothing that may stop or change a machine is begun before a person has said that it is safe."""
    if not needed or answered:
        return
    if sys.stdin is None or not sys.stdin.isatty():
        expected = "--machine-is-safe, from somebody who has seen that it is"
        raise InputError(
            "--irreversible, --resets", "there is no terminal to ask whether the machine is safe", expected
        )
    echo("type `the machine is safe` if it is: ", err=True, end=False)
    if sys.stdin.readline().strip().lower() != "the machine is safe":
        raise InputError("--irreversible, --resets", "nobody said that the machine is safe", "the machine is safe")
