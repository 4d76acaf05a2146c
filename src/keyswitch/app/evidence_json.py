"""What `keyswitch evidence` prints as JSON: one shape for each object, and the value that has it."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from keyswitch.evidence.chain import Checked, Record, State


class RecordJson(TypedDict):
    """One line of `evidence show --json`: a record; `at` in ISO 8601."""

    n: int
    at: str
    clock: str | None
    kind: str
    signed_by: str | None
    body: Mapping[str, Any]


class HeadJson(TypedDict):
    """The last record."""

    n: int
    hash: str


class FindingJson(TypedDict):
    """Something that is wrong with a chain; `line` is 0 where it is about the whole file."""

    line: int
    what: str


class CheckedJson(TypedDict):
    """The object of `evidence verify --json`.

    `signed` records carry a signature, of which `signatures_verified` were checked and are right. `noted` is the number
    of the record that was compared with `--head`. `never_ended` are the numbers of runs without a second record.
    """

    state: str
    ok: bool
    closed: bool
    forms: list[int]
    records: int
    signed: int
    signatures_verified: int
    head: HeadJson
    end_checked: bool
    noted: int | None
    never_ended: list[int]
    findings: list[FindingJson]


def record_json(record: Record) -> RecordJson:
    """One record."""
    return {
        "n": record.n,
        "at": record.at,
        "clock": record.clock or None,
        "kind": record.kind,
        "signed_by": record.key or None,
        "body": record.body,
    }


def checked_json(checked: Checked, never_ended: Sequence[int]) -> CheckedJson:
    """What can be said of a chain; `never_ended` are the numbers of runs whose second record is not there."""
    return {
        "state": checked.state.value,
        "ok": checked.state in {State.VERIFIED, State.CONSISTENT},
        "closed": checked.closed,
        "forms": list(checked.forms),
        "records": len(checked.records),
        "signed": sum(bool(record.sig) for record in checked.records),
        "signatures_verified": checked.signed,
        "head": {"n": checked.head.n, "hash": checked.head.hash},
        "end_checked": checked.end_checked,
        "noted": checked.noted,
        "never_ended": list(never_ended),
        "findings": [{"line": each.line, "what": each.what} for each in checked.findings],
    }
