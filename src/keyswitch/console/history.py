"""The runs that a device's record holds, as pages show them. Read again only when the file has changed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyswitch.errors import InputError
from keyswitch.host.report.evidence_file import read_journal
from keyswitch.host.report.recorded_runs import RecordedRun, drawn, ended_runs

MOST_RUNS: Final = 20
"""That a page lists; the record has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is recorded of a device.

    Attributes:
        runs: the last first, at most `MOST_RUNS`.
        trouble: why the record cannot be read, or what is wrong with it; empty if all is well.
    """

    runs: tuple[RecordedRun, ...] = ()
    trouble: str = ""


class Histories:
    """What the records of a directory hold."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int], History]] = {}

    def of(self, path: Path) -> History:
        """Of one device's record; nothing if there is none."""
        try:
            stat = path.stat()
        except OSError:
            return History()
        mark = (stat.st_mtime_ns, stat.st_size)
        known = self._known.get(path)
        if known is None or known[0] != mark:
            known = (mark, _read(path))
            self._known[path] = known
        return known[1]


def chart_of(path: Path, number: int) -> str:
    """A recorded run as a chart (SVG).

    Args:
        path: the record.
        number: of the run's last record.

    Raises:
        InputError: the record cannot be read, or has no such run.
    """
    for run in ended_runs(read_journal(path).records):
        if run.ended.n == number:
            return drawn(run, str(path))
    raise InputError(str(path), f"record {number} is not the end of a run")


def _read(path: Path) -> History:
    try:
        checked = read_journal(path)
    except InputError as error:
        return History(trouble=str(error))
    runs = ended_runs(checked.records)
    trouble = "".join(f"line {finding.line}: {finding.what}" for finding in checked.findings[:1])
    return History(runs=tuple(runs[::-1][:MOST_RUNS]), trouble=trouble)
