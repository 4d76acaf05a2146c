"""The event log: what happened at the device, in its state directory, as a chain that `keyswitch evidence` reads.

    events.jsonl, events.jsonl.head                  the file that grows, and its head
    events.000001.jsonl, events.000001.jsonl.head    files that are full, oldest number first; the oldest go

Each record is one of `keyswitch.evidence.chain`; its body has the event, `boot` (how many boots the log has seen) and
`up_ms` (the device's time since that boot). `at` is the time of whoever's clock `clock` names; without one `at` is the
boot and the time since, and the record has the form that knows no clock and no closing record.

Rules:

* The device process alone writes it, under the lock of the state directory.
* A record is in the operating system when `append` returns, and on the disk: it survives SIGKILL and a power cut. The
  head follows; a power cut may leave it behind, which the next start says ("log resumed") and mends.
* A file that is not whole is not continued: it stays as it is, under a number, and the next one says so.
* A device that ends in order closes its log. It is open where the device runs, lost its power or was killed, or records
  were cut off; and always where nothing tells the date.
* A file begins with number and hash of the last record before it, so that no file can be taken out between two others.
* There are `KEEP_FILES` files of about `MAX_BYTES`: the oldest go, and the first record that is left says after which.
* The device does not depend on it: when the disk is full, the log ends, which is told, and the device goes on.
"""

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from keyswitch.device.storage.state_dir import StateDir
from keyswitch.errors import InputError
from keyswitch.evidence.chain import (
    EARLIER,
    Checked,
    Finding,
    Head,
    Record,
    Verifier,
    check,
    closing_record,
    decode_head,
    encode,
    encode_head,
    next_record,
)
from keyswitch.files.reading import FileKind, read_file, read_file_if_there, read_open

CURRENT: Final = "events.jsonl"
MAX_BYTES: Final = 1 << 20
"""Of one file: some 2,500 records."""
KEEP_FILES: Final = 8
LOG_FILE: Final = FileKind(expected="a device's event log", max_size=4 * MAX_BYTES)
"""A file, or its head; the last record, and the one that closes it, may come when it is full."""

BEGAN: Final = "log-began"
CONTINUED: Final = "log-continued"
DAMAGED: Final = "log-damaged"
RESUMED: Final = "log-resumed"
_LINKS: Final = frozenset({CONTINUED, DAMAGED})
_NUMBERED: Final = re.compile(r"events\.(\d{6})\.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class WallClock:
    """A clock that tells the date. Attributes: owner: whose it is, in words; now_s: seconds since 1970."""

    owner: str
    now_s: Callable[[], float]


class EventLog:
    """The log of one state directory, opened for writing.

    Args:
        state: the directory; its lock is held.
        clock: what tells the date; None: nothing does.
        failed: told once, in words, if nothing more can be written.
        max_bytes: after which a file is full.
    """

    def __init__(
        self,
        state: StateDir,
        *,
        clock: WallClock | None,
        failed: Callable[[str], None],
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._state = state
        self._clock = clock
        self._failed = failed
        self._max_bytes = max_bytes
        self._head = Head()
        self._size = 0
        self._file = -1
        self._boot_ms = 0
        self.boot = 0
        """How many boots the log has seen."""
        self._try(self._open)

    def end(self, now_ms: int) -> None:
        """The device ends in order: with a clock, the log is closed. What a later life records follows behind that."""
        if self._file >= 0 and self._clock is not None:
            clock = self._clock.owner
            closing = closing_record(self._head, at=self._at(now_ms - self._boot_ms), clock=clock)
            self._try(lambda: self._put(closing))

    def close(self) -> None:
        """Give the file back. Harmless when repeated."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def booted(self, now_ms: int) -> None:
        """The device comes up: its time counts from here."""
        self.boot += 1
        self._boot_ms = now_ms

    def append(self, kind: str, body: Mapping[str, Any], now_ms: int) -> None:
        """Record one event; it survives a power cut when this returns, or `failed` was told."""
        if self._file >= 0:
            self._try(lambda: self._append(kind, body, now_ms))

    # --- writing ---

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            self.close()
            self._failed(os.strerror(error.errno) if error.errno else str(error))

    def _append(self, kind: str, body: Mapping[str, Any], now_ms: int) -> None:
        if self._size >= self._max_bytes:
            self._next_file(CONTINUED, {}, now_ms)
        self._write(kind, body, now_ms)

    def _write(self, kind: str, body: Mapping[str, Any], now_ms: int) -> None:
        up_ms = now_ms - self._boot_ms
        full = {**body, "boot": self.boot, "up_ms": up_ms}
        clock = "" if self._clock is None else self._clock.owner
        self._put(next_record(self._head, at=self._at(up_ms), clock=clock, kind=kind, body=full))

    def _put(self, record: Record) -> None:
        self._write_head(replace(self._head, coming=record.hash))
        line = memoryview(encode(record))
        self._size += len(line)
        while line:
            line = line[os.write(self._file, line) :]
        os.fdatasync(self._file)
        self._head = Head(n=record.n, hash=record.hash)
        self._write_head(self._head)

    def _at(self, up_ms: int) -> str:
        if self._clock is None:
            return f"boot {self.boot}, {up_ms} ms"
        now = datetime.fromtimestamp(self._clock.now_s(), UTC)
        return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _write_head(self, head: Head) -> None:
        # Not synced: that would double what a record costs, and the chain itself tells a head that stayed behind.
        temporary = f".{CURRENT}.head.new"
        self._state.remove(temporary)
        descriptor = self._state.open_file(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            os.write(descriptor, encode_head(head))
        finally:
            os.close(descriptor)
        self._state.rename(temporary, _head_of(CURRENT))

    # --- files ---

    def _open(self) -> None:
        numbered = _numbered(self._state.path)
        self._finish_rotation(numbered)
        data, head = self._read(CURRENT), self._read_head()
        if not data and (head is None or head.n == 0):  # never, or killed before the first record of a new file
            self._state.remove(CURRENT)
            former = numbered[-1] if numbered else None
            before = Checked(records=(), findings=(), head=Head())
            if former is not None:
                before = _checked(self._state.path / former)
            self.boot = _boots(before.records)
            self._begin(CONTINUED if former else BEGAN, {} if former is None else _link(former, before.head), 0)
            return
        checked = check(data or b"", expected=head)
        self.boot = _boots(checked.records)
        behind = head is not None and _is_behind(head, checked)
        if head is not None and (checked.ok or behind):
            self._head, self._size = checked.head, len(data or b"")
            if self._clock is None and checked.forms != (EARLIER,):  # that form is not written behind the other
                self._next_file(CONTINUED, {}, 0)
            else:
                self._file = self._state.open_file(CURRENT, os.O_WRONLY | os.O_APPEND)
            if behind:
                self._write(RESUMED, {"head": head.n, "found": checked.head.n}, 0)
            return
        if data is None:
            os.close(
                self._state.open_file(CURRENT, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            )  # what is left of it: nothing
        self._head = checked.head
        what = "its head is missing" if head is None else checked.findings[0].what
        noted = None if head is None else f"{head.n}:{head.hash}"
        self._next_file(DAMAGED, {"what": what, "head": noted}, 0)

    def _next_file(self, kind: str, body: Mapping[str, Any], now_ms: int) -> None:
        """Give the full or damaged file its number, and begin another that names its end."""
        self.close()
        numbered = _numbered(self._state.path)
        number = int(numbered[-1].split(".")[1]) + 1 if numbered else 1
        former = f"events.{number:06}.jsonl"
        link = _link(former, self._head)
        self._state.rename(CURRENT, former)
        with contextlib.suppress(FileNotFoundError):
            self._state.rename(_head_of(CURRENT), _head_of(former))
        self._begin(kind, {**link, **body}, now_ms)
        for old in [*numbered, former][: -(KEEP_FILES - 1)]:
            for name in (old, _head_of(old)):
                self._state.remove(name)
        self._state.sync()

    def _begin(self, kind: str, body: Mapping[str, Any], now_ms: int) -> None:
        self._head, self._size = Head(), 0
        self._file = self._state.open_file(CURRENT, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL)
        self._write(kind, body, now_ms)
        self._state.sync()

    def _finish_rotation(self, numbered: list[str]) -> None:
        """A head whose file already has its number: the process was killed between the two."""
        path = self._state.path
        if (path / CURRENT).exists() or not (path / _head_of(CURRENT)).exists() or not numbered:
            return
        if not (path / _head_of(numbered[-1])).exists():
            self._state.rename(_head_of(CURRENT), _head_of(numbered[-1]))

    def _read(self, name: str) -> bytes | None:
        try:
            with os.fdopen(self._state.open_file(name, os.O_RDONLY), "rb") as file:
                return read_open(file, str(self._state.path / name), LOG_FILE)
        except FileNotFoundError:
            return None

    def _read_head(self) -> Head | None:
        data = self._read(_head_of(CURRENT))
        return None if data is None else decode_head(data)


# --- reading, by whoever wants to see it ---


def read_log(directory: Path, *, verifier: Verifier | None = None) -> Checked:
    """Read and check all files of a log, oldest first, as one chain; the device may be running.

    Args:
        directory: the state directory, or a copy of its files.
        verifier: every record must be signed by this key; a device's are not signed.

    Raises:
        InputError: there is no log.
    """
    names = [*_numbered(directory), *([CURRENT] if (directory / CURRENT).exists() else [])]
    if not names:
        raise InputError(str(directory), f"there is no {CURRENT}", "an evidence file, or a device's state directory")
    read = [(name, _checked(directory / name, verifier)) for name in names]
    findings = [
        Finding(line=each.line, what=f"{name}: {each.what}") for name, checked in read for each in checked.findings
    ]
    former: tuple[str, Checked] | None = None
    for name, checked in read:
        findings += [Finding(line=0, what=f"{name}: {what}") for what in _wrong_link(former, checked)]
        former = (name, checked)
    return replace(
        read[-1][1],
        records=tuple(record for _, checked in read for record in checked.records),
        findings=tuple(findings),
        signed=sum(checked.signed for _, checked in read),
        end_checked=all(checked.end_checked for _, checked in read),
    )


def _wrong_link(former: tuple[str, Checked] | None, checked: Checked) -> list[str]:
    """What is wrong between two files; the oldest may follow one that had to go."""
    first = checked.records[0] if checked.records else None
    if former is None:
        return []
    name, before = former
    if first is None or first.kind not in _LINKS:
        return [f"does not say that it follows {name}: a file was exchanged"]
    said = {key: first.body.get(key) for key in ("file", "n", "hash")}
    if said != _link(name, before.head):
        return [f"follows record {said['n']} of {said['file']}, not the end of {name}: a file is missing or exchanged"]
    return []


def _checked(path: Path, verifier: Verifier | None = None) -> Checked:
    data = read_file(path, LOG_FILE)
    beside = read_file_if_there(path.with_name(_head_of(path.name)), LOG_FILE)
    return check(data, expected=None if beside is None else decode_head(beside), verifier=verifier)


def _link(former: str, head: Head) -> dict[str, Any]:
    return {"file": former, "n": head.n, "hash": head.hash}


def _head_of(name: str) -> str:
    return f"{name}.head"


def _numbered(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if _NUMBERED.fullmatch(path.name))


def _boots(records: tuple[Record, ...]) -> int:
    """How many boots the last record that tells of them has seen; a closing record does not."""
    told = (record.body.get("boot") for record in reversed(records))
    return next((boot for boot in told if type(boot) is int), 0)


def _is_behind(head: Head, checked: Checked) -> bool:
    """Whether the chain is whole and goes on where the head ends: a power cut came before the head was on the disk."""
    whole = all(finding.line == 0 for finding in checked.findings)
    return (
        whole and 0 <= head.n < len(checked.records) and (head.n == 0 or checked.records[head.n - 1].hash == head.hash)
    )
