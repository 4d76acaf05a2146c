"""The expectations file: findings, and checks without a verdict, that are known and accepted for a while.

    schema = 1

    [[accept]]
    check = "KS-112"
    verdict = "inconclusive"
    reason = "built without a shell: MCUMGR_GRP_SHELL=n in the build log"
    owner = "r.novak"
    expires = "2027-03-01"

Rule: what has expired is not accepted any more, and what is no longer found is said: no entry outlives its cause.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, cast

from keyswitch.audit.checks import BY_ID
from keyswitch.audit.verdict import Found, Verdict
from keyswitch.errors import InputError
from keyswitch.files.documents import parse_toml
from keyswitch.files.reading import FileKind, read_file
from keyswitch.schema.tables import REQUIRED, TomlKey, TomlTable
from keyswitch.schema.value_types import Choice, Text, Whole, shown, suggestion

EXPECT_FILE: Final = FileKind(expected="a file of accepted findings (TOML)", max_size=1_000_000)

_FILE: Final = TomlTable(
    keys=(TomlKey(name="schema", kind=Whole(1, 1), doc="Version of this form.", default=REQUIRED),), tables=("accept",)
)
_ENTRY: Final = TomlTable(
    keys=(
        TomlKey(name="check", kind=Text(16, meaning="id of a check"), doc="Which check.", default=REQUIRED),
        TomlKey(
            name="verdict",
            kind=Choice(Verdict, without=(Verdict.PASS, Verdict.NOT_APPLICABLE)),
            doc="What is accepted of it.",
            default=REQUIRED,
        ),
        TomlKey(name="reason", kind=Text(500, meaning="why it is accepted"), doc="Why.", default=REQUIRED),
        TomlKey(
            name="owner", kind=Text(100, meaning="who answers for it"), doc="Who answers for it.", default=REQUIRED
        ),
        TomlKey(
            name="expires",
            kind=Text(10, r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "a day as 2027-03-01"),
            doc="The last day on which it is accepted.",
            default=REQUIRED,
        ),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One entry.

    Attributes:
        check: id of the check.
        verdict: what is accepted of it.
        reason: why.
        owner: who answers for it.
        expires: the last day on which it is accepted.
        where: its place in the file, for messages.
    """

    check: str
    verdict: Verdict
    reason: str
    owner: str
    expires: date
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was found against what was expected.

    Attributes:
        unexpected: ids of checks whose verdict has to be looked at.
        accepted: entries that hold, by check.
        expired: entries that would hold, but for their day.
        gone: entries whose finding is not there any more.
    """

    unexpected: tuple[str, ...]
    accepted: dict[str, Accepted]
    expired: tuple[Accepted, ...]
    gone: tuple[Accepted, ...]


def read_expectations(path: Path) -> tuple[Accepted, ...]:
    """Read a file of accepted findings.

    Raises:
        InputError: it cannot be read, or says something that no such file says.
    """
    document = parse_toml(read_file(path, EXPECT_FILE), str(path), EXPECT_FILE.expected)
    _FILE.read(document, f"{path}: ")
    entries: object = document.get("accept", [])
    if not isinstance(entries, list):
        raise InputError(f"{path}: accept", f"{shown(entries)} is not allowed", "[[accept]] for each accepted finding")
    found = tuple(
        _entry(entry, f"{path}: accept[{number}]") for number, entry in enumerate(cast("list[object]", entries))
    )
    for number, entry in enumerate(found):
        if any((entry.check, entry.verdict) == (other.check, other.verdict) for other in found[:number]):
            raise InputError(entry.where, f"{entry.check} is accepted as {entry.verdict.value} twice", "each once")
    return found


def _entry(value: object, where: str) -> Accepted:
    read: dict[str, Any] = _ENTRY.read(value, where)
    if read["check"] not in BY_ID:
        expected = "an id that `keyswitch audit --list` prints" + suggestion(read["check"], BY_ID)
        raise InputError(f"{where}.check", f"there is no check {shown(read['check'])}", expected)
    try:
        expires = date.fromisoformat(read["expires"])
    except ValueError as error:
        raise InputError(f"{where}.expires", f"{shown(read['expires'])} is not a day", "a day as 2027-03-01") from error
    return Accepted(
        check=read["check"],
        verdict=Verdict(read["verdict"]),
        reason=read["reason"],
        owner=read["owner"],
        expires=expires,
        where=where,
    )


_FINE: Final = frozenset({Verdict.PASS, Verdict.NOT_APPLICABLE})


def compare(found: tuple[Found, ...], accepted: tuple[Accepted, ...], today: date) -> Compared:
    """Which verdicts are unexpected today, and which entries have no cause any more.

    Args:
        found: of the audit.
        accepted: from the file.
        today: by whose clock is the caller's business.
    """
    by_check = {(entry.check, entry.verdict): entry for entry in accepted}
    unexpected: list[str] = []
    holds: dict[str, Accepted] = {}
    expired: list[Accepted] = []
    for each in found:
        if each.verdict in _FINE:
            continue
        entry = by_check.get((each.check, each.verdict))
        if entry is None:
            unexpected.append(each.check)
        elif entry.expires < today:
            unexpected.append(each.check)
            expired.append(entry)
        else:
            holds[each.check] = entry
    ran = {each.check: each.verdict for each in found}
    gone = [entry for entry in accepted if entry.check in ran and ran[entry.check] is not entry.verdict]
    return Compared(unexpected=tuple(unexpected), accepted=holds, expired=tuple(expired), gone=tuple(gone))
