"""`keyswitch check --replay`: the prover's traces on the whole device."""

from pathlib import Path
from typing import Any, Final, cast

from keyswitch.cli.interrupts import run_to_end
from keyswitch.cli.output import echo
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.files.documents import parse_json
from keyswitch.files.reading import FileKind, read_file
from keyswitch.policy.model import Policy
from keyswitch.replay.play import ReplayResult, play, replay_json
from keyswitch.schema.output import to_line

VERDICT_FILE: Final = FileKind(expected="what `keyswitch check POLICY --json` prints", max_size=16_000_000)


def replay_file(policy: Policy, path: Path, *, as_json: bool) -> Exit:
    """Play every violation of an earlier verdict that has a trace; what never happens has none.

    Returns:
        YES if the device did what each trace says, NO if not, UNKNOWN if there was nothing to play.

    Raises:
        InputError: no file that `keyswitch check --json` writes, or an event that cannot be played.
    """
    violations = _read(path)
    try:
        outcomes = [(each, run_to_end(play(policy, each))) for each in violations]
    except InputError as error:
        raise InputError(f"{path}: {error.where}", error.problem, error.expected) from error
    if as_json:
        echo(to_line(replay_json(outcomes)))
    else:
        for violation, outcome in outcomes:
            _say(violation, outcome)
        if not outcomes:
            echo(f"{path}: no violation with a trace to play")
    if not outcomes:
        return Exit.UNKNOWN
    return Exit.YES if all(outcome.confirmed for _, outcome in outcomes) else Exit.NO


def _read(path: Path) -> list[dict[str, Any]]:
    expected = VERDICT_FILE.expected
    verdict: object = parse_json(read_file(path, VERDICT_FILE), str(path), expected)
    found: object = cast("dict[str, object]", verdict).get("violations") if isinstance(verdict, dict) else None
    if not isinstance(found, list):
        raise InputError(str(path), "no verdict", expected)
    violations = [cast("dict[str, Any]", each) for each in cast("list[object]", found) if isinstance(each, dict)]
    for place, each in enumerate(violations):
        lists = isinstance(each.get("trace"), list) and isinstance(each.get("loop", []), list)
        if not {"rule", "subject", "kind"} <= each.keys() or not lists:
            raise InputError(f"{path}: violations[{place}]", "no violation", expected)
    return [each for each in violations if each["trace"]]


def _say(violation: dict[str, Any], outcome: ReplayResult) -> None:
    echo(f"{violation['rule']}: {violation.get('text', violation['subject'])}")
    for number, step in enumerate(outcome.steps, 1):
        more = "" if step.ok else f", but the trace says {step.expected}"
        echo(f"  {number:2}. {step.event} → {step.observed or 'off'}{more}")
    echo(f"  {'seen' if outcome.seen else 'NOT seen'} on the device: {outcome.claim}")
