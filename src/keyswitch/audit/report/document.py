"""The report as a value, and as JSON. Every other form is made from it."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from keyswitch.audit.catalogue import Check, Impact
from keyswitch.audit.clauses import clauses_of
from keyswitch.audit.expect import Accepted, Compared
from keyswitch.audit.json_output import AuditJson
from keyswitch.audit.run import Audited
from keyswitch.audit.table import SITUATIONS, Cell
from keyswitch.audit.verdict import Found, Part, Verdict
from keyswitch.policy.bootloader import bypasses_of
from keyswitch.policy.model import Policy

SCHEMA_VERSION: Final = 1
DISCLAIMER: Final = "Absence of findings is not proof."
NOT_SAID: Final = (
    "Other moments than those that were tried, and other ways than those that were given, were not looked at.",
    "The radio's protocols below GATT were not tried; there are other tools for them (SweynTooth, BrakTooth).",
    "What a debugger, a pin or the bootloader's own recovery opens was not tried.",
    "A clause named beside a check is one that the check is evidence toward; nothing here says that it is met.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control of a check: a device whose verdict is known beforehand.

    Attributes:
        device: `sound`, or the hole that was planted.
        verdict: what the check said of it.
        right: whether that is what it has to say.
    """

    device: str
    verdict: Verdict
    right: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUsed:
    """An image that was used. Attributes: role: `next`; file, version, hash: of it; sha256: of the file."""

    role: str
    file: str
    version: str
    hash: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of one audit.

    Attributes:
        tool: name and version of the program.
        target: as it was written, and the other ways to it.
        policy: that was declared.
        images: that were used.
        declared: what was said beforehand: the plan, and what was allowed.
        begun: when, in ISO 8601.
        ended: when.
        clock: whose clock that was.
        duration_ms: of the audit.
        checks: that were asked for.
        audited: what was found.
        compared: against what was accepted.
        controls: by check; None: they were not run.
        controls_why: why they were not run, or with what.
        cells: the fixed table.
        facts: what the device told of itself.
        asked: options by which a check can be tried again.
    """

    tool: str
    target: tuple[str, ...]
    policy: Policy
    images: tuple[ImageUsed, ...] = ()
    declared: tuple[str, ...] = ()
    begun: str
    ended: str
    clock: str
    duration_ms: int
    checks: tuple[Check, ...]
    audited: Audited
    compared: Compared
    controls: Mapping[str, Sequence[Control]] | None
    controls_why: str
    cells: tuple[Cell, ...]
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def firmware_json(self) -> dict[str, str] | None:
        """What ran when the device was first looked at; None: it was not seen."""
        seen = self.audited.firmware
        return None if seen is None else {"version": seen.version, "hash": seen.hash.hex()}

    def of(self, verdict: Verdict) -> tuple[str, ...]:
        """The checks that ended with a verdict."""
        return tuple(found.check for found in self.audited.found if found.verdict is verdict)

    def found(self, check: Check) -> Found:
        """What a check has found."""
        return next(found for found in self.audited.found if found.check == check.id)

    def controls_of(self, check: str) -> tuple[Control, ...]:
        """The controls of a check; none where they were not run."""
        return tuple(self.controls.get(check, ())) if self.controls is not None else ()

    @property
    def not_covered(self) -> tuple[Cell, ...]:
        """The cells in which nothing was tried."""
        return tuple(cell for cell in self.cells if cell.verdict is None)


def summary(report: Report) -> AuditJson:
    """The last line of `keyswitch audit --json`."""
    return {
        "event": "audit",
        "checks": len(report.checks),
        "passed": len(report.of(Verdict.PASS)),
        "failed": list(report.of(Verdict.FAIL)),
        "unconfirmed": list(report.of(Verdict.UNCONFIRMED)),
        "inconclusive": list(report.of(Verdict.INCONCLUSIVE)),
        "not_applicable": list(report.of(Verdict.NOT_APPLICABLE)),
        "unexpected": list(report.compared.unexpected),
        "seconds": round(report.duration_ms / 1000, 3),
    }


def to_json(report: Report) -> bytes:
    """The whole report."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "tool": report.tool,
        "target": list(report.target),
        "policy": {
            "file": report.policy.origin,
            "sha256": report.policy.digest.hex(),
            "device": report.policy.device.id,
            "bypasses": list(bypasses_of(report.policy)),
        },
        "images": [asdict(each) for each in report.images],
        "declared": list(report.declared),
        "device": dict(report.facts),
        "firmware": report.firmware_json,
        "asked": dict(report.asked),
        "begun": report.begun,
        "ended": report.ended,
        "clock": report.clock,
        "duration_ms": report.duration_ms,
        "ended_early": report.audited.ended or None,
        "costs": asdict(report.audited.costs),
        "left_behind": list(report.audited.left_behind),
        "summary": summary(report),
        "checks": [_check_json(report, check) for check in report.checks],
        "table": [
            {**asdict(cell), "verdict": cell.verdict.value if cell.verdict is not None else None}
            for cell in report.cells
        ],
        "situations": [asdict(row) for row in SITUATIONS],
        "accepted_but_gone": [_accepted_json(entry) for entry in report.compared.gone],
        "accepted_but_expired": [_accepted_json(entry) for entry in report.compared.expired],
        "controls": report.controls_why,
        "not_said": [DISCLAIMER, *NOT_SAID],
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def _check_json(report: Report, check: Check) -> dict[str, Any]:
    found = report.found(check)
    accepted = report.compared.accepted.get(check.id)
    return {
        "id": check.id,
        "title": check.title,
        "verdict": found.verdict.value,
        "why": found.why,
        "unexpected": check.id in report.compared.unexpected,
        "accepted": None if accepted is None else _accepted_json(accepted),
        "requirement": check.requirement,
        "class": check.impact.value,
        "resets": check.resets,
        "evidence_toward": [asdict(clause) for clause in clauses_of(check.id)],
        "controls": [
            {"device": each.device, "verdict": each.verdict.value, "right": each.right}
            for each in report.controls_of(check.id)
        ],
        "parts": [_part_json(part) for part in found.parts],
    }


def _part_json(part: Part) -> dict[str, Any]:
    return {**asdict(part), "verdict": part.verdict.value}


def _accepted_json(entry: Accepted) -> dict[str, Any]:
    return {
        "check": entry.check,
        "verdict": entry.verdict.value,
        "reason": entry.reason,
        "owner": entry.owner,
        "expires": entry.expires.isoformat(),
    }


def replay_command(report: Report, check: Check) -> str:
    """The line that tries one check again; inputs that somebody moved at the device are to be moved again (`--ask`)."""
    words = ["keyswitch", "audit", report.target[0], "--policy", report.policy.origin, "--only", check.id]
    words += [word for other in report.target[1:] for word in ("--also", other)]
    words += [word for image in report.images for word in (f"--{image.role}", image.file)]
    words += ["--irreversible"] if check.impact is Impact.IRREVERSIBLE else []
    words += ["--resets"] if check.resets else []
    return shlex.join([*words, "-o", "again"])
