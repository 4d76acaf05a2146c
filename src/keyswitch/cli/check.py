"""`keyswitch check`: prove a policy, or show the shortest way into its hole."""

import json
from pathlib import Path
from typing import Any

import click

from keyswitch.exits import Exit
from keyswitch.policy.load import read_policy
from keyswitch.prove.check import Verdict, Violation, trace_json, trace_words
from keyswitch.prove.check import check as prove
from keyswitch.prove.explore import MAX_STATES
from keyswitch.prove.liveness import LIVENESS
from keyswitch.prove.safety import SAFETY


@click.command(context_settings={"max_content_width": 110})
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--replay",
    metavar="TRACE",
    type=click.Path(path_type=Path),
    help="Play the traces of an earlier `check --json` on the device itself.",
)
@click.option("--max-states", type=click.IntRange(min=1), default=MAX_STATES, show_default=True, help="Give up beyond.")
def check(policy: Path, replay: Path | None, max_states: int, *, as_json: bool) -> Exit:
    """Prove that POLICY keeps every promise of the gate, or show how it does not.

    Explores the same machine that the device runs, with everything around it: connections, inputs, time limits,
    uploads, pending and trial images, lock-out, and power cuts at every moment.

    Exit code 0: it holds, 1: it is refuted, 3: too large to be explored.

    \b
    Examples:
      keyswitch check policy.toml
      keyswitch check policy.toml --json > verdict.json
      keyswitch check policy.toml --replay verdict.json
    """
    rules = read_policy(policy)
    if replay is not None:
        from keyswitch.cli.replaying import replay_file  # noqa: PLC0415 - brings the whole device

        return replay_file(rules, replay, as_json=as_json)
    verdict = prove(rules, max_states=max_states)
    if as_json:
        click.echo(json.dumps(verdict_json(verdict)))
    else:
        _say(str(policy), verdict)
    if verdict.violations:
        return Exit.NO
    return Exit.YES if verdict.complete else Exit.UNKNOWN


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as one JSON object."""
    told: dict[str, Any] = {
        "holds": verdict.holds,
        "violations": [_violation_json(each) for each in verdict.violations],
        "warnings": [{"name": each.name, "text": each.text} for each in verdict.warnings],
        "bypasses": list(verdict.bypasses),
        "states": verdict.states,
        "moves": verdict.edges,
        "complete": verdict.complete,
    }
    if verdict.early:
        told["early_arming_window"] = trace_json(verdict.early)
    return told


def _violation_json(violation: Violation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "rule": violation.rule,
        "kind": "safety" if violation.safety else "liveness",
        "subject": violation.subject,
        "text": violation.text,
        "trace": trace_json(violation.trace),
    }
    if not violation.safety:
        told["loop"] = trace_json(violation.loop)
    if violation.explored:
        told["explored"] = violation.explored
    return told


def _say(name: str, verdict: Verdict) -> None:
    explored = f"{verdict.states} states and {verdict.edges} moves explored"
    if not verdict.complete:
        click.echo(f"{name}: not decided: {verdict.stopped}")
    elif verdict.holds:
        click.echo(f"{name}: holds ({len(SAFETY) + len(LIVENESS)} promises, {explored})")
    for violation in verdict.violations:
        _say_violation(name, violation)
    if verdict.violations:
        click.echo(f"{name}: refuted ({len(verdict.violations)} violations, {explored})")
    for warning in verdict.warnings:
        click.echo(f"warning: {warning.text}")
    if verdict.early:
        click.echo("the window that early arming leaves open:")
        _say_steps(trace_words(verdict.early))
    for bypass in verdict.bypasses:
        click.echo(f"bypass, declared by the policy: {bypass}")


def _say_violation(name: str, violation: Violation) -> None:
    click.echo(f"{name}: {violation.rule}: {violation.text}")
    _say_steps(trace_words(violation.trace))
    if violation.loop:
        click.echo("  and then for ever:")
        _say_steps(trace_words(violation.loop), first=len(violation.trace) + 1)
    elif violation.trace and not violation.safety:
        click.echo("  and then time passes")
    if violation.explored:
        click.echo(f"  explored: {violation.explored}")


def _say_steps(lines: list[str], first: int = 1) -> None:
    for number, line in enumerate(lines, first):
        click.echo(f"  {number:2}. {line}")
