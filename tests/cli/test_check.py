"""`keyswitch check`: what it prints, and its exit codes; every safety trace on the device itself."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.cli.policy_commands import Run, run
from tests.policy.samples import PUMP_FILE, ROOT

from keyswitch import __version__
from keyswitch.exits import Exit
from keyswitch.policy.digest import POLICY_FORM
from keyswitch.policy.load import read_policy

__all__ = ["run"]

BROKEN = sorted((ROOT / "examples" / "broken").glob("*.toml"))


def broken(name: str) -> Path:
    return ROOT / "examples" / "broken" / f"{name}.toml"


def test_a_policy_that_holds(run: Run) -> None:
    ran = run("check", PUMP_FILE)
    assert ran.code == Exit.YES
    assert "policy.toml: proved (26 promises," in ran.out
    assert "bypass, declared by the policy: mcuboot serial recovery (pin)" in ran.out
    assert ran.out.count("warning: ") == 4
    assert "warning: entry.challenge.secret: " in ran.out
    assert "keys/root-ec-p256.pub.pem is not there; a device cannot start without it" in ran.out


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


FURTHER = 'timeout_s = 1\n[modes.worse]\nallow = ["mode"]\ntimeout_s = 1\n'
TO_AND_FRO = (
    '[[transitions]]\nfrom = ["fault"]\nto = "worse"\non = "timeout"\n'
    '[[transitions]]\nfrom = ["worse"]\nto = "fault"\non = "timeout"\n'
)


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A policy that goes to and fro in a trap for ever."""
    path = tmp_path / "trapped.toml"
    fault = '[modes.fault]\nallow = ["mode"]\n'
    text = broken("trap").read_text()
    assert fault in text
    path.write_text(text.replace(fault, fault + FURTHER) + TO_AND_FRO)
    return path


def test_a_liveness_violation_is_told_with_its_loop(run: Run, trapped: Path) -> None:
    loop = "  and then for ever:\n   3. time passes: timeout → worse\n   4. time passes: timeout → fault\n"
    assert loop in run("check", trapped).out
    assert "  and then time passes\n" in run("check", broken("no-limit")).out
    assert "  explored: 10 states in normal; its guards can hold in 10 of them" in run("check", broken("shadowed")).out


def test_violations_for_a_program(run: Run, trapped: Path) -> None:
    (safety, *_) = json.loads(run("check", broken("maintenance-on-connect"), "--json").out)["violations"]
    assert (safety["rule"], safety["kind"]) == ("maintenance-on-purpose", "safety")
    assert [each["event"] for each in safety["trace"]] == ["boot", "input", "connect"]
    liveness, _ = json.loads(run("check", trapped, "--json").out)["violations"]
    assert liveness["kind"] == "liveness"
    assert [each["event"] for each in liveness["loop"]] == ["expired", "expired"]
    (missing,) = json.loads(run("check", broken("no-reset"), "--json").out)["violations"]
    assert missing["refused"] == "os.reset:write"
    (dead,) = json.loads(run("check", broken("nowhere"), "--json").out)["violations"]
    assert dead["explored"] == "no transition leads into it"


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
    assert "not decided: more than 10 states (--max-states); 1" in ran.out
    assert "not decided" not in run("check", PUMP_FILE, "--max-states", "219").out
    assert "not decided" in run("check", PUMP_FILE, "--max-states", "218").out


def test_a_policy_that_takes_too_much_memory_is_not_decided(run: Run) -> None:
    ran = run("check", PUMP_FILE, "--max-memory", "1", "--json")
    told = json.loads(ran.out)
    assert ran.code == Exit.UNKNOWN
    assert "more than 1 MB (--max-memory)" in told["stopped"]
    assert (told["holds"], told["complete"], told["verdict"]) == (False, False, "not decided")
    assert {each["verdict"] for each in told["promises"]} == {"not decided"}


LEFT = {
    "event": "boot_after_another",
    "mode": "normal",
    "record": "maintenance",
    "proof": "challenge",
    "same_policy": False,
    "expected": "old",
    "limited": False,
    "ending": False,
    "timed": True,
    "transition": None,
    "trial": False,
}


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

VIOLATION: dict[str, Any] = {"rule": "r", "subject": "s", "kind": "safety"}


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_trace_and_loop_is_seen_on_the_device(run: Run, tmp_path: Path, path: Path) -> None:
    verdict = tmp_path / "verdict.json"
    verdict.write_text(run("check", path, "--json").out)
    traced = [each for each in json.loads(verdict.read_text())["violations"] if each["trace"]]
    ran = run("check", path, "--replay", verdict, "--json")
    told = json.loads(ran.out)
    assert ran.code == (Exit.YES if traced else Exit.UNKNOWN)
    assert told["confirmed"] is bool(traced)
    assert [each["rule"] for each in told["traces"]] == [each["rule"] for each in traced]
    assert all(each["seen"] for each in told["traces"])
    assert [len(each["steps"]) for each in told["traces"]] == [
        len(each["trace"]) + len(each.get("loop", [])) for each in traced
    ]


CLAIMS = {
    "upload-in-normal": "an armed image is left over",
    "reset-while-working": "a granted reset is left over",
    "no-reset": "os.reset:write is refused in mode maintenance",
    "no-limit": "maintenance continues in mode maintenance",
    "trap": "the device is in mode fault",
    "half-reverted": "image 0 is the old one again, and image 1 is not",
    "trial-without-one": "the new image runs and is on no trial",
    "self-confirmed-in-place": "the new image runs and is on no trial",
    "trial-in-the-loader": "the new image runs and is on no trial",
    "loader-by-boot-mode-alone": "nothing boots after a power cut",
}


@pytest.mark.parametrize("name", CLAIMS)
def test_what_a_trace_claims_is_asked_of_the_device(run: Run, tmp_path: Path, name: str) -> None:
    verdict = tmp_path / "verdict.json"
    verdict.write_text(run("check", broken(name), "--json").out)
    assert f"  seen on the device: {CLAIMS[name]}\n" in run("check", broken(name), "--replay", verdict).out


def test_a_trial_that_several_images_do_not_have_is_seen_on_the_device(run: Run, tmp_path: Path) -> None:
    policy, verdict = tmp_path / "policy.toml", tmp_path / "verdict.json"
    policy.write_text(broken("self-confirmed-in-place").read_text() + "[[bootloader.images]]\n" * 2)
    verdict.write_text(run("check", policy, "--json").out)
    ran = run("check", policy, "--replay", verdict)
    assert "  seen on the device: the new image runs and is on no trial\n" in ran.out
    assert ran.code == Exit.YES


def test_a_loop_is_seen_on_the_device(run: Run, tmp_path: Path, trapped: Path) -> None:
    verdict = tmp_path / "verdict.json"
    verdict.write_text(run("check", trapped, "--json").out)
    ran = run("check", trapped, "--replay", verdict)
    assert ran.code == Exit.YES
    assert "   4. expired → fault\n  seen on the device: the device is in mode fault\n" in ran.out


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"loop": [{"event": "expired", "mode": None}]}, "trace[2].timer: missing"),
        ({"refused": "no.command"}, "refused: 'no.command' names no command"),
    ],
)
def test_all_that_is_played_is_checked_first(
    run: Run, tmp_path: Path, trapped: Path, wrong: dict[str, Any], line: str
) -> None:
    told = json.loads(run("check", trapped, "--json").out)
    told["violations"][0] |= wrong
    verdict = tmp_path / "verdict.json"
    verdict.write_text(json.dumps(told))
    ran = run("check", trapped, "--replay", verdict)
    assert ran.code == Exit.USAGE
    assert line in ran.err


def test_an_input_that_can_no_longer_be_read_is_played(run: Run, tmp_path: Path) -> None:
    told = json.loads(run("check", broken("trap"), "--json").out)
    told["violations"][0]["trace"].insert(1, {"event": "input", "input": "motion", "value": None, "mode": "normal"})
    verdict = tmp_path / "verdict.json"
    verdict.write_text(json.dumps(told))
    assert run("check", broken("trap"), "--replay", verdict).code == Exit.YES


def test_what_is_left_is_looked_for_on_the_device_and_not_taken_from_its_mode(run: Run, tmp_path: Path) -> None:
    """The trace of a policy that leaves a reset behind, on a device that goes through the same modes and does not."""
    verdict, sound = tmp_path / "verdict.json", tmp_path / "sound.toml"
    text = broken("reset-while-working").read_text()
    verdict.write_text(run("check", broken("reset-while-working"), "--json").out)
    sound.write_text(text.replace('allow = ["os.reset", "mode"]', 'allow = ["os.echo", "mode"]'))
    assert sound.read_text() != text
    ran = run("check", sound, "--replay", verdict)
    assert ran.code == Exit.NO
    assert "NOT seen on the device: a granted reset is left over" in ran.out


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
        ("{", "not JSON"),
        ("[]", "no verdict"),
        ('{"violations": [{}]}', "violations[0]: no violation"),
        (
            json.dumps({"violations": [VIOLATION | {"trace": [{"event": "earthquake", "mode": None}]}]}),
            "trace[0]: 'earthquake' cannot be played",
        ),
        (
            json.dumps({"violations": [VIOLATION | {"trace": [LEFT | {"expected": "newest"}]}]}),
            "trace[0].expected: found 'newest'",
        ),
        (
            json.dumps({"violations": [VIOLATION | {"rule": "whole-revert", "subject": "image 1", "trace": [LEFT]}]}),
            "subject: 'image 1' names no image",
        ),
        (
            json.dumps({"violations": [VIOLATION | {"trace": [LEFT | {"transition": 99}]}]}),
            "trace[0].transition: found 99",
        ),
        (
            json.dumps({"violations": [VIOLATION | {"trace": [LEFT | {"record": None}]}]}),
            "trace[0].blank: missing",
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


def test_two_maintenance_modes_in_a_row_are_no_policy(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    second = '[modes.second]\nmaintenance = true\nallow = ["os", "image", "mode"]\nlease_s = 900\n'
    into = '[[transitions]]\nfrom = ["maintenance"]\nto = "second"\non = "button"\nhold_s = 1\n'
    path.write_text(PUMP_FILE.read_text() + second + into)
    ran = run("check", path)
    assert ran.code == Exit.USAGE
    assert 'leads from maintenance mode "maintenance" into maintenance mode "second"' in ran.err
    assert "leave, then enter" in ran.err
    assert ran.err.count("\n") == 1


def test_numbers_say_what_is_needed_and_what_is_allowed(run: Run) -> None:
    ran = run("check", broken("slow-upload"))
    assert ran.code == Exit.NO
    assert "modes.maintenance.lease_max_s = 120 is too short for an upload of a full slot over Bluetooth LE" in ran.out
    assert "at least 154.203 s. Make it 154.203 or more" in ran.out


# --- reports --------------------------------------------------------------------------------------------------------


def test_a_report_for_a_program_says_what_was_checked_when_and_by_what(run: Run) -> None:
    told = json.loads(run("check", broken("trap"), "--json").out)
    assert told["policy"]["sha256"] == read_policy(Path(broken("trap"))).digest.hex()
    assert told["policy"]["form"] == POLICY_FORM
    assert told["tool"] == f"keyswitch {__version__}"
    assert datetime.fromisoformat(told["time"]).utcoffset() == timedelta(0)
    assert {each["name"]: each["verdict"] for each in told["promises"]}["way-home"] == "refuted"
    assert [each["verdict"] for each in told["promises"]].count("proved") == len(told["promises"]) - 1
    assert len(told["not_proved"]) > 5


def test_a_report_is_a_file_beside_the_verdict(run: Run, tmp_path: Path) -> None:
    for kind in ("html", "md", "junit"):
        path = tmp_path / f"report.{kind}"
        ran = run("check", broken("trap"), "--report", kind, "-o", path)
        assert ran.code == Exit.NO
        assert "refuted (1 violation," in ran.out
        assert path.read_text()
        assert run("check", broken("trap"), "--report", kind).out.startswith(path.read_text()[:15])


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("-o", "x"), "--output is for a report"),
        (("--json", "--report", "md"), "both go to stdout"),
        (("--report", "pdf"), "'pdf' is not one of"),
        (("--report", "md", "-o", "/nowhere/report.md"), "/nowhere/report.md: No such file"),
    ],
)
def test_a_report_that_cannot_be_written(run: Run, words: tuple[str, ...], line: str) -> None:
    ran = run("check", PUMP_FILE, *words)
    assert ran.code == Exit.USAGE
    assert line in ran.err
