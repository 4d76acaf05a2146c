"""The reasons why mutants of the core survive are about lines that are there."""

from tests.firmware.mutants import SAME
from tests.firmware.toolchain import CORE


def test_each_reason_is_about_a_line_of_the_core() -> None:
    lines = {(path.name, line.strip()) for path in CORE for line in path.read_text().splitlines()}
    assert set(SAME) <= lines
    assert all(SAME.values())
