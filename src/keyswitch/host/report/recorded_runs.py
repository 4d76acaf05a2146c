"""The runs that an evidence file holds: each ended one with the record that it began with, and its picture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyswitch.errors import InputError
from keyswitch.evidence.chain import Record
from keyswitch.host.report.evidence_file import RUN_ENDED
from keyswitch.host.report.sequence_chart import chart, fault


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A run that has ended.

    Attributes:
        ended: the record that it ended with.
        begun: the body of the record that it began with; None: it is not there.
    """

    ended: Record
    begun: Mapping[str, Any] | None

    def is_number(self, number: int) -> bool:
        """Whether people mean this run by that number: of either of its records."""
        return number in (self.ended.n, self.ended.body.get("run"))


def ended_runs(records: tuple[Record, ...]) -> list[RecordedRun]:
    """The runs that have ended, in file order."""
    bodies: dict[object, Mapping[str, Any]] = {}
    for record in records:
        bodies.setdefault(record.n, record.body)
    return [RecordedRun(ended=record, begun=_begun(record, bodies)) for record in records if record.kind == RUN_ENDED]


def _begun(ended: Record, bodies: Mapping[object, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    run = ended.body.get("run")  # whatever somebody has written there
    return bodies.get(run) if isinstance(run, int) else None


def drawn(run: RecordedRun, source: str) -> str:
    """A run as a chart (SVG).

    Args:
        run: of the file.
        source: names the file, for whoever reads what is wrong.

    Raises:
        InputError: its record is none that `keyswitch update` wrote.
    """
    what = fault(run.ended.body)
    if what:
        raise InputError(f"{source}: record {run.ended.n}", what, "a record that `keyswitch update` wrote")
    target = "a run" if run.begun is None else str(run.begun.get("target"))
    return chart(run.ended.body, title=f"{run.ended.at}: {target}", begun=run.begun)
