"""A clock for another process that somebody sets while it runs, by Debian's faketime; the monotonic one stays."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest


def library() -> Path:
    """Of Debian's package, for programs with threads."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.fail("no faketime here: tools/apt-ensure faketime")
    return found[0]


@dataclass(frozen=True)
class SetClock:
    """The time of day of the processes that have its `environment`; `file` holds how far it is from the real one."""

    file: Path

    def set_to(self, moment: datetime) -> None:
        """From now on it is this moment, and the clock goes on."""
        ahead_s = (moment - datetime.now(UTC)).total_seconds()
        written = self.file.with_suffix(".new")
        written.write_text(f"{ahead_s:+.3f}\n")
        written.replace(self.file)  # never seen half written

    def now(self) -> datetime:
        """What it shows."""
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() + float(self.file.read_text()), UTC)

    @property
    def environment(self) -> dict[str, str]:
        """For whoever goes by this clock."""
        return {
            **os.environ,
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",  # else a clock that was set is noticed ten seconds later
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
