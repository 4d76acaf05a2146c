"""What people ask of a campaign: records of its own chain, so that who asked, and when, is evidence.

Rules:

* What is asked for is on the disk before whoever carries the campaign out is told to look.
* Nothing is taken back: a pause ends with the next resumption, and an abort or an approval stands.
"""

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from keyswitch import __version__
from keyswitch.campaign.model import Campaign, CampaignFiles
from keyswitch.errors import InputError
from keyswitch.evidence.chain import Record
from keyswitch.host.report.evidence_file import append, close, read_journal


class OrderKind(StrEnum):
    """What can be asked for. The value is the kind of its record."""

    BEGIN = "campaign begun"
    RESUME = "campaign resumed"
    RETRY = "campaign begun again"
    """With those devices that were not confirmed."""
    PAUSE = "pause asked for"
    ABORT = "abort asked for"
    APPROVE = "wave approved"


ENDED = "campaign ended"
"""Kind of the record that a campaign, or one round of it, ends with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Something that somebody asked for. Attributes: who: `USER@HOST`; at: when, in ISO 8601."""

    kind: OrderKind
    who: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What stands of all that was asked for.

    Attributes:
        paused: nothing begins before a resumption; None: nobody asked.
        aborted: it is over; None: nobody asked.
        approved: by the number of the wave.
    """

    paused: Order | None = None
    aborted: Order | None = None
    approved: Mapping[int, Order] = field(default_factory=dict[int, Order])


def standing(records: Iterable[Record]) -> Standing:
    """What stands behind these records of a campaign."""
    stands = Standing()
    kinds = {each.value: each for each in OrderKind}
    for record in records:
        kind = kinds.get(record.kind)
        if kind is None:
            continue
        order = Order(kind=kind, who=str(record.body.get("who", "")), at=record.at)
        match kind:
            case OrderKind.BEGIN | OrderKind.RETRY:
                stands = Standing()
            case OrderKind.RESUME:
                stands = replace(stands, paused=None)
            case OrderKind.PAUSE:
                stands = replace(stands, paused=order)
            case OrderKind.ABORT:
                stands = replace(stands, aborted=order)
            case OrderKind.APPROVE:
                stands = replace(stands, approved={**stands.approved, int(record.body["wave"]): order})
    return stands


def read_standing(files: CampaignFiles) -> Standing:
    """What stands by the campaign's own record.

    Raises:
        InputError: it cannot be read, or is not whole: what was asked for is not known then.
    """
    if not files.record.exists():
        return Standing()
    with _not_being_written(files.record):
        checked = read_journal(files.record)
    for finding in checked.findings:
        raise InputError(str(files.record), f"line {finding.line}: {finding.what}", "the campaign's record as it was")
    return standing(checked.records)


@contextmanager
def _not_being_written(path: Path) -> Generator[None]:
    """Between two records: `evidence_file` appends under the same lock."""
    import fcntl  # noqa: PLC0415 - not on every system

    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


_PERSON: ContextVar[str] = ContextVar("person", default="")


@contextmanager
def asked_by(person: str) -> Generator[None]:
    """What is recorded inside was asked for by this person, who is not the user that the process belongs to."""
    before = _PERSON.set(person)
    try:
        yield
    finally:
        _PERSON.reset(before)


def record(files: CampaignFiles, kind: OrderKind | str, campaign: Campaign, **more: Any) -> None:
    """Append to the campaign's own record, and close it; it is on the disk when this returns.

    Raises:
        InputError: it cannot be written, or is not whole.
    """
    from keyswitch.app.recorder import this_person  # noqa: PLC0415 - who only looks at a campaign loads no update

    process = this_person()
    who = _PERSON.get() or process
    body = {"name": campaign.name, "round": campaign.round, "who": who, "tool": f"keyswitch {__version__}", **more}
    clock = process.partition("@")[2] or "this computer"
    append(files.record, at=stamp(time_of_day()), clock=clock, kind=str(kind), body=body)
    close(files.record, at=stamp(time_of_day()), clock=clock)


def time_of_day() -> datetime:
    """UTC by this computer's clock."""
    return datetime.now(UTC)


def stamp(at: datetime) -> str:
    """A moment as records have it: ISO 8601, milliseconds."""
    return at.isoformat(timespec="milliseconds")
