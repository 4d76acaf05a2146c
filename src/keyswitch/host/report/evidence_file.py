"""The evidence file: appended to under a lock, its head kept beside it in `FILE.head`.

Rules:

* The head says which record comes next before that record is on the disk, and that it has come after it is. A crash
  between the two leaves a head that is one record behind: the next append takes that very record over, and no other.
  A run that signs takes over only what the same key has signed.
* A chain that is not whole is not continued, and neither is one whose end cannot be checked: what was tampered with
  stays visible.
* A file is replaced durably: its content is on the disk before it has its name, and the name is when that returns.
* Time and the name of its clock are handed in.
"""

import json
import os
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from keyswitch.errors import InputError
from keyswitch.evidence.chain import (
    Checked,
    Head,
    Record,
    Signer,
    Verifier,
    check,
    closing_record,
    decode_head,
    encode,
    encode_head,
    next_record,
)
from keyswitch.files.reading import FileKind, read_file, read_file_if_there, read_open
from keyswitch.files.writing import replace_file

EVIDENCE_FILE: Final = FileKind(expected="an evidence file", max_size=256 * 1024 * 1024)
"""Some ten thousand runs; it is held in memory while it is checked."""
HEAD_FILE: Final = FileKind(expected="the head of the evidence", max_size=1_024)

RUN_BEGUN: Final = "update begun"
RUN_ENDED: Final = "update ended"
"""Kinds of the two records of a run."""

INTERRUPTED: Final = "interrupted"
"""Outcome of a run that was ended before it had one of its own."""

_TAIL: Final = 64 * 1024
"""Bytes at the end of a file that are looked at first: more than most runs have."""

_CONTINUABLE: Final = "a whole chain: keep it, begin another file"


def head_path(path: Path) -> Path:
    """Where the head of an evidence file is kept."""
    return path.with_name(path.name + ".head")


def read_journal(path: Path, *, noted: Head | None = None, verifier: Verifier | None = None) -> Checked:
    """Read and check an evidence file, against the head beside it where there is one.

    Args:
        path: the file.
        noted: a head that was noted elsewhere, now or earlier.
        verifier: every record must be signed by this key.

    Raises:
        InputError: the file or its head cannot be read.
    """
    data = read_file(path, EVIDENCE_FILE)
    return check(data, expected=_read_head(path), noted=noted, verifier=verifier)


def last_record(path: Path, kinds: Collection[str]) -> tuple[str, Mapping[str, Any]] | None:
    """Kind and body of the last record of these kinds, as it stands there; None where there is none.

    Nothing is checked, and nobody is waited for: for whoever looks while a run may be recorded.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb", buffering=0) as file:  # a campaign's status does this for each of its devices
            size, tail = file.seek(0, os.SEEK_END), _TAIL
            while True:
                at = file.seek(max(0, size - tail))
                lines = file.read(size - at).split(b"\n")
                for line in reversed(lines[1:] if at else lines):
                    if line and (found := _of_kind(line, kinds)) is not None:
                        return found
                if not at:
                    return None
                tail *= 4
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", EVIDENCE_FILE.expected) from error


def _of_kind(line: bytes, kinds: Collection[str]) -> tuple[str, Mapping[str, Any]] | None:
    try:
        record: Any = json.loads(line)
        kind, body = str(record["kind"]), record["body"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None  # not whole yet, or changed, which is what `read_journal` says
    return (kind, cast("dict[str, Any]", body)) if kind in kinds and isinstance(body, dict) else None


def append(
    path: Path, *, at: str, kind: str, body: Mapping[str, Any], clock: str = "", signer: Signer | None = None
) -> Record:
    """Append one record; it is on the disk when this returns.

    Args:
        path: the file; made if it is not there.
        at: when, in ISO 8601; without a `clock` any text.
        kind: what is recorded.
        body: JSON values.
        clock: whose clock that is.
        signer: signs the record, if given.

    Raises:
        InputError: the file cannot be used, or its chain is not whole.
    """
    return _append(
        path, lambda head: next_record(head, at=at, clock=clock, kind=kind, body=body, signer=signer), signer
    )


def close(path: Path, *, at: str, clock: str, signer: Signer | None = None) -> Record:
    """Append the record that closes the chain as it is now; see `append`. Later records may follow, and close it again.

    Raises:
        InputError: the file cannot be used, or its chain is not whole.
    """
    return _append(path, lambda head: closing_record(head, at=at, clock=clock, signer=signer), signer)


def _append(path: Path, make: Callable[[Head], Record], signer: Signer | None) -> Record:
    try:
        with _locked(path) as file:
            record = make(_whole(path, read_open(file, str(path), EVIDENCE_FILE), signer))
            head = Head(n=record.n - 1, hash=record.prev)
            _write_head(path, replace(head, coming=record.hash))
            file.write(encode(record))
            file.flush()
            os.fsync(file.fileno())
            _write_head(path, Head(n=record.n, hash=record.hash))
            return record
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be written", "a file that can be appended to") from error


def _whole(path: Path, data: bytes, signer: Signer | None) -> Head:
    """The end of a chain that may be continued."""
    head = _read_head(path)
    if head is None and data:
        raise InputError(str(head_path(path)), "is missing: records may have been cut off", _CONTINUABLE)
    checked = check(data, expected=head)
    for finding in checked.findings:
        place = f"line {finding.line}" if finding.line else "the file"
        raise InputError(str(path), f"{place}: {finding.what}", _CONTINUABLE)
    if head is not None and head != checked.head and signer is not None:
        _own(path, checked.records[-1], signer)
    return checked.head


def _own(path: Path, last: Record, signer: Signer) -> None:
    """Refuses a record behind the head that this signer has not signed. Ed25519 signs the same bytes the same way."""
    if last.key != signer.key_id or last.sig != signer.sign(bytes.fromhex(last.hash)).hex():
        what = f"record {last.n} was left by an interrupted run and is not signed by this key"
        raise InputError(str(path), what, _CONTINUABLE)


def _read_head(path: Path) -> Head | None:
    beside = head_path(path)
    data = read_file_if_there(beside, HEAD_FILE)
    if data is None:
        return None
    head = decode_head(data)
    if head is None:
        raise InputError(str(beside), "this is not a head: it was changed", "what `keyswitch update` wrote")
    return head


def _write_head(path: Path, head: Head) -> None:
    replace_file(head_path(path), encode_head(head))


@contextmanager
def _locked(path: Path) -> Generator[BinaryIO]:
    """The file, opened for reading and appending; nobody else appends meanwhile."""
    with path.open("a+b") as file:
        with suppress(ImportError):  # Windows has no fcntl; there two runs at once on one file are the person's affair
            import fcntl  # noqa: PLC0415 - not on every system

            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file
