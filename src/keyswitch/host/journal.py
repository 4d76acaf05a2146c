"""The evidence file: appended to under a lock, its head kept beside it in `FILE.head`.

Rules:

* A record is on the disk before the head that names it. A crash between the two leaves a head that is one record
  behind, which the next append finds in the file and takes over; a file *shorter* than its head is refused.
* A chain that is not whole is not continued: what was tampered with stays visible.
* Time and the name of its clock are handed in.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from keyswitch.errors import InputError
from keyswitch.evidence.chain import (
    Checked,
    Head,
    Record,
    Signer,
    Verifier,
    check,
    decode_head,
    encode,
    encode_head,
    next_record,
)


def head_path(path: Path) -> Path:
    """Where the head of an evidence file is kept."""
    return path.with_name(path.name + ".head")


def read_journal(path: Path, *, expected: Head | None = None, verifier: Verifier | None = None) -> Checked:
    """Read and check an evidence file.

    Args:
        path: the file.
        expected: a head that was kept elsewhere, instead of the one beside the file.
        verifier: every record must be signed by this key.

    Raises:
        InputError: the file or its head cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be read", "an evidence file") from error
    return check(data, expected=expected or _read_head(path), verifier=verifier)


def append(path: Path, *, at: str, kind: str, body: Mapping[str, Any], signer: Signer | None = None) -> Record:
    """Append one record; it is on the disk when this returns.

    Args:
        path: the file; made if it is not there.
        at: when, by whose clock.
        kind: what is recorded.
        body: JSON values.
        signer: signs the record, if given.

    Raises:
        InputError: the file cannot be used, or its chain is not whole.
    """
    try:
        with _locked(path) as file:
            record = next_record(_whole(path, file.read()), at=at, kind=kind, body=body, signer=signer)
            file.write(encode(record))
            file.flush()
            os.fsync(file.fileno())
            _write_head(path, Head(n=record.n, hash=record.hash))
            return record
    except OSError as error:
        raise InputError(str(path), error.strerror or "cannot be written", "a file that can be appended to") from error


def _whole(path: Path, data: bytes) -> Head:
    head = _read_head(path)
    checked = check(data)
    behind = head is not None and any(record.n == head.n and record.hash == head.hash for record in checked.records)
    if head is not None and head != checked.head and not behind and head != Head():
        checked = check(data, expected=head)
    for finding in checked.findings:
        raise InputError(
            str(path), f"line {finding.line}: {finding.what}", "a whole chain: keep it, begin another file"
        )
    return checked.head


def _read_head(path: Path) -> Head | None:
    beside = head_path(path)
    try:
        data = beside.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(str(beside), error.strerror or "cannot be read", "the head of the evidence") from error
    head = decode_head(data)
    if head is None:
        raise InputError(str(beside), "this is no head: it was changed", "what `keyswitch update --evidence` wrote")
    return head


def _write_head(path: Path, head: Head) -> None:
    beside = head_path(path)
    temporary = beside.with_name(beside.name + ".new")
    with temporary.open("wb") as file:
        file.write(encode_head(head))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(beside)


@contextmanager
def _locked(path: Path) -> Generator[BinaryIO]:
    """The file, opened for reading and appending; nobody else appends meanwhile."""
    with path.open("a+b") as file:
        with suppress(ImportError):  # Windows has no fcntl; there two runs at once on one file are the person's affair
            import fcntl  # noqa: PLC0415 - not on every system

            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file
