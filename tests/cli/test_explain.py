"""`keyswitch explain`: why, and the shortest way."""

import json

import pytest
from tests.cli.policy_commands import Run, run
from tests.policy.samples import PUMP_FILE

from keyswitch.exits import Exit

__all__ = ["run"]


def test_a_refused_command_and_the_way_to_where_it_is_served(run: Run) -> None:
    ran = run("explain", PUMP_FILE, "--mode", "active", "--command", "image.upload")
    assert ran.code == Exit.NO
    assert "image.upload in active: refused: wrong mode: active allows mode, and so not image.upload:write" in ran.out
    assert "only a maintenance mode may, because it writes an image into a slot" in ran.out
    assert "   1. motion becomes false → normal\n   2. the button is held for 5 s → maintenance" in ran.out


def test_a_served_command(run: Run) -> None:
    ran = run("explain", PUMP_FILE, "--mode", "maintenance", "--command", "image")
    assert ran.code == Exit.YES
    assert "to anyone while the session lasts; lease 900 s; idle 120 s" in ran.out
    assert "this is the initial mode" in run("explain", PUMP_FILE, "--mode", "normal", "--command", "os.echo").out


def test_a_command_that_is_served_nowhere(run: Run) -> None:
    ran = run("explain", PUMP_FILE, "--mode", "normal", "--command", "shell")
    assert ran.code == Exit.NO
    assert "no transitions lead to a mode that serves it" in ran.out
    assert json.loads(run("explain", PUMP_FILE, "--mode", "normal", "--command", "shell", "--json").out)["path"] is None


def test_for_a_program(run: Run) -> None:
    told = json.loads(run("explain", PUMP_FILE, "--mode", "normal", "--command", "os.reset", "--json").out)
    assert told["allowed"] is False
    assert told["reason"].startswith("wrong mode: ")
    assert [each["event"] for each in told["path"]] == ["button"]
    told = json.loads(run("explain", PUMP_FILE, "--mode", "normal", "--command", "os.echo", "--json").out)
    assert (told["allowed"], told["path"]) == (True, [])


@pytest.mark.parametrize(
    ("mode", "command", "line"),
    [
        ("norml", "os.echo", '--mode: "norml" is not a mode of'),
        ("normal", "os.ehco", '--command: "os.ehco" is not a command'),
    ],
)
def test_what_does_not_exist(run: Run, mode: str, command: str, line: str) -> None:
    ran = run("explain", PUMP_FILE, "--mode", mode, "--command", command)
    assert ran.code == Exit.USAGE
    assert line in ran.err
    assert "did you mean" in ran.err
