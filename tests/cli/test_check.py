"""`keyswitch check`: what it prints, and its exit codes; every safety trace on the device itself."""

import json
from pathlib import Path

import pytest
from tests.cli.policy_commands import Run, run
from tests.policy.samples import PUMP_FILE, ROOT

from keyswitch.exits import Exit

__all__ = ["run"]

BROKEN = sorted((ROOT / "examples" / "broken").glob("*.toml"))


def broken(name: str) -> Path:
    return ROOT / "examples" / "broken" / f"{name}.toml"


def test_a_policy_that_holds(run: Run) -> None:
    ran = run("check", PUMP_FILE)
    assert ran.code == Exit.YES
    assert "policy.toml: holds (19 promises," in ran.out
    assert "bypass, declared by the policy: mcuboot serial recovery (pin)" in ran.out
    assert ran.out.count("warning: ") == 2


def test_a_policy_that_holds_for_a_program(run: Run) -> None:
    ran = run("check", PUMP_FILE, "--json")
    told = json.loads(ran.out)
    assert ran.code == Exit.YES
    assert told["holds"] is True
    assert told["violations"] == []
    assert told["bypasses"] == ["mcuboot serial recovery (pin)"]
    assert told["states"] > 100
    assert {"name", "text"} == told["warnings"][0].keys()


def test_a_safety_violation_is_told_step_by_step(run: Run) -> None:
    ran = run("check", broken("reset-while-working"))
    assert ran.code == Exit.NO
    assert "firmware-outside-maintenance: os.reset:write is served in mode" in ran.out
    assert "   2. motion becomes true → active\n" in ran.out
    assert "refuted (2 violations," in ran.out


def test_a_liveness_violation_is_told_with_its_loop(run: Run) -> None:
    ran = run("check", broken("trap"))
    assert "  and then for ever:\n   3. " in ran.out
    assert "  and then time passes\n" in run("check", broken("no-limit")).out
    assert "  explored: 10 states in normal; its guards can hold in 10 of them" in run("check", broken("shadowed")).out


def test_violations_for_a_program(run: Run) -> None:
    (safety, *_) = json.loads(run("check", broken("maintenance-on-connect"), "--json").out)["violations"]
    assert (safety["rule"], safety["kind"]) == ("maintenance-on-purpose", "safety")
    assert [each["event"] for each in safety["trace"]] == ["boot", "input", "connect"]
    (liveness,) = json.loads(run("check", broken("trap"), "--json").out)["violations"]
    assert liveness["kind"] == "liveness"
    assert liveness["loop"]
    (dead,) = json.loads(run("check", broken("nowhere"), "--json").out)["violations"]
    assert dead["explored"] == "no way leads into it"


def test_early_arming_is_shown(run: Run, tmp_path: Path) -> None:
    early = tmp_path / "early.toml"
    early.write_text(PUMP_FILE.read_text().replace('arm = "late"', 'arm = "early"'))
    ran = run("check", early)
    assert ran.code == Exit.YES
    assert "the window that early arming leaves open:" in ran.out
    assert json.loads(run("check", early, "--json").out)["early_arming_window"][-1]["event"] == "boot"


def test_a_policy_that_is_too_large_is_not_decided(run: Run) -> None:
    ran = run("check", PUMP_FILE, "--max-states", "10")
    assert ran.code == Exit.UNKNOWN
    assert "not decided: more than 10 states" in ran.out


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "No such file"),
        ("", "empty"),
        ("schema = 1\nmodes = 3\n[device]\n", "device.name: missing"),
    ],
)
def test_a_file_that_is_no_policy(run: Run, tmp_path: Path, content: str | None, line: str) -> None:
    path = tmp_path / "p.toml"
    if content is not None:
        path.write_text(content)
    ran = run("check", path)
    assert ran.code == Exit.USAGE
    assert line in ran.err
    assert ran.err.count("\n") == 1


# --- replay ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_safety_trace_is_seen_on_the_device(run: Run, tmp_path: Path, path: Path) -> None:
    verdict = tmp_path / "verdict.json"
    verdict.write_text(run("check", path, "--json").out)
    safety = [each for each in json.loads(verdict.read_text())["violations"] if each["kind"] == "safety"]
    ran = run("check", path, "--replay", verdict, "--json")
    told = json.loads(ran.out)
    assert ran.code == (Exit.YES if safety else Exit.UNKNOWN)
    assert told["confirmed"] is bool(safety)
    assert [each["rule"] for each in told["traces"]] == [each["rule"] for each in safety]
    assert all(each["seen"] for each in told["traces"])


def test_a_replay_is_told_step_by_step(run: Run, tmp_path: Path) -> None:
    verdict = tmp_path / "verdict.json"
    path = broken("upload-in-normal")
    verdict.write_text(run("check", path, "--json").out)
    ran = run("check", path, "--replay", verdict)
    assert "   1. boot → normal\n" in ran.out
    assert "  seen on the device: image.upload:write is served in mode normal\n" in ran.out


def test_a_sound_policy_does_not_do_what_a_trace_of_another_says(run: Run, tmp_path: Path) -> None:
    verdict = tmp_path / "verdict.json"
    verdict.write_text(run("check", broken("upload-in-normal"), "--json").out)
    ran = run("check", broken("no-limit"), "--replay", verdict)
    assert ran.code == Exit.NO
    assert "NOT seen on the device: image.upload:write is served in mode normal" in ran.out


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "No such file"),
        ("{", "no JSON"),
        ("[]", "no verdict"),
        ('{"violations": [{}]}', "violations[0]: no violation"),
        (
            '{"violations": [{"rule": "r", "subject": "s", "kind": "safety", "trace": [{"event": "earthquake"}]}]}',
            "trace[0]: 'earthquake' cannot be played",
        ),
    ],
)
def test_what_cannot_be_replayed(run: Run, tmp_path: Path, content: str | None, line: str) -> None:
    verdict = tmp_path / "verdict.json"
    if content is not None:
        verdict.write_text(content)
    ran = run("check", PUMP_FILE, "--replay", verdict)
    assert ran.code == Exit.USAGE
    assert line in ran.err
