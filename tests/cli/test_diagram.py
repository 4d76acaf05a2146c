"""`keyswitch diagram`: files of each kind."""

import importlib.util
from pathlib import Path

import pytest
from tests.cli.policy_commands import Run, run
from tests.policy.samples import PUMP_FILE

from keyswitch.exits import Exit

__all__ = ["run"]


@pytest.mark.parametrize(("name", "start"), [("m.svg", "<svg "), ("m.mmd", "stateDiagram-v2\n")])
def test_a_picture_is_written(run: Run, tmp_path: Path, name: str, start: str) -> None:
    ran = run("diagram", PUMP_FILE, "-o", tmp_path / name)
    assert ran.code == Exit.YES
    assert "4 modes, 7 transitions" in ran.out
    assert (tmp_path / name).read_text().startswith(start)


def test_a_kind_that_is_not_drawn(run: Run, tmp_path: Path) -> None:
    ran = run("diagram", PUMP_FILE, "-o", tmp_path / "m.gif")
    assert ran.code == Exit.USAGE
    assert 'cannot draw ".gif" (expected .svg, .mmd or .png)' in ran.err


def test_a_place_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    ran = run("diagram", PUMP_FILE, "-o", tmp_path / "no" / "m.svg")
    assert ran.code == Exit.USAGE
    assert "No such file" in ran.err


def test_a_png_needs_its_extra(run: Run, tmp_path: Path) -> None:
    ran = run("diagram", PUMP_FILE, "-o", tmp_path / "m.png")
    if importlib.util.find_spec("cairosvg") is None:
        assert ran.code == Exit.USAGE
        assert "cairosvg is not installed: install keyswitch[png]" in ran.err
    else:
        assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
