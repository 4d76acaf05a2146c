"""What `--c-core` does to a run of pytest: every device is on the C core, and the end says what the core was asked."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from tests.firmware import c_gate
from tests.firmware.c_gate import CGate, Summary


def begin(config: pytest.Config) -> None:
    """In each process of the run. Whoever finds no directory of a run makes one, and judges what was asked there."""
    if c_gate.PLACE not in os.environ:
        place = TemporaryDirectory(prefix="keyswitch-c-core-")
        config.add_cleanup(place.cleanup)
        c_gate.prepare(Path(place.name))
        os.environ.update(c_gate.environment(Path(place.name)))
        config.pluginmanager.register(_Judge(Path(place.name)))
    CGate(Path(os.environ[c_gate.PLACE])).stand_in()


class _Judge:
    def __init__(self, place: Path) -> None:
        self._place = place

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.OK and Summary.of(self._place).faults():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        found = Summary.of(self._place)
        for line in found.lines():
            terminalreporter.write_line(line)
        for fault in found.faults():
            terminalreporter.write_line(fault, red=True)
