"""`keyswitch check`: prove a policy, or show the shortest counterexample."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from keyswitch import __version__
from keyswitch.cli.check_meter import MAX_MEMORY_MB, CheckMeter
from keyswitch.cli.fields import in_options, json_line
from keyswitch.cli.output import echo, echo_document
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.policy.fingerprints import fingerprints, missing_key_files
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy
from keyswitch.prove.check import ProofResult, Violation, trace_words
from keyswitch.prove.check import check as prove
from keyswitch.prove.explore import MAX_STATES
from keyswitch.prove.lint import LintWarning
from keyswitch.prove.liveness import LIVENESS
from keyswitch.prove.report import ReportHeader, counterexample, junit, markdown, report_json
from keyswitch.prove.report_html import html
from keyswitch.prove.safety import SAFETY
from keyswitch.text import counted

_REPORTS: Final = {"html": html, "md": markdown, "junit": junit}


@click.command(context_settings={"max_content_width": 110})
@click.argument("policy", metavar="POLICY", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--replay",
    metavar="TRACE",
    type=click.Path(path_type=Path),
    help="Play the traces of an earlier `check --json` on the device itself.",
)
@click.option(
    "--report",
    type=click.Choice(sorted(_REPORTS)),
    help="Write a report: a web page (html), a text (md), or results for a CI server (junit).",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the report to this file instead of standard output.",
)
@click.option(
    "--max-states",
    type=click.IntRange(min=1),
    default=MAX_STATES,
    show_default=True,
    metavar="N",
    help="Stop when there are more than N states.",
)
@click.option(
    "--max-memory",
    metavar="MB",
    type=click.IntRange(min=1),
    default=MAX_MEMORY_MB,
    show_default=True,
    help="Stop when the process uses more than MB megabytes of memory.",
)
def check(
    policy: Path,
    replay: Path | None,
    report: str | None,
    output: Path | None,
    max_states: int,
    max_memory: int,
    *,
    as_json: bool,
) -> Exit:
    """Prove that POLICY keeps every promise of the gate, or show how it does not.

    Explores the same machine that the device runs, with everything around it: connections, inputs, time limits,
    uploads, pending and trial images, lock-out, and power cuts at every moment.

    Exit code 0: it is proved, 1: it is refuted, 3: not decided, for it needs more states or memory than allowed.

    \b
    Examples:
      keyswitch check policy.toml
      keyswitch check policy.toml --json > verdict.json
      keyswitch check policy.toml --report html -o report.html
      keyswitch check policy.toml --replay verdict.json
    """
    if output is not None and report is None:
        raise click.UsageError("--output is for a report: name its kind with --report")
    if as_json and report is not None and output is None:
        raise click.UsageError("--json and --report both go to stdout: name a file for the report with --output")
    rules = read_policy(policy)
    if replay is not None:
        from keyswitch.cli.replay import replay_file

        return replay_file(rules, replay, as_json=as_json)
    meter = CheckMeter(max_memory, now_ms=lambda: time.monotonic_ns() // 1_000_000)
    verdict = prove(rules, max_states=max_states, meter=meter)
    meter.done()
    verdict = replace(verdict, warnings=(*verdict.warnings, *_missing_files(rules)))
    circumstances = ReportHeader(
        tool=f"keyswitch {__version__}",
        time=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        keys=fingerprints(rules),
    )
    if report is not None:
        _write(_REPORTS[report](rules, verdict, circumstances), output)
    if as_json:
        echo(json_line(report_json(rules, verdict, circumstances)))
    elif report is None or output is not None:
        _say(str(policy), verdict)
    if verdict.violations:
        return Exit.NO
    return Exit.YES if verdict.complete else Exit.UNKNOWN


def _missing_files(policy: Policy) -> Iterator[LintWarning]:
    """The policy is proved without its keys; whoever runs it needs them."""
    for where, path in missing_key_files(policy):
        text = f"{where}: {path} is not there; a device cannot start without it"
        yield LintWarning(name="key-file-missing", text=text)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        echo_document(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(str(output), error.strerror or "cannot be written", "a file that can be written") from error


def _say(name: str, verdict: ProofResult) -> None:
    explored = f"{counted(verdict.explored, 'state')} and {counted(verdict.edges, 'move')} explored"
    if not verdict.complete:
        why = in_options(verdict.stopped or "")
        echo(f"{name}: not decided: {why}; {counted(verdict.states, 'state')} found, {explored}")
    elif verdict.holds:
        echo(f"{name}: proved ({len(SAFETY) + len(LIVENESS)} promises, {explored})")
    for violation in verdict.violations:
        _say_violation(name, violation)
    if verdict.violations:
        echo(f"{name}: refuted ({counted(len(verdict.violations), 'violation')}, {explored})")
    for warning in verdict.warnings:
        echo(f"warning: {warning.text}")
    if verdict.early:
        echo("the window that early arming leaves open:")
        _say_steps(trace_words(verdict.early))
    for bypass in verdict.bypasses:
        echo(f"bypass, declared by the policy: {bypass}")


def _say_violation(name: str, violation: Violation) -> None:
    echo(f"{name}: {violation.rule}: {violation.text}")
    for line in counterexample(violation):
        echo(f"  {line}")


def _say_steps(lines: list[str]) -> None:
    for number, line in enumerate(lines, 1):
        echo(f"  {number:2}. {line}")
