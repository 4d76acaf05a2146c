"""A clock for another process that somebody sets while it runs; the monotonic one stays."""

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "set_clock.c"
NS_PER_S = 1_000_000_000


def built_library(directory: Path) -> Path:
    """What such a process preloads."""
    if (compiler := shutil.which("gcc")) is None:
        pytest.fail("no gcc here: tools/apt-ensure gcc libc6-dev")
    library = directory / "set_clock.so"
    warnings = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
    subprocess.run([compiler, "-O2", *warnings, "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    return library


class SetClock:
    """The time of day of the processes that have its `environment`; a file in `directory` holds how far it is ahead."""

    def __init__(self, directory: Path) -> None:
        self._library = built_library(directory)
        self._file = directory / "ahead_ns"
        self._file.write_bytes(bytes(8))

    def set_to(self, moment: datetime) -> None:
        """From now on it is this moment, and the clock goes on."""
        ahead_ns = round((moment - datetime.now(UTC)).total_seconds() * NS_PER_S)
        with self._file.open("r+b", buffering=0) as file:
            file.write(ahead_ns.to_bytes(8, sys.byteorder, signed=True))  # in place: the processes have it mapped

    def now(self) -> datetime:
        """What it shows."""
        ahead_ns = int.from_bytes(self._file.read_bytes(), sys.byteorder, signed=True)
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() + ahead_ns / NS_PER_S, UTC)

    @property
    def environment(self) -> dict[str, str]:
        """For whoever goes by this clock."""
        return {**os.environ, "LD_PRELOAD": str(self._library), "SET_CLOCK": str(self._file)}
