"""`keyswitch audit` at the command line: what is wrong is one line and an exit code, before anything is opened."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.audit.audits import over
from tests.shapes import faults

from keyswitch.audit.bench import Bench
from keyswitch.audit.checks import CHECKS
from keyswitch.audit.json_output import AuditReplayedJson
from keyswitch.audit.manifest import verify_report
from keyswitch.audit.matrix import MatrixRun
from keyswitch.cli import audit_controls, audit_learn, audit_run
from keyswitch.cli import main as cli
from keyswitch.cli.audit import audit
from keyswitch.cli.audit_observe import observer
from keyswitch.cli.audit_run import prepare
from keyswitch.demo.workshop import Workshop
from keyswitch.errors import InputError, LinkLostError
from keyswitch.exits import Exit
from keyswitch.link.air import clock
from keyswitch.smp.commands import resolve
from keyswitch.terms import Transport
from keyswitch.testing.holes.device import SECRET, DeviceInProcess, make_image
from keyswitch.testing.holes.table import holes_of

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
    "a variable of no recipe": (
        (TARGET, "--policy", "POLICY", "-o", "NEW", "--set", "a=b"),
        "--set: means nothing without a recipe",
    ),
    "no such recipe": ((TARGET, "--policy", "POLICY", "-o", "NEW", "--recipe", "buton"), "did you mean 'button'"),
    "two ways in": (
        (TARGET, "--policy", "POLICY", "-o", "NEW", "--recipe", "button", "--to", "maintenance"),
        "--to: means nothing with --recipe",
    ),
    "one image twice": (
        (TARGET, "--policy", "POLICY", "-o", "NEW", "--next", "IMAGE", "--image", "IMAGE"),
        "--image, --next: both are the same image",
    ),
    "nothing to learn from": (("--learn", "-o", "NEW"), "TARGET: missing"),
    "a policy to learn with": ((TARGET, "--learn", "-o", "NEW", "--policy", "POLICY"), "--policy: means nothing"),
    "no report to replay": (("--replay", "gone/KS-106"), "gone/evidence.jsonl: "),
    "nobody to answer": ((TARGET, "--policy", "POLICY", "-o", "NEW", "--resets"), "there is no terminal to ask"),
}


@pytest.mark.parametrize(("words", "says"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    run: Run, pump: Workshop, tmp_path: Path, words: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    new = tmp_path / "new"
    named = {"POLICY": str(pump.policy_file), "NEW": str(new), "IMAGE": str(pump.new)}
    given = [named.get(word, word) for word in words]
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


def test_a_control_that_cannot_be_run_here_is_said(pump: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Bumble there is no radio, and no device whose table could be wrong."""

    def need(_library: str, where: str) -> None:
        raise InputError(where, "bumble is not installed: install keyswitch[virtual]")

    monkeypatch.setattr(audit_controls, "need", need)
    checks = [check for check in CHECKS if check.id in {"KS-310", "KS-501", "KS-503"}]
    assert audit_controls.not_controlled(checks) == (
        "not run for KS-501, KS-503 (bumble is not installed: install keyswitch[virtual])"
    )
    assert audit_controls.controls(pump.policy, checks).keys() == {"KS-310"}
    assert audit_controls.not_controlled(checks[:1]) == ""


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
    assert any(line.endswith("4 wait for a lock-out to end") for line in prepared.declared)
    told = [line.split()[2] for line in prepared.declared if line.startswith("not run: ")]
    assert {"KS-105", "KS-108", "KS-113", "KS-203"} <= set(told)
    assert not prepared.permitted_something
    assert prepare(
        TARGET, {**NOTHING_GIVEN, "policy": pump.policy_file, "output": tmp_path / "new", "resets": True}
    ).permitted_something


# --- a report, its captures, and a finding tried again ---


@pytest.fixture
def on_a_wire(pump: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """What is to be given for the pump behind a wire in memory, in virtual time; it answers every read request."""
    policy = over(pump.policy, Transport.UDP)
    there: list[DeviceInProcess] = []

    def open_endpoint(text: str, *, capture: Path | None = None, **_: Any) -> Any:
        if capture is not None:
            capture.write_bytes(b"what passed on the way to " + text.encode())
        return there[-1].ways[Transport.UDP] if there else None

    def run(main: Any) -> Any:
        async def inside() -> Any:
            async with DeviceInProcess(policy, holes_of("KS-117")[0].parts()) as device:
                there.append(device)
                return await main

        return clock.run(inside(), limit_s=audit_controls.LIMIT_S)

    monkeypatch.setattr(audit_run, "open_endpoint", open_endpoint)
    monkeypatch.setattr(audit_learn, "open_endpoint", open_endpoint)
    monkeypatch.setattr(audit_run.asyncio, "run", run)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET.hex())
    return (TARGET, "--policy", str(pump.policy_file), "--secret", str(secret), "--controls", "none")


def test_a_report_has_its_captures_and_a_finding_can_be_tried_again(
    run: Run, on_a_wire: tuple[str, ...], tmp_path: Path
) -> None:
    report = tmp_path / "report"
    code, _, _ = run(*on_a_wire, "--only", "KS-117", "-o", str(report))
    assert code == Exit.NO
    assert (report / "capture-udp.pcapng").read_bytes().endswith(TARGET.encode())
    assert verify_report(report).findings == ()
    manifest = json.loads((report / "manifest.json").read_text())
    assert manifest["firmware"] == {"version": "1.0.0", "hash": make_image(1).hash.hex()}

    code, out, _ = run("--replay", str(report / "KS-117"), "--json")
    told = json.loads(out.splitlines()[-1])
    assert (code, told["then"], told["now"]) == (Exit.NO, "fail", "fail")
    assert told.pop("schema_version")
    assert faults(told, AuditReplayedJson) == []


@pytest.mark.usefixtures("on_a_wire")
def test_a_device_without_a_policy_gets_a_sketch_that_an_audit_takes(run: Run, tmp_path: Path) -> None:
    first = tmp_path / "first.toml"
    code, out, _ = run("--learn", TARGET, "-o", str(first))
    assert (code, "where it was found, and not in maintenance" in out) == (Exit.YES, True)
    prepared = prepare(TARGET, {**NOTHING_GIVEN, "policy": first, "output": tmp_path / "new"})
    assert list(prepared.target.policy.modes) == ["normal", "maintenance"]
    code, _, err = run("--learn", TARGET, "-o", str(first))
    assert (code, "is there already" in err) == (Exit.USAGE, True)


@pytest.mark.parametrize(
    ("tamper", "words", "says"),
    [
        (lambda at: (at / "report.html").write_text("fine"), ("KS-117",), "report.html: was changed"),
        (lambda _: None, ("KS-106",), "the report has no such check"),
        (lambda _: None, ("KS-000",), "there is no check 'KS-000'"),
        (lambda _: None, ("KS-117", "--only", "KS-117"), "--only: means nothing with --replay"),
    ],
)
def test_what_cannot_be_tried_again_is_said(
    run: Run,
    on_a_wire: tuple[str, ...],
    tmp_path: Path,
    tamper: Callable[[Path], object],
    words: tuple[str, ...],
    says: str,
) -> None:
    report = tmp_path / "report"
    run(*on_a_wire, "--only", "KS-117", "-o", str(report))
    tamper(report)
    code, _, err = run("--replay", str(report / words[0]), *words[1:])
    assert (code, says in err) == (Exit.USAGE, True), err


def test_ctrl_c_at_any_moment_writes_the_report(
    run: Run, on_a_wire: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it looks first, while a check runs, while what was changed is put back; pressed twice as well."""

    async def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(1)

    moments = {
        "first look": (audit_run, "mode_if_any"),
        "a check": (MatrixRun, "run"),
        "putting back": (Bench, "put_back"),
    }
    for name, (owner, attribute) in moments.items():
        with monkeypatch.context() as planted:
            planted.setattr(owner, attribute, interrupted)
            report = tmp_path / name.replace(" ", "-")
            code, _, _ = run(*on_a_wire, "--only", "KS-117", "-o", str(report))
        assert code == Exit.INTERRUPTED
        document = json.loads((report / "report.json").read_text())
        assert document["ended_early"] == "interrupted"
        assert [check["id"] for check in document["checks"]] == ["KS-117"]
        assert verify_report(report).findings == ()


def test_ctrl_c_in_the_controls_loses_nothing(
    run: Run, on_a_wire: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def controls(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(audit_controls, "controls", controls)
    words = [word if word != "none" else "all" for word in on_a_wire]
    code, _, _ = run(*words, "--only", "KS-117", "-o", str(tmp_path / "new"))
    document = json.loads((tmp_path / "new" / "report.json").read_text())
    assert (code, document["checks"][0]["verdict"]) == (Exit.INTERRUPTED, "fail")
    assert document["controls"] == "controls: not run to their end (interrupted)"


def test_a_full_disk_is_one_line_and_leaves_nothing(
    run: Run, on_a_wire: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _data: bytes) -> None:
        raise InputError(str(path), "No space left on device")

    monkeypatch.setattr("keyswitch.audit.manifest.create_file", full)
    code, out, err = run(*on_a_wire, "--only", "KS-117", "-o", str(tmp_path / "new"))
    assert (code, "No space left on device" in err) == (Exit.USAGE, True)
    assert "KS-117  fail" in out  # what was found is seen all the same
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
