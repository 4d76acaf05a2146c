"""`keyswitch audit` at the command line: what is wrong is one line and an exit code, before anything is opened."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyswitch.audit.checks import CHECKS
from keyswitch.cli import audit_controls
from keyswitch.cli import main as cli
from keyswitch.cli.audit import audit
from keyswitch.cli.audit_observe import observer
from keyswitch.cli.audit_run import prepare
from keyswitch.demo.workshop import Workshop
from keyswitch.errors import LinkLostError
from keyswitch.exits import Exit
from keyswitch.smp.commands import resolve

TARGET = "udp:127.0.0.1:9"
NOTHING_GIVEN: dict[str, Any] = {
    **audit.make_context("audit", [], resilient_parsing=True).params,
    "controls": "none",
}
"""What the command hands on where only what it has to have is given."""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(["audit", *words])
        assert isinstance(end.value.code, int)
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return run


def test_the_list_needs_no_device(run: Run) -> None:
    code, out, _ = run("--list")
    assert code == Exit.YES
    assert [line.split()[0] for line in out.splitlines()] == [check.id for check in CHECKS]


def test_the_list_for_scripts(run: Run) -> None:
    _, out, _ = run("--list", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["id"] for row in rows] == [check.id for check in CHECKS]
    assert all(set(row) == {"schema_version", "id", "title", "class", "resets", "clauses", "catches"} for row in rows)
    assert all(row["clauses"] and row["catches"] for row in rows)


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no policy": ((TARGET,), "--policy: missing"),
    "no directory": ((TARGET, "--policy", "POLICY"), "-o: missing"),
    "no target": (("--policy", "POLICY", "-o", "NEW"), "TARGET: missing"),
    "a policy that is not there": ((TARGET, "--policy", "gone.toml", "-o", "NEW"), "gone.toml: No such file"),
    "a directory that is there": ((TARGET, "--policy", "POLICY", "-o", "."), ".: is there already"),
    "an unknown check": (
        (TARGET, "--policy", "POLICY", "-o", "NEW", "--only", "KS-1"),
        "--only: there is no check 'KS-1'",
    ),
    "nothing left": (
        (TARGET, "--policy", "POLICY", "-o", "NEW", "--only", "KS-101", "--skip", "KS-101"),
        "--only, --skip: no check is left",
    ),
    "no image": ((TARGET, "--policy", "POLICY", "-o", "NEW", "--next", "POLICY"), "no MCUboot image"),
    "one transport twice": (
        (TARGET, "--policy", "POLICY", "-o", "NEW", "--also", "udp:127.0.0.1:8"),
        "a second way over udp",
    ),
    "two hands": (
        (TARGET, "--policy", "POLICY", "-o", "NEW", "--panel", ".", "--ask"),
        "--ask: means nothing with --panel",
    ),
    "no accepted findings": ((TARGET, "--policy", "POLICY", "-o", "NEW", "--expect", "POLICY"), "schema"),
    "a program that is not there": (
        (TARGET, "--policy", "POLICY", "-o", "NEW", "--observe", "./no-such-program"),
        "--observe ./no-such-program: cannot be run",
    ),
    "nobody to answer": ((TARGET, "--policy", "POLICY", "-o", "NEW", "--resets"), "there is no terminal to ask"),
}


@pytest.mark.parametrize(("words", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    run: Run, pump: Workshop, tmp_path: Path, words: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    new = tmp_path / "new"
    given = [{"POLICY": str(pump.policy_file), "NEW": str(new)}.get(word, word) for word in words]
    code, out, err = run(*given)
    assert code == Exit.USAGE
    assert says in err
    told = [line for line in err.splitlines() if line.startswith("keyswitch: ")]
    assert len(told) == 1
    assert out == ""
    assert not new.exists()


def test_a_device_that_is_not_there_is_no_verdict(
    run: Run, pump: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(*_: Any, **__: Any) -> None:
        raise LinkLostError("nobody answered")

    monkeypatch.setattr("keyswitch.host.connect.packet_endpoint.PacketEndpoint.connect", nobody)
    code, _, err = run(TARGET, "--policy", str(pump.policy_file), "--only", "KS-106", "-o", str(tmp_path / "new"))
    assert code == Exit.UNREACHABLE
    assert "nobody answered" in err
    assert not (tmp_path / "new").exists()


# --- a program that sees more ---


def program(tmp_path: Path, prints: str) -> str:
    path = tmp_path / "look.py"
    path.write_text(f"print({prints!r})")
    return f"{sys.executable} {path}"


def test_an_observer_decides_what_it_says(tmp_path: Path) -> None:
    eye = observer(program(tmp_path, '{"decides": ["shell", "fs:write"], "values": {"files": 3}}'))
    assert eye.decides == resolve("shell") | resolve("fs:write")


@pytest.mark.parametrize(
    ("prints", "says"),
    [
        ("nothing", "printed something else"),
        ("[]", "printed something else than an object"),
        ('{"decides": ["shell"]}', "printed no table of values"),
        ('{"values": {}}', "it says of no command that it decides it"),
        ('{"decides": ["shel"], "values": {}}', "'shel' names no command"),
    ],
)
def test_an_observer_that_says_something_else_is_refused(
    run: Run, pump: Workshop, tmp_path: Path, prints: str, says: str
) -> None:
    words = ("--policy", str(pump.policy_file), "-o", str(tmp_path / "new"), "--observe", program(tmp_path, prints))
    code, _, err = run(TARGET, *words)
    assert (code, says in err) == (Exit.USAGE, True), err


# --- controls that were run before ---


def test_controls_are_kept_by_version_and_policy(
    pump: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    checks = [check for check in CHECKS if check.id in {"KS-402", "KS-310"}]
    first, digest = audit_controls.cached_controls(pump.policy, checks)
    monkeypatch.setattr(audit_controls, "controls", lambda *_: pytest.fail("they are in the cache"))
    assert audit_controls.cached_controls(pump.policy, checks) == (first, digest)
    assert all(control.right for both in first.values() for control in both)


@pytest.mark.parametrize(
    ("check", "says"),
    [("KS-117", "changes nothing: these checks only read"), ("KS-106", "may change: a setting app/ks-audit")],
)
def test_what_may_be_changed_is_said_before(pump: Workshop, tmp_path: Path, check: str, says: str) -> None:
    prepared = prepare(
        TARGET, {**NOTHING_GIVEN, "policy": pump.policy_file, "output": tmp_path / "new", "only": (check,)}
    )
    assert any(line.startswith(says) for line in prepared.declared)
    assert sum(line.startswith("may change") for line in prepared.declared) == (check == "KS-106")
    assert any("mcuboot serial recovery (pin)" in line for line in prepared.declared)


def test_what_is_not_allowed_is_said_before(pump: Workshop, tmp_path: Path) -> None:
    prepared = prepare(TARGET, {**NOTHING_GIVEN, "policy": pump.policy_file, "output": tmp_path / "new"})
    told = [line.split()[2] for line in prepared.declared if line.startswith("not run: ")]
    assert {"KS-105", "KS-108", "KS-113", "KS-203"} <= set(told)
    assert not prepared.permitted_something
    assert prepare(
        TARGET, {**NOTHING_GIVEN, "policy": pump.policy_file, "output": tmp_path / "new", "resets": True}
    ).permitted_something
