"""Records of what was done, each bound to the one before it. Pure: lines in, findings out; files are read elsewhere.

A record is one line of JSON with these keys:

    v       form of the record: 2; 1 is the earlier one, which is still read
    n       number of the record, from 1
    prev    hash of the record before it; 64 zeros for the first
    at      when: ISO 8601 with an offset from UTC; in form 1 text, as the caller gave it
    clock   whose clock that was: text; form 1 has it within `at`
    kind    what was recorded: text
    body    the record itself: an object
    hash    SHA-256 over the line without `hash` and `sig`, behind a domain word
    key     id of the key that signed, where it is signed
    sig     Ed25519 signature over `hash`, where it is signed (hexadecimal)

Rules:

* A record has one form: sorted keys, no spaces, UTF-8. A line that does not encode back to itself is a finding.
* Every finding names the record. A changed, missing, repeated or moved record breaks the chain where it is.
* Whoever has written all that he had to writes a closing record behind it, with the number of records. A chain that
  does not end with one is open: it goes on, its writer was killed, or records were cut off. It is never verified.
* A chain cut off behind an earlier closing record is an older state of the same file, and shows nothing of that. It is
  found by the head: number and hash of the last record, kept beside the file and, by whoever wants to be sure,
  elsewhere (`Checked.noted`).
* Without signatures, and without a head that was noted elsewhere, a chain shows no more than that it fits itself.
* Form 1 has no closing record, so that a chain of it is open. It is not written behind form 2.
* A head names the record that is about to follow it, so that after a crash that record, and no other, may.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol, cast

from keyswitch.errors import LocalError

VERSION: Final = 2
"""The form that is written where the clock is told."""
EARLIER: Final = 1
"""The form without a field for the clock."""
CLOSING: Final = "closed"
"""Kind of the record that closes a chain."""
FIRST_PREV: Final = "0" * 64
MAX_NESTING: Final = 32
"""Of objects and lists in a record: far more than any body has, far less than any JSON reader bears."""
_HEAD_VERSION: Final = 1
"""Of the file that keeps a head."""
_HASH: Final = re.compile("[0-9a-f]{64}")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
"""ISO 8601 with an offset, as RFC 3339 section 5.6 narrows it."""
_KINDS: Final = {"n": int, "prev": str, "at": str, "kind": str, "body": dict, "hash": str}
"""Keys that every record has; `clock`, `key` and `sig` are text as well, where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record.

    Attributes:
        n: its number, from 1.
        prev: hash of the one before it.
        at: when; in form 1 by whose clock as well.
        clock: whose clock that was; empty in form 1.
        kind: what was recorded.
        body: JSON values.
        hash: over all of that.
        key: id of the key that signed it, empty if none did.
        sig: the signature, empty if there is none.
    """

    n: int
    prev: str
    at: str
    kind: str
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    hash: str
    key: str = ""
    sig: str = ""
    clock: str = ""

    @property
    def form(self) -> int:
        """Which form its line has."""
        return VERSION if self.clock else EARLIER

    @property
    def closes(self) -> bool:
        """Whether it says that the chain is complete up to itself."""
        return self.form == VERSION and self.kind == CLOSING


class State(StrEnum):
    """What can be said of a chain. The value is the word in JSON."""

    CHANGED = "changed"
    """Something is wrong; it is named in the findings."""
    OPEN = "open"
    """Nothing is wrong with what is there, and nothing says that this is all."""
    CONSISTENT = "consistent"
    """It is closed and fits itself; nothing was checked that the writer of the file could not make anew."""
    VERIFIED = "verified"
    """It is closed, and every record was vouched for by the key, or by the head that was noted elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain.

    Attributes:
        n: number of its last record; 0 for an empty chain.
        hash: of that record; zeros for an empty chain.
        coming: hash of the record that was about to be written behind it, empty if none was.
    """

    n: int = 0
    hash: str = FIRST_PREV
    coming: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong.

    Attributes:
        line: number of the line, from 1; 0 where the file as a whole is meant.
        what: in words.
    """

    line: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The result of reading a chain.

    Attributes:
        records: those that could be read, in file order.
        findings: empty if the chain is whole.
        head: of what is there.
        signed: how many records carry a signature that was verified.
        end_checked: whether the end was compared with a head that was kept beside the file.
        noted: number of the record that was compared with a head noted elsewhere, and is that one; None if none was.
    """

    records: tuple[Record, ...]
    findings: tuple[Finding, ...]
    head: Head
    signed: int = 0
    end_checked: bool = False
    noted: int | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def closed(self) -> bool:
        """Whether the last record closes the chain."""
        return bool(self.records) and self.records[-1].closes

    @property
    def forms(self) -> tuple[int, ...]:
        """The forms of its records, the earlier one first."""
        return tuple(sorted({record.form for record in self.records}))

    @property
    def state(self) -> State:
        """What can be said of it."""
        if self.findings:
            return State.CHANGED
        if not self.closed:
            return State.OPEN
        vouched_for = self.signed == len(self.records) or self.noted == self.head.n
        return State.VERIFIED if vouched_for else State.CONSISTENT


class Signer(Protocol):
    """Signs records."""

    @property
    def key_id(self) -> str:
        """Names the key in records."""
        ...

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`."""
        ...


class Verifier(Protocol):
    """Verifies signatures."""

    @property
    def key_id(self) -> str:
        """Names the key in records."""
        ...

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's over `data`."""
        ...


def next_record(
    head: Head, *, at: str, kind: str, body: Mapping[str, Any], clock: str = "", signer: Signer | None = None
) -> Record:
    """The record that follows `head`.

    Args:
        head: the end of the chain.
        at: when: ISO 8601 with an offset. Without a `clock`: any text, and the record has the earlier form.
        kind: what is recorded.
        body: JSON values.
        clock: whose clock that is.
        signer: signs it, if given.

    Raises:
        LocalError: with a clock, a time that is none.
    """
    if clock and not is_time(at):
        raise LocalError(f"{at!r} is not a time in ISO 8601")
    key = signer.key_id if signer is not None else ""
    open_record = Record(n=head.n + 1, prev=head.hash, at=at, clock=clock, kind=kind, body=body, key=key, hash="")
    digest = _digest(open_record)
    sig = signer.sign(bytes.fromhex(digest)).hex() if signer is not None else ""
    return replace(open_record, hash=digest, sig=sig)


def closing_record(head: Head, *, at: str, clock: str, signer: Signer | None = None) -> Record:
    """The record that closes the chain that ends with `head`; see `next_record`."""
    return next_record(head, at=at, clock=clock, kind=CLOSING, body=_count(head.n + 1), signer=signer)


def is_time(text: str) -> bool:
    """Whether this is a time in ISO 8601 with an offset from UTC, and one that exists."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def encode(record: Record) -> bytes:
    """The record's line, newline included."""
    values = {**_sealed(record), "hash": record.hash}
    if record.sig:
        values["sig"] = record.sig
    return _canonical(values) + b"\n"


def check(
    data: bytes, *, expected: Head | None = None, noted: Head | None = None, verifier: Verifier | None = None
) -> Checked:
    """Read a whole file.

    Args:
        data: its bytes.
        expected: the head that is kept beside it: its end; None: the end is taken as it is.
        noted: a head that was noted elsewhere, now or earlier: the chain must hold its record, and may go on behind it.
        verifier: every record must be signed by this key; None: signatures are not looked at.
    """
    lines = data.split(b"\n")
    findings: list[Finding] = []
    records: list[Record] = []
    signed = 0
    if lines.pop():
        findings.append(Finding(line=len(lines) + 1, what="the last line is not complete: the file was cut off"))
    head = Head()
    for number, line in enumerate(lines, 1):
        record = _read(line)
        if isinstance(record, str):
            findings.append(Finding(line=number, what=record))
            head = Head(n=head.n + 1, hash="")
            continue
        findings += [Finding(line=number, what=what) for what in _wrong(record, head, records)]
        if verifier is not None:
            what = _signature_fault(record, verifier)
            findings += [Finding(line=number, what=what)] if what else []
            signed += not what
        records.append(record)
        head = Head(n=record.n, hash=record.hash)
    findings += _wrong_end(head, expected)
    missing = None if noted is None else _not_as_noted(records, head, noted)
    findings += [missing] if missing is not None else []
    return Checked(
        records=tuple(records),
        findings=tuple(findings),
        head=head,
        signed=signed,
        end_checked=expected is not None,
        noted=noted.n if noted is not None and missing is None else None,
    )


def encode_head(head: Head) -> bytes:
    """The head as it is kept beside the file."""
    coming = {"next": head.coming} if head.coming else {}
    return _canonical({"v": _HEAD_VERSION, "n": head.n, "hash": head.hash, **coming}) + b"\n"


def decode_head(data: bytes) -> Head | None:
    """The head that `encode_head` made; None for anything else."""
    try:
        values = cast("dict[str, Any]", json.loads(data))
        head = Head(n=values["n"], hash=values["hash"], coming=values.get("next", ""))
        hashes = [head.hash, *([head.coming] if head.coming else [])]
        known = type(head.n) is int and all(_HASH.fullmatch(each) for each in hashes)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return head if known and encode_head(head) == data else None


def _sealed(record: Record) -> dict[str, Any]:
    """What the hash covers."""
    values: dict[str, Any] = {key: getattr(record, key) for key in ("n", "prev", "at", "kind", "body")}
    named = {key: value for key, value in (("clock", record.clock), ("key", record.key)) if value}
    return {"v": record.form, **values, **named}


def _count(records: int) -> dict[str, Any]:
    """The body of a closing record: how many records there are, itself among them."""
    return {"records": records}


def _canonical(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _digest(record: Record) -> str:
    domain = f"keyswitch evidence {record.form}\n".encode()
    return hashlib.sha256(domain + _canonical(_sealed(record))).hexdigest()


def _read(line: bytes) -> Record | str:
    """The record in a line, or what is wrong with it."""
    try:
        item: object = json.loads(line)
    except (ValueError, RecursionError):
        return "no JSON: the record was changed"
    if not isinstance(item, dict):
        return "no record"
    values = cast("dict[str, Any]", item)
    form = values.pop("v", None)
    if type(form) is not int or form not in {EARLIER, VERSION}:
        return f"not a record of form {EARLIER} or {VERSION}"
    kinds: dict[str, type[object]] = {key: type(value) for key, value in values.items()}
    if any(kinds.get(key) is not kind for key, kind in _KINDS.items()) or any(
        kinds[key] is not str for key in kinds.keys() - _KINDS.keys()
    ):
        return "a key is missing, or a value of a wrong kind: the record was changed"
    if _too_deep(values):
        return f"nested more than {MAX_NESTING} deep: the record was changed"
    try:
        record = Record(**values)
    except TypeError:
        return "a key that no record has: the record was changed"
    if record.form == VERSION and not is_time(record.at):
        return f"record {record.n}: its time is not one in ISO 8601: the record was changed"
    if not _is_form_of(line, record):
        return "not in its one form: the record was changed"
    if _digest(record) != record.hash:
        return f"record {record.n}: its hash does not fit: the record was changed"
    return record


def _is_form_of(line: bytes, record: Record) -> bool:
    try:
        return encode(record) == line + b"\n"
    except ValueError:  # what JSON in UTF-8 cannot say: NaN, half of a surrogate pair
        return False


def _too_deep(values: Mapping[str, Any]) -> bool:
    level: list[object] = [values]
    for _ in range(MAX_NESTING):
        level = [inner for each in level for inner in _inside(each)]
    return any(isinstance(each, dict | list) for each in level)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("dict[str, object]", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def _wrong(record: Record, head: Head, before: Sequence[Record]) -> Iterable[str]:
    if before and before[-1].form > record.form:
        forms = f"form {record.form} behind form {before[-1].form}"
        yield f"record {record.n} has {forms}: no version of the program does that"
    if record.closes and record.body != _count(record.n):
        yield f"record {record.n} closes the chain with another number of records: {record.body.get('records')}"
    if record.n != head.n + 1:
        yield f"record {record.n} where {head.n + 1} was expected: records are missing, repeated or moved"
    elif head.hash and record.prev != head.hash:
        yield f"record {record.n} does not follow the one before it: one of the two was exchanged"


def _signature_fault(record: Record, verifier: Verifier) -> str:
    if not record.sig:
        return f"record {record.n} is not signed"
    if record.key != verifier.key_id:
        return f"record {record.n} is signed by another key ({record.key})"
    try:
        signature = bytes.fromhex(record.sig)
    except ValueError:
        signature = b""
    if not verifier.verify(bytes.fromhex(record.hash), signature):
        return f"record {record.n}: its signature is wrong"
    return ""


def _wrong_end(head: Head, expected: Head | None) -> list[Finding]:
    if expected is None or expected == head:
        return []
    if expected.coming and head == Head(n=expected.n + 1, hash=expected.coming):
        return []  # whoever wrote it was interrupted before it could say so
    if head.n < expected.n:
        missing = f"records {head.n + 1} to {expected.n} are missing at the end"
        return [Finding(line=0, what=f"{missing}: the file was cut off")]
    kept = f"record {expected.n}, {expected.hash[:16]}"
    return [Finding(line=0, what=f"the head that is kept beside it is {kept}, which is not the end of this file")]


def _not_as_noted(records: Sequence[Record], head: Head, noted: Head) -> Finding | None:
    """What is wrong with the record that was noted elsewhere."""
    if head.n < noted.n:
        missing = f"records {head.n + 1} to {noted.n} are missing"
        return Finding(line=0, what=f"{missing}: this is an older state of the file than the one that was noted")
    if noted.n == 0 or any((record.n, record.hash) == (noted.n, noted.hash) for record in records):
        return None
    return Finding(line=0, what=f"record {noted.n} is not the one that was noted: the file was written anew")
