"""Whole campaigns on the real engine and real devices over UDP, in real time: `make test-campaign`."""

import contextlib
import io
import json
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.campaign.killed import DEVICE, ON_TRIAL, POINTS
from tests.campaign.postgresql import server
from tests.campaign.tray import Unit, tray, write_campaign

from keyswitch.campaign.model import CampaignFiles
from keyswitch.cli.main import main
from keyswitch.demo.workshop import Workshop
from keyswitch.exits import Exit
from keyswitch.host.report.evidence_file import read_journal

pytestmark = pytest.mark.campaign

IDLE_MS = 121_000
"""The pump's policy ends a session that is idle for 120 s."""

SECRET_FILES = ("keys/pump7.hmac",)


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "keyswitch", "campaign", *map(str, words)]


def campaign(*words: str | Path) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, objects and stderr of `keyswitch campaign`, as a process of its own."""
    ran = subprocess.run(command(*words, "--json"), capture_output=True, text=True, check=False)
    return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()], ran.stderr


def asked(*words: str | Path) -> tuple[int, list[dict[str, Any]]]:
    """The same in this process, of a command that carries nothing out: starting Python costs more than most of them."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
        main(["campaign", *map(str, words), *([] if "-o" in words else ["--json"])])
    lines = [] if "-o" in words else said.getvalue().splitlines()
    return int(ended.value.code or 0), [json.loads(line) for line in lines]


def updated_once(unit: Unit) -> bool:
    """As the device itself has it: one swap, one image confirmed."""
    return len(unit.events("image-swapped")) == len(unit.events("image-confirmed")) == 1


def updated_right(unit: Unit, *, on_trial: bool) -> bool:
    """As the device has it: confirmed once; where it was left `on_trial`, it may have gone back by itself before.

    That is its promise when nobody confirms in time; it is updated again then.
    """
    reverted = len(unit.events("image-reverted"))
    swapped, confirmed = len(unit.events("image-swapped")), len(unit.events("image-confirmed"))
    return confirmed == 1 and reverted <= on_trial and swapped == 1 + reverted


def check_devices(units: list[Unit], *, on_trial: bool) -> None:
    """Each was updated once, as it has it itself; `DEVICE` was left on trial, or was not.

    The last one had not begun when the process died. A session that has ended discards what was uploaded of an image:
    some of it may have been written once more, but never a whole update.
    """
    blocks, sectors = units[-1].flash_work()
    for unit in units:
        assert updated_right(unit, on_trial=on_trial and unit.id == DEVICE), unit.id
        written, erased = unit.flash_work()
        most = 3.5 if unit.events("image-reverted") else 1.5  # taken back, and updated again
        assert (written < blocks * most, erased < sectors * most) == (True, True), unit.id


def outcomes(summary: dict[str, Any]) -> dict[str, int]:
    return {word: count for word, count in summary["outcomes"].items() if count}


def check_records(file: Path, units: list[Unit]) -> None:
    """Each chain is whole, and the campaign's record names the head of each."""
    files = CampaignFiles.of(file)
    assert not read_journal(files.record).findings
    last = [json.loads(line) for line in files.record.read_text().splitlines() if '"campaign ended"' in line][-1]
    for unit in units:
        checked = read_journal(files.evidence(unit.id))
        assert not checked.findings, checked.findings
        assert last["body"]["devices"][unit.id]["head"] == {"n": checked.head.n, "hash": checked.head.hash}


def no_secret_in(directory: Path, pump: Workshop) -> None:
    """No file that a campaign writes has a secret of the policy in it, as text or as bytes."""
    for name in SECRET_FILES:
        text = (pump.policy_file.parent / name).read_text().strip()
        for path in directory.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            assert text.encode() not in content, path
            assert bytes.fromhex(text) not in content, path


NEEDS_APPROVAL = tuple(point for point in POINTS if point.endswith("the approval kept"))


@pytest.mark.parametrize("point", POINTS)
def test_killed_anywhere_each_device_is_updated_once(point: str, tmp_path: Path, pump: Workshop):
    with tray(pump, tmp_path, 3) as units:
        # One at a time: what each device has at that point does not hang on how busy this machine is.
        approval = f"approval = {str(point in NEEDS_APPROVAL).lower()}"
        more = f"[waves]\ncounts = [1]\n{approval}\n"
        file = write_campaign(tmp_path, pump, units, more, concurrency=1, health="true")
        ran = subprocess.run(
            [sys.executable, "-m", "tests.campaign.killed", point, "run", str(file)], capture_output=True, check=False
        )
        assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
        _, told = asked("status", file)
        state = told[-1]["state"]
        assert state == {"before the campaign begun": "not begun", "behind the campaign ended": "done"}.get(
            point, "interrupted"
        )
        for unit in units:
            unit.time_passes(IDLE_MS)  # the dead process's session ends
        if told[-1]["approval_of_wave"] is not None:
            assert asked("approve", file)[0] == Exit.YES
        code, told = asked("run" if state == "not begun" else "resume", file)
        assert (code, outcomes(told[-1])) == (Exit.YES, {"confirmed": 3})
        check_devices(units, on_trial=point in ON_TRIAL)
        check_records(file, units)
        assert not list(tmp_path.glob("*.log"))


def test_a_tray_with_everything_in_it(tmp_path: Path, pump: Workshop):
    """Moving ones wait, one comes to rest meanwhile; one has the release already; one is not there."""
    retry = '[retry.waiting]\nattempts = 2\nwait_s = 8\n[waves]\ncounts = [1]\n[[abort]]\noutcomes = ["failed"]\n'
    with tray(pump, tmp_path, 4, moving=[1, 2]) as units:
        away = Unit(id="P-away", state=tmp_path / "away", target="udp:127.0.0.1:9")
        file = write_campaign(tmp_path, pump, [*units, away], retry + "least = 1\npercent = 1\n", concurrency=5)
        first = ["update", units[3].target, str(pump.new), "--policy", str(pump.policy_file), "--quiet"]
        assert subprocess.run([sys.executable, "-m", "keyswitch", *first], check=False).returncode == Exit.YES
        code, plan = asked("plan", file)
        assert (code, plan[-1]["refused"], plan[-1]["unreachable"]) == (Exit.NO, 2, 1)
        assert not units[0].events("entered"), "a plan changes nothing"
        with subprocess.Popen(command("run", file, "--json"), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = []
            for line in process.stdout:
                told.append(json.loads(line))
                if told[-1].get("device") == "P-2" and told[-1].get("outcome") == "waiting":
                    units[2].moves(is_true=False)
        assert process.returncode == Exit.NO
        assert outcomes(told[-1]) == {"confirmed": 3, "waiting": 1, "unreachable": 1}
        assert told[-1]["state"] == "done", "who waits or is not reached stops nothing here"
        assert [updated_once(unit) for unit in units] == [True, False, True, True]
        _, objects = asked("status", file)
        waiting = next(each for each in objects if each.get("device") == "P-1")
        assert (waiting["outcome"], waiting["reason"], waiting["attempts"]) == ("waiting", "guard", 2)
        check_records(file, units)
        no_secret_in(CampaignFiles.of(file).directory, pump)
        for name in ("r.json", "r.csv", "r.html"):
            assert asked("report", file, "-o", tmp_path / name)[0] == Exit.YES
            assert "P-1" in (tmp_path / name).read_text()
        with sqlite3.connect(CampaignFiles.of(file).database) as database:
            assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert stat.S_IMODE(CampaignFiles.of(file).database.stat().st_mode) == 0o600


def started(file: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command("run", file, "--json", *words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(running: "subprocess.Popen[str]", event: str) -> dict[str, Any]:
    assert running.stdout is not None
    return next(told for told in map(json.loads, running.stdout) if told["event"] == event)


def test_interrupted_it_can_be_resumed_and_says_how(tmp_path: Path, pump: Workshop):
    with tray(pump, tmp_path, 2) as units:
        file = write_campaign(tmp_path, pump, units, concurrency=1)
        with started(file) as running:
            wait_for(running, "device_begun")
            while running.poll() is None:  # pressed again and again, until it has ended
                running.send_signal(signal.SIGINT)
                time.sleep(0.02)
            out, said = running.communicate(timeout=120)
        assert (running.returncode, json.loads(out.splitlines()[-1])["state"]) == (Exit.INTERRUPTED, "interrupted")
        assert said == f"interrupted: resume with `keyswitch campaign resume {file}`\n"
        assert asked("run", file)[0] == Exit.USAGE
        code, objects, said = campaign("resume", file)
        assert (code, outcomes(objects[-1])) == (Exit.YES, {"confirmed": 2}), said
        assert all(updated_once(unit) for unit in units)


def test_aborted_what_is_under_way_reaches_its_end_and_nothing_begins(tmp_path: Path, pump: Workshop):
    """The first device waits for its next attempt, for minutes: the abort ends that wait."""
    retry = "[retry.waiting]\nattempts = 9\nwait_s = 600\n[waves]\ncounts = [1]\n"
    with tray(pump, tmp_path, 2, moving=[0]) as units:
        file = write_campaign(tmp_path, pump, units, retry, concurrency=1)
        with started(file) as running:
            wait_for(running, "device_ended")
            assert asked("status", file)[1][-1]["state"] == "running"
            code, objects = asked("abort", file)
            out, said = running.communicate(timeout=120)
        assert (code, objects[-1]["state"], outcomes(objects[-1])) == (Exit.NO, "aborted", {"waiting": 1}), said
        assert (running.returncode, json.loads(out.splitlines()[-1])["state"]) == (Exit.NO, "aborted")
        assert not units[1].events("entered")
        assert campaign("resume", file)[0] == Exit.NO
        assert not units[1].events("entered")


def test_waves_are_approved_a_pause_leaves_nobody_in_maintenance_and_the_rest_is_tried_again(
    tmp_path: Path, pump: Workshop
):
    """The third device moves all the time: it waits, and is tried again at rest."""
    more = "[waves]\ncounts = [1]\napproval = true\n"
    with tray(pump, tmp_path, 3, moving=[2]) as units:
        file = write_campaign(tmp_path, pump, units, more, concurrency=1)
        assert asked("approve", file)[0] == Exit.USAGE, "nothing has begun"
        with started(file) as running:
            wait_for(running, "approval_awaited")
            stands = asked("status", file)[1][-1]
            assert (stands["state"], stands["approval_of_wave"]) == ("running", 2)
            assert asked("approve", file, "--wave", "3")[0] == Exit.USAGE
            assert not units[1].events("entered")
            assert asked("approve", file, "--wave", "2")[0] == Exit.YES
            approved = wait_for(running, "wave_approved")
            wait_for(running, "device_begun")
            code, objects = asked("pause", file)
            out, said = running.communicate(timeout=120)
        assert (code, objects[-1]["state"], outcomes(objects[-1])) == (Exit.YES, "paused", {"confirmed": 2}), said
        assert (running.returncode, json.loads(out.splitlines()[-1])["state"]) == (Exit.UNKNOWN, "paused")
        assert said == f"paused: resume with `keyswitch campaign resume {file}`\n"
        assert [updated_once(unit) for unit in units] == [True, True, False]
        assert len(units[1].events("left")) == len(units[1].events("entered")), "nobody is left in maintenance"
        code, objects, said = campaign("resume", file)
        assert (code, outcomes(objects[-1])) == (Exit.NO, {"confirmed": 2, "waiting": 1}), said
        units[2].moves(is_true=False)
        assert asked("retry", file, "--device", "P-0")[0] == Exit.USAGE
        code, objects, said = campaign("retry", file)
        assert (code, outcomes(objects[-1]), objects[-1]["round"]) == (Exit.YES, {"confirmed": 3}, 2), said
        assert [each["device"] for each in objects if each["event"] == "device_begun"] == ["P-2"]
        assert all(updated_once(unit) for unit in units)
        kinds = [json.loads(line) for line in CampaignFiles.of(file).record.read_text().splitlines()]
        assert [each["kind"] for each in kinds if each["kind"] != "closed"] == [
            "campaign begun",
            "wave approved",
            "pause asked for",
            "campaign resumed",
            "campaign ended",
            "campaign begun again",
            "campaign ended",
        ]
        assert {"wave": 2, "who": approved["who"]}.items() <= kinds[2]["body"].items()


def test_aborted_while_nobody_carries_it_out(tmp_path: Path, pump: Workshop):
    with tray(pump, tmp_path, 2) as units:
        file = write_campaign(tmp_path, pump, units, concurrency=1)
        killed = [sys.executable, "-m", "tests.campaign.killed", "in the upload", "run", str(file)]
        assert subprocess.run(killed, capture_output=True, check=False).returncode == -signal.SIGKILL
        code, objects = asked("abort", file)
        assert (code, objects[-1]["state"], outcomes(objects[-1])) == (Exit.NO, "aborted", {"confirmed": 1})
        assert asked("status", file)[1][-1]["state"] == "aborted"
        check_records(file, units)


def test_a_disk_that_is_full_is_one_line_and_the_campaign_can_be_resumed(tmp_path: Path):
    alone = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody mount in a namespace of their own")
    command = [*alone, sys.executable, "-m", "tests.campaign.filled", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["said"] == (
        f"{tmp_path}/full.campaign/campaign.sqlite: database or disk is full "
        "(expected a campaign's database, and room on its disk)"
    )
    assert (told["state"], told["confirmed"]) == ("interrupted", 150)
    assert told["before"] < 150, "it was full before all had ended"
    assert told["again"] <= 150 + 4, "those under way alone were begun again"


def test_two_campaigns_race_for_one_device_and_it_is_updated_once(tmp_path: Path, pump: Workshop):
    """Neither knows of the other: the device's session is the arbiter, and who comes second finds the release."""
    retry = "[retry.busy]\nattempts = 60\nwait_s = 1\nfactor = 1\n"
    with tray(pump, tmp_path, 1) as units:
        files = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            files.append(write_campaign(tmp_path / name, pump, units, retry))
        with started(files[0]) as first, started(files[1]) as second:
            told = [each.communicate(timeout=240)[0].splitlines() for each in (first, second)]
        assert [first.returncode, second.returncode] == [Exit.YES, Exit.YES]
        assert all(outcomes(json.loads(lines[-1])) == {"confirmed": 1} for lines in told)
        assert updated_once(units[0])
        assert len(units[0].events("upload-done")) == 1


def test_over_modelled_radios_that_are_shared_by_a_campaign(tmp_path: Path, pump: Workshop):
    """Two adapters with a device each; the devices wait once, so that each adapter is opened again."""
    retry = "[retry.waiting]\nattempts = 4\nwait_s = 1\nfactor = 1\n"
    with tray(pump, tmp_path, 2, moving=[0, 1], radio=True) as units:
        file = write_campaign(tmp_path, pump, units, retry, concurrency=2)
        with started(file) as running:
            assert wait_for(running, "device_ended")["outcome"] == "waiting"
            for unit in units:
                unit.moves(is_true=False)
            out, said = running.communicate(timeout=240)
        assert (running.returncode, outcomes(json.loads(out.splitlines()[-1]))) == (Exit.YES, {"confirmed": 2}), said
        assert all(updated_once(unit) for unit in units)


def test_a_line_scans_labels(tmp_path: Path, pump: Workshop):
    """Two of three are scanned, and a label that is not of this campaign; the third one another day."""
    with tray(pump, tmp_path, 3) as units:
        file = write_campaign(tmp_path, pump, units)
        scans = [*command("run", file, "--json"), "--scan-label"]
        ran = subprocess.run(scans, input="P-2\nP-9\nP-0\n", capture_output=True, text=True, check=False)
        told = [json.loads(line) for line in ran.stdout.splitlines()]
        assert (ran.returncode, told[-1]["state"], outcomes(told[-1])) == (Exit.UNKNOWN, "paused", {"confirmed": 2})
        labels = [(each["label"], each["device"]) for each in told if each["event"] == "label_scanned"]
        assert labels == [("P-2", "P-2"), ("P-9", None), ("P-0", "P-0")]
        assert not units[1].events("entered")
        again = [*command("resume", file, "--json"), "--scan-label"]
        with subprocess.Popen(again, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdin is not None
            running.stdin.write("P-1\n")
            running.stdin.flush()  # and nobody closes it: the campaign ends with its last device
            assert running.wait(120) == Exit.YES
        assert all(updated_once(unit) for unit in units)


def test_no_secret_is_in_the_list_of_processes(tmp_path: Path, pump: Workshop):
    secret = (pump.policy_file.parent / SECRET_FILES[0]).read_text().strip()
    with tray(pump, tmp_path, 1) as units:
        look = "sh -c 'cat /proc/[0-9]*/cmdline /proc/$PPID/environ > seen.bin 2> /dev/null; true'"
        file = write_campaign(tmp_path, pump, units, health=look)
        ran = subprocess.run(command("run", file), cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ran.returncode == Exit.YES, ran.stderr
        seen = (tmp_path / "seen.bin").read_bytes()
        assert b"campaign" in seen
        assert secret.encode() not in seen
        assert secret not in ran.stdout + ran.stderr
        no_secret_in(CampaignFiles.of(file).directory, pump)


def test_on_postgresql_a_campaign_survives_a_kill_and_a_server_that_restarts(tmp_path: Path, pump: Workshop):
    """The server is away while nobody carries the campaign out, and once while somebody does."""
    with server() as postgresql, tray(pump, tmp_path, 3) as units:
        store = ("--database", postgresql.url("pumps"))
        file = write_campaign(tmp_path, pump, units, "[waves]\ncounts = [1]\n", concurrency=1)
        killed = [sys.executable, "-m", "tests.campaign.killed", "at enter", "run", str(file), *store]
        ran = subprocess.run(killed, capture_output=True, check=False)
        assert ran.returncode == -signal.SIGKILL, ran.stderr.decode()
        assert asked("status", file, *store)[1][-1]["state"] == "interrupted"
        postgresql.stop()
        assert asked("status", file, *store)[0] == Exit.USAGE
        postgresql.start()
        for unit in units:
            unit.time_passes(IDLE_MS)
        with subprocess.Popen(command("resume", file, "--json", *store), stdout=subprocess.PIPE, text=True) as running:
            wait_for(running, "device_begun")
            postgresql.stop()
            postgresql.start()
            out, _ = running.communicate(timeout=200)
        last = json.loads(out.splitlines()[-1])
        assert (running.returncode, outcomes(last)) == (Exit.YES, {"confirmed": 3})
        assert all(updated_once(unit) for unit in units)
        check_records(file, units)
        assert not CampaignFiles.of(file).database.exists()


def test_a_file_that_was_changed_is_not_mixed_in(tmp_path: Path, pump: Workshop):
    with tray(pump, tmp_path, 1) as units:
        file = write_campaign(tmp_path, pump, units)
        assert campaign("run", file)[0] == Exit.YES
        file.write_text(file.read_text() + "\n")
        code, _, said = campaign("resume", file)
        assert (code, "was changed after it began" in said, said.count("\n")) == (Exit.USAGE, True, 1)
