"""Records of what was done, each bound to the one before it. Pure: lines in, findings out; files are read elsewhere.

A record is one line of JSON with these keys:

    v       1, the version of this layout
    n       number of the record, from 1
    prev    hash of the record before it; 64 zeros for the first
    at      when, by whose clock: text, as the caller gives it
    kind    what was recorded: text
    body    the record itself: an object
    hash    SHA-256 over the line without `hash` and `sig`, behind a domain word
    key     id of the key that signed, where it is signed
    sig     Ed25519 signature over `hash`, where it is signed (hexadecimal)

Rules:

* A record has one form: sorted keys, no spaces, UTF-8. A line that does not encode back to itself is a finding.
* Every finding names the record. A changed, missing, repeated or moved record breaks the chain where it is.
* Records cut off at the end leave a whole chain behind. They are found by the head: number and hash of the last record,
  kept beside the file and, by whoever wants to be sure, elsewhere. Without a head the end is not checked, and that is
  said (`Checked.end_checked`).
* A head names the record that is about to follow it, so that after a crash that record, and no other, may.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, cast

VERSION: Final = 1
FIRST_PREV: Final = "0" * 64
MAX_NESTING: Final = 32
"""Of objects and lists in a record: far more than any body has, far less than any JSON reader bears."""
_HASH: Final = re.compile("[0-9a-f]{64}")
_DOMAIN: Final = b"keyswitch evidence 1\n"
_KINDS: Final = {"n": int, "prev": str, "at": str, "kind": str, "body": dict, "hash": str}
"""Keys that every record has; `key` and `sig` are text as well, where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record.

    Attributes:
        n: its number, from 1.
        prev: hash of the one before it.
        at: when, by whose clock.
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
        end_checked: whether the end was compared with a head that was kept elsewhere.
    """

    records: tuple[Record, ...]
    findings: tuple[Finding, ...]
    head: Head
    signed: int = 0
    end_checked: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


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


def next_record(head: Head, *, at: str, kind: str, body: Mapping[str, Any], signer: Signer | None = None) -> Record:
    """The record that follows `head`."""
    key = signer.key_id if signer is not None else ""
    open_record = Record(n=head.n + 1, prev=head.hash, at=at, kind=kind, body=body, key=key, hash="")
    digest = _digest(open_record)
    sig = signer.sign(bytes.fromhex(digest)).hex() if signer is not None else ""
    return replace(open_record, hash=digest, sig=sig)


def encode(record: Record) -> bytes:
    """The record's line, newline included."""
    values = {**_sealed(record), "hash": record.hash}
    if record.sig:
        values["sig"] = record.sig
    return _canonical(values) + b"\n"


def check(data: bytes, *, expected: Head | None = None, verifier: Verifier | None = None) -> Checked:
    """Read a whole file.

    Args:
        data: its bytes.
        expected: the head that was kept elsewhere; None: the end is taken as it is.
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
        findings += [Finding(line=number, what=what) for what in _wrong(record, head)]
        if verifier is not None:
            what = _signature_fault(record, verifier)
            findings += [Finding(line=number, what=what)] if what else []
            signed += not what
        records.append(record)
        head = Head(n=record.n, hash=record.hash)
    findings += _wrong_end(head, expected)
    return Checked(
        records=tuple(records),
        findings=tuple(findings),
        head=head,
        signed=signed,
        end_checked=expected is not None,
    )


def encode_head(head: Head) -> bytes:
    """The head as it is kept beside the file."""
    coming = {"next": head.coming} if head.coming else {}
    return _canonical({"v": VERSION, "n": head.n, "hash": head.hash, **coming}) + b"\n"


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
    return {"v": VERSION, **values, **({"key": record.key} if record.key else {})}


def _canonical(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _digest(record: Record) -> str:
    return hashlib.sha256(_DOMAIN + _canonical(_sealed(record))).hexdigest()


def _read(line: bytes) -> Record | str:
    """The record in a line, or what is wrong with it."""
    try:
        item: object = json.loads(line)
    except (ValueError, RecursionError):
        return "no JSON: the record was changed"
    if not isinstance(item, dict):
        return "no record"
    values = cast("dict[str, Any]", item)
    if values.pop("v", None) != VERSION:
        return f"no record of version {VERSION}"
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


def _wrong(record: Record, head: Head) -> Iterable[str]:
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
    kept = f"record {expected.n}, {expected.hash[:16]}…"
    return [Finding(line=0, what=f"the head that was kept elsewhere is {kept}, which is not the end of this file")]
