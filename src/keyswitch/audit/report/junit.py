"""The report as JUnit XML: what continuous integration shows. What was accepted is a skipped test with its reason."""

import re
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from keyswitch.audit.catalogue import Check
from keyswitch.audit.report.document import DISCLAIMER, Report
from keyswitch.audit.verdict import Verdict

_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has not (section 2.2)."""


def to_junit(report: Report) -> bytes:
    """One suite, one case for each check."""
    cases = [_case(report, check) for check in report.checks]
    failed = sum("<failure" in case for case in cases)
    errors = sum("<error" in case for case in cases)
    skipped = sum("<skipped" in case for case in cases)
    seconds = f"{report.duration_ms / 1000:.3f}"
    head = (
        f'<testsuite name={_attribute("keyswitch audit " + report.target[0])} tests="{len(cases)}" failures="{failed}" '
        f'errors="{errors}" skipped="{skipped}" time="{seconds}" timestamp={_attribute(report.begun)}>'
    )
    tail = f"<system-out>{_text(DISCLAIMER)}</system-out></testsuite>"
    return ("\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *cases, tail]) + "\n").encode()


def _case(report: Report, check: Check) -> str:
    found = report.found(check)
    name = _attribute(f"{check.id} {check.title}")
    accepted = report.compared.accepted.get(check.id)
    inside = ""
    why = _attribute(found.why)
    if accepted is not None:
        until = f"accepted until {accepted.expires} by {accepted.owner}: {accepted.reason}"
        inside = f"<skipped message={_attribute(f'{found.verdict.value}, {until}')}/>"
    elif found.verdict is Verdict.FAIL:
        inside = f'<failure type="fail" message={why}>{_text(check.finding)}</failure>'
    elif found.verdict in {Verdict.UNCONFIRMED, Verdict.INCONCLUSIVE}:
        inside = f'<error type="{found.verdict.value}" message={why}/>'
    elif found.verdict is Verdict.NOT_APPLICABLE:
        inside = f"<skipped message={why}/>"
    return f'<testcase classname="keyswitch.audit" name={name}>{inside}</testcase>'


def _text(text: str) -> str:
    return escape(_NO_XML.sub("?", text))


def _attribute(text: str) -> str:
    return quoteattr(_NO_XML.sub("?", text))
