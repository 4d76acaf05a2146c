"""The report as SARIF 2.1.0: findings as code scanners tell them. In place of a source line stands the target."""

import json
from typing import Any, Final

from keyswitch.audit.catalogue import Check
from keyswitch.audit.clauses import clauses_of
from keyswitch.audit.report.document import Report
from keyswitch.audit.verdict import Verdict

_LEVELS: Final = {
    Verdict.FAIL: "error",
    Verdict.UNCONFIRMED: "warning",
    Verdict.INCONCLUSIVE: "note",
    Verdict.PASS: "none",
    Verdict.NOT_APPLICABLE: "none",
}
_KINDS: Final = {
    Verdict.FAIL: "fail",
    Verdict.UNCONFIRMED: "review",
    Verdict.INCONCLUSIVE: "open",
    Verdict.PASS: "pass",
    Verdict.NOT_APPLICABLE: "notApplicable",
}
"""`level` has to be `none` where `kind` is not `fail` (SARIF 2.1.0, 3.27.9 and 3.27.10)."""


def to_sarif(report: Report) -> bytes:
    """One run; one rule and one result for each check."""
    name, _, version = report.tool.partition(" ")
    run = {
        "tool": {"driver": {"name": name, "version": version, "rules": [_rule(check) for check in report.checks]}},
        "results": [_result(report, check) for check in report.checks],
        "columnKind": "utf16CodeUnits",
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def _rule(check: Check) -> dict[str, Any]:
    return {
        "id": check.id,
        "shortDescription": {"text": check.title},
        "fullDescription": {"text": f"{check.requirement} {check.why}"},
        "help": {"text": f"{check.finding} {check.remedy}"},
        "properties": {"tags": [clause.name for clause in clauses_of(check.id)], "class": check.impact.value},
    }


def _result(report: Report, check: Check) -> dict[str, Any]:
    found = report.found(check)
    accepted = report.compared.accepted.get(check.id)
    kind = _KINDS[found.verdict]
    result: dict[str, Any] = {
        "ruleId": check.id,
        "kind": kind,
        "level": _LEVELS[found.verdict] if kind == "fail" else "none",
        "message": {"text": found.why},
        "locations": [{"logicalLocations": [{"name": report.target[0], "kind": "resource"}]}],
    }
    if accepted is not None:
        words = f"{accepted.owner}, until {accepted.expires}: {accepted.reason}"
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": words}]
    return result
