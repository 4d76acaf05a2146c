"""What `keyswitch audit --json` prints: typed shapes, whose keys stay."""

from typing import TypedDict

from keyswitch.app.evidence_json import HeadJson
from keyswitch.audit.catalogue import Check
from keyswitch.audit.clauses import clauses_of
from keyswitch.audit.manifest import ReportChecked
from keyswitch.audit.verdict import Found

AuditCheckJson = TypedDict(
    "AuditCheckJson",
    {"id": str, "title": str, "class": str, "resets": bool, "clauses": list[str], "catches": str},
)
AuditCheckJson.__doc__ = "One line of `keyswitch audit --list --json`."  # `class` cannot be a key in a class body


class AuditSaidJson(TypedDict):
    """Something that is said meanwhile."""

    event: str
    text: str


class AuditProgressJson(TypedDict):
    """A step begins; what is left is reckoned from the steps before."""

    event: str
    step: int
    steps: int
    what: str
    remaining_ms: int | None


class AuditJson(TypedDict):
    """The last line: check ids by verdict, and those that nobody has accepted."""

    event: str
    checks: int
    passed: int
    failed: list[str]
    unconfirmed: list[str]
    inconclusive: list[str]
    not_applicable: list[str]
    unexpected: list[str]
    seconds: float


class AuditReplayedJson(TypedDict):
    """One check of a report tried again (`keyswitch audit --replay`): its verdict then and now."""

    event: str
    check: str
    then: str
    now: str
    why: str
    seconds: float


class ReportCheckedJson(TypedDict):
    """What `keyswitch evidence verify` finds in a directory of a report."""

    state: str
    files: int
    findings: list[str]
    head: HeadJson


def report_checked_json(checked: ReportChecked) -> ReportCheckedJson:
    """A report that was compared with its manifest."""
    return {
        "state": checked.state.value,
        "files": checked.files,
        "findings": list(checked.findings),
        "head": {"n": checked.head.n, "hash": checked.head.hash},
    }


def replayed_json(found: Found, then: str, *, seconds: float) -> AuditReplayedJson:
    """A check that was tried again."""
    now = found.verdict.value
    return {"event": "replayed", "check": found.check, "then": then, "now": now, "why": found.why, "seconds": seconds}


def check_json(check: Check) -> AuditCheckJson:
    """One check of the catalogue."""
    return {
        "id": check.id,
        "title": check.title,
        "class": check.impact.value,
        "resets": check.resets,
        "clauses": [clause.name for clause in clauses_of(check.id)],
        "catches": check.catches,
    }


def said_json(text: str) -> AuditSaidJson:
    """Something to say."""
    return {"event": "said", "text": text}


def progress_json(what: str, step: int, steps: int, remaining_s: int | None) -> AuditProgressJson:
    """A step of the run."""
    remaining_ms = None if remaining_s is None else remaining_s * 1000
    return {"event": "progress", "step": step, "steps": steps, "what": what, "remaining_ms": remaining_ms}
