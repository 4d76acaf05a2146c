"""`keyswitch panel`: what a person reads."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from keyswitch.cli import panel

SLOTS = [
    {"image": 0, "slot": 0, "version": "1.0.0", "hash": "00" * 32, "active": False, "confirmed": False},
    {"image": 0, "slot": 1, "version": "1.1.0", "hash": "11" * 32, "active": True, "confirmed": True},
]


@pytest.mark.parametrize(("slots", "flags"), [(SLOTS, " (active, confirmed)"), ([], "")])
def test_confirm_shows_the_slot_that_runs(slots: list[dict[str, Any]], flags: str, monkeypatch: Any) -> None:
    """With direct-XIP that is either one."""
    answer = {"mode": "normal", "running": {"version": "1.1.0", "hash": "11" * 32}, "slots": slots}
    monkeypatch.setattr(panel, "ask", lambda _directory, _request: answer)
    done = CliRunner().invoke(panel.panel, [str(Path("state")), "confirm"])
    assert (done.exit_code, done.output) == (0, f"running 1.1.0 {'11' * 8}…{flags}\n")
