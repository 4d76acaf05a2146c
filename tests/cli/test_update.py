import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from tests.cli.ended import ended
from tests.host.images import Made, make_image
from tests.host.smp_peer import PeerAir, SmpPeer
from tests.host.udp_peer import UdpPeerThread
from tests.policy.samples import pump, pump_with

from keyswitch.cli.update import update as update_command
from keyswitch.errors import SilenceError
from keyswitch.exits import Exit
from keyswitch.host.access.policy_profile import why_reverted
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.endpoint import Connection
from keyswitch.host.update.context import UpdateContext
from keyswitch.host.update.job import ConfirmBy
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.policy.load import read_policy

OLD, NEW = make_image("1.0.0"), make_image("1.1.0")


@pytest.fixture
def served(policy: Path) -> Iterator[UdpPeerThread]:
    obeyed = read_policy(policy).digest[:8]
    with UdpPeerThread(lambda: SmpPeer(OLD, reset_ms=20, boot_ms=20, policy=obeyed, device="Pump 7")) as thread:
        yield thread


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return written(tmp_path, NEW)


def written(directory: Path, made: Made) -> Path:
    path = directory / f"{made.version}.bin"
    path.write_bytes(made.data)
    return path


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """The example without a key for images: the tests' images are not signed."""
    text = Path("examples/pump/policy.toml").read_text(encoding="utf-8")
    path = tmp_path / "policy.toml"
    path.write_text("\n".join(line for line in text.splitlines() if not line.startswith("key = ")), encoding="utf-8")
    secret = tmp_path / "keys" / "pump7.hmac"
    secret.parent.mkdir()
    secret.write_text((b"s" * 32).hex(), encoding="ascii")
    secret.chmod(0o600)
    return path


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_whole_update_in_one_command(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path
):
    assert ended("update", served.target, str(new), "--policy", str(policy), "--json") == Exit.YES
    told = lines(capsys)
    last = told[-1]
    assert (last["event"], last["outcome"], last["resumed"]) == ("result", "confirmed", 0)
    assert last["duration_ms"] > 0
    assert last["upload_bytes_per_second"] > 0
    assert [slot["version"] for slot in last["after"] if slot["active"] and slot["confirmed"]] == ["1.1.0"]
    assert served.peer.running()[0] == "1.1.0"
    assert served.peer.mode == "normal"
    assert {line["event"] for line in told} == {"step_begun", "step_done", "verdict", "progress", "result"}
    again = ended("update", served.target, str(new), "--policy", str(policy), "--json")
    assert again == Exit.YES
    assert lines(capsys)[-1]["outcome"] == "already running"


def test_for_people(capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path):
    assert ended("update", served.target, str(new), "--policy", str(policy)) == Exit.YES
    said = capsys.readouterr().out
    assert "prove the running hash" in said
    assert "100 % of 16,384 bytes" in said
    assert "\nconfirmed\n" in said
    assert "slot 0: 1.1.0" in said


@pytest.mark.parametrize(
    ("options", "outcome", "code"),
    [
        (["--only", "upload"], "staged", Exit.YES),
        (["--only", "test"], "on trial", Exit.YES),
        (["--health", "false"], "failed", Exit.NO),
        (["--health", "true"], "confirmed", Exit.YES),
        (["--health", "no-such-command"], "failed", Exit.NO),
        (["--window", "1"], "confirmed", Exit.YES),
    ],
)
def test_options(
    capsys: pytest.CaptureFixture[str],
    served: UdpPeerThread,
    new: Path,
    policy: Path,
    options: list[str],
    outcome: str,
    code: Exit,
):
    assert ended("update", served.target, str(new), "--policy", str(policy), "--quiet", *options) == code
    assert capsys.readouterr().out.splitlines()[0].startswith(outcome)


def test_a_device_that_was_left_in_maintenance_is_led_out(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, policy: Path
):
    served.peer.mode = "maintenance"
    assert ended("update", served.target, "--policy", str(policy), "--only", "leave", "--json") == Exit.YES
    told = lines(capsys)
    assert (told[-1]["outcome"], told[-1]["detail"]) == ("left maintenance", "")
    assert [each["step"] for each in told if each["event"] == "step_done"][-2:] == ["leave", "prove it has left"]
    assert served.peer.mode == "normal"
    assert ended("update", served.target, "--policy", str(policy), "--only", "leave", "--json") == Exit.YES
    assert lines(capsys)[-1]["detail"] == "it was outside already"


@pytest.mark.parametrize("option", [["new"], ["--stay"]])
def test_leaving_installs_nothing_and_does_not_stay(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path, option: list[str]
):
    given = [str(new) if each == "new" else each for each in option]
    assert ended("update", served.target, *given, "--policy", str(policy), "--only", "leave") == Exit.USAGE
    assert "means nothing with --only leave" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("Pump 7", "'Pump 7' answers, not 'Pump 8': another unit with the same policy"),
        ("", "the device obeys the policy, and does not tell whether it is 'Pump 8'"),
    ],
)
def test_the_policy_of_another_unit(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path, answers: str, words: str
):
    """The same rules say nothing of which unit it is that is in maintenance."""
    served.peer.mode, served.peer.device = "maintenance", answers
    policy.write_text(policy.read_text(encoding="utf-8").replace('"Pump 7"', '"Pump 8"'), encoding="utf-8")
    assert ended("update", served.target, str(new), "--policy", str(policy), "--quiet") == Exit.NO
    assert words in capsys.readouterr().out
    assert served.peer.received_image_bytes == 0
    assert served.peer.mode == "maintenance"


def test_without_a_policy_a_shut_gate_is_refused(capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path):
    assert ended("update", served.target, str(new), "--quiet") == Exit.NO
    assert capsys.readouterr().out.startswith("refused: no way to enter was given")


def spoil_files(kind: str, new: Path, policy: Path) -> None:
    match kind:
        case "changed image":
            new.write_bytes(NEW.data[:100] + b"?" + NEW.data[101:])
        case "no such image":
            new.unlink()
        case "no such policy":
            policy.unlink()
        case "no secret":
            shutil.rmtree(policy.parent / "keys")
        case "open secret":
            (policy.parent / "keys" / "pump7.hmac").chmod(0o644)
        case _:
            policy.with_name("key.pem").write_bytes(PUBLIC_KEY)


def arguments(kind: str, new: Path, policy: Path) -> list[str]:
    image, rules = str(new), ["--policy", str(policy)]
    more = {
        "no image": rules,
        "secret without policy": [image, "--secret", str(policy)],
        "unknown mode": [image, *rules, "--to", "service"],
        "no key": [image, *rules, "--key", str(policy)],
        "unsigned": [image, *rules, "--key", str(policy.with_name("key.pem"))],
        "health of no shell": [image, *rules, "--health", '"'],
        "image that cannot be read": ["/proc/self/mem", *rules],
        "image that is a device": ["/dev/zero", *rules],
        "empty health": [image, *rules, "--health", " "],
    }
    return more.get(kind, [image, *rules])


PUBLIC_KEY = b"""-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
"""
"""RFC 8032 7.1, test 1."""

SPOILS = [
    *("no image", "no such image", "changed image", "no such policy", "no secret", "open secret", "unknown mode"),
    *("secret without policy", "no key", "unsigned", "empty health"),
]


@pytest.mark.parametrize("kind", SPOILS)
def test_bad_input_is_one_line_before_anything_is_opened(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path, kind: str
):
    spoil_files(kind, new, policy)
    assert ended("update", served.target, *arguments(kind, new, policy)) == Exit.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert served.peer.served == 0


def test_a_plan_is_printed_and_nothing_is_done(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path
):
    assert ended("update", served.target, str(new), "--policy", str(policy), "--dry-run", "--json") == Exit.YES
    (told,) = lines(capsys)
    assert (told["event"], told["image_bytes"]) == ("plan", 16_384)
    assert ended("update", served.target, str(new), "--policy", str(policy), "--dry-run") == Exit.YES
    said = capsys.readouterr().out
    assert "  6. upload " in said
    assert "16,384 bytes in 12 requests; about " in said
    assert "bytes/s (buffers); with a usual part's flash " in said
    assert "bytes/s (flash)" in said
    assert served.peer.mode == "normal"
    assert served.peer.slots[1].data == b""


def test_a_plan_that_would_be_refused_says_so(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path
):
    served.peer.policy, served.peer.device = b"another!", ""
    assert ended("update", served.target, str(new), "--policy", str(policy), "--dry-run", "--json") == Exit.NO
    (told,) = lines(capsys)
    assert told["refused"].startswith(
        "another policy than that of 'Pump 7': the device has the policy 616e6f7468657221"
    )
    assert told["next_step"].startswith("check target and --policy")
    assert ended("update", served.target, str(new), "--dry-run") == Exit.NO
    assert "it would be refused: no way to enter was given, and the gate is shut" in capsys.readouterr().out
    guard = {"mode": "normal", "gate": False, "boot_id": bytes(8), "reason": "guard: motion == false"}
    served.peer.veto = lambda _op, group, command, _body: guard if (group, command) == (19283, 0) else None
    assert ended("update", served.target, str(new), "--recipe", "button", "--dry-run") == Exit.NO
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "it would be refused: the gate is shut (guard: motion must be false)",
        "next: make it so, then run the same command again",
    ]
    served.peer.veto = None
    served.peer.mode = "maintenance"
    assert ended("update", served.target, str(new), "--dry-run", "--json") == Exit.YES
    assert lines(capsys)[0]["refused"] is None


def test_a_plan_of_a_device_that_is_not_reached_is_one_object(
    capsys: pytest.CaptureFixture[str], new: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
):
    class Away(BleEndpoint):
        async def connect(self, *, timeout_ms: int = 10, smp_shown: bool = False, ours: bool = False) -> Connection:
            return await super().connect(timeout_ms=min(timeout_ms, 10), smp_shown=smp_shown, ours=ours)

    endpoint = Away(PeerAir(), target="ble:Pump 7", name="Pump 7")
    monkeypatch.setattr("keyswitch.app.update.open_endpoint", lambda *_arguments, **_options: endpoint)
    assert ended("update", "ble:Pump 7", str(new), "--policy", str(policy), "--dry-run", "--json") == Exit.UNREACHABLE
    said = capsys.readouterr()
    (told,) = [json.loads(line) for line in said.out.splitlines()]
    assert (told["event"], told["unreachable"]) == (
        "plan",
        "ble:Pump 7 was not heard within 10 ms; nothing was heard at all",
    )
    assert (told["slots_checked"], told["image_bytes"]) == (False, 16_384)
    assert len(said.err.splitlines()) == 1


def test_a_plan_of_a_device_that_falls_silent_is_one_object_too(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, monkeypatch: pytest.MonkeyPatch
):
    async def falls_silent(*_arguments: object, **_options: object) -> None:
        raise SilenceError("no answer to os.params within 2500 ms")

    monkeypatch.setattr("keyswitch.app.plan.survey", falls_silent)
    assert ended("update", served.target, str(new), "--dry-run", "--json") == Exit.UNREACHABLE
    said = capsys.readouterr()
    (told,) = [json.loads(line) for line in said.out.splitlines()]
    assert told["unreachable"] == "no answer to os.params within 2500 ms"
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--recipe", "buton"], "did you mean 'button'?"),
        (["--recipe", "button", "--set", "x"], "NAME=VALUE"),
        (["--recipe", "button", "--set", "x=1"], "no variable 'x'"),
    ],
)
def test_recipes_are_checked_before_anything_is_opened(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, options: list[str], said: str
):
    assert ended("update", served.target, str(new), *options) == Exit.USAGE
    err = capsys.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert served.peer.served == 0


def test_a_recipe_and_a_policy_are_one_too_many(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path
):
    assert ended("update", served.target, str(new), "--recipe", "button", "--policy", str(policy)) == Exit.USAGE
    assert "one of --policy and --recipe" in capsys.readouterr().err


def test_a_policy_under_which_the_update_would_revert_is_told_before_anything_is_sent(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path, tmp_path: Path
):
    renamed = tmp_path / "renamed.toml"
    text = policy.read_text(encoding="utf-8")
    text = text.replace("[modes.maintenance]", "[modes.service]").replace('to = "maintenance"', 'to = "service"')
    renamed.write_text(text, encoding="utf-8")
    given = ("update", served.target, str(new), "--policy", str(policy), "--new-policy", str(renamed))
    assert ended(*given) == Exit.USAGE
    told = capsys.readouterr().err
    assert 'it has no maintenance mode "maintenance": the new firmware would revert this update' in told
    assert str(renamed) in told
    assert ended("update", served.target, str(new), "--new-policy", str(renamed)) == Exit.USAGE
    assert "means nothing without the device's policy" in capsys.readouterr().err


def test_what_a_new_policy_must_have_for_the_update_to_go_on():
    before, mode = pump(), "maintenance"
    assert why_reverted(before, before, mode) is None
    assert why_reverted(before, pump_with((">= 30", ">= 20")), mode) is None
    renamed = pump_with(("[modes.maintenance]", "[modes.service]"), ('to = "maintenance"', 'to = "service"'))
    assert why_reverted(before, renamed, mode) == 'it has no maintenance mode "maintenance"'
    kept = '[modes.maintenance]\nmaintenance = true\nallow = ["mode"]\nlease_s = 9\n[modes.service]'
    unled = pump_with(("[modes.maintenance]", kept), ('to = "maintenance"', 'to = "service"'))
    assert why_reverted(before, unled, mode) == 'no transition of it leads into "maintenance"'
    usual = pump_with(("[modes.normal]", "[modes.maintenance2]\nallow = ['mode']\n[modes.normal]"))
    assert why_reverted(before, usual, "maintenance2") == 'it has no maintenance mode "maintenance2"'


def test_a_result_is_told_and_recorded_where_the_target_names_several_devices(
    capsys: pytest.CaptureFixture[str], new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    peers = [SmpPeer(OLD, address=f"C0:00:00:00:00:0{n}") for n in (1, 2)]
    endpoint = BleEndpoint(PeerAir(*peers), target="ble:Pump 7", name="Pump 7")
    monkeypatch.setattr("keyswitch.app.update.open_endpoint", lambda *_arguments, **_options: endpoint)
    monkeypatch.setattr("keyswitch.host.connect.ble_endpoint.NAMESAKES_MS", 200)
    evidence = tmp_path / "run.jsonl"
    assert ended("update", "ble:Pump 7", str(new), "--json", "--evidence", str(evidence)) == Exit.USAGE
    last = lines(capsys)[-1]
    assert (last["event"], last["outcome"]) == ("result", "refused")
    assert "2 devices have this name" in last["detail"]
    recorded = json.loads(evidence.read_text(encoding="utf-8").splitlines()[-2])["body"]
    assert (recorded["outcome"], recorded["detail"]) == ("refused", last["detail"])


def test_a_result_is_told_and_recorded_where_keyswitch_itself_fails(
    capsys: pytest.CaptureFixture[str],
    served: UdpPeerThread,
    new: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    async def fail(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr("keyswitch.app.update.carry_out", fail)
    evidence = tmp_path / "run.jsonl"
    assert ended("update", served.target, str(new), "--json", "--evidence", str(evidence)) == Exit.FAULT
    said = capsys.readouterr()
    last = json.loads(said.out.splitlines()[-1])
    assert (last["event"], last["outcome"]) == ("result", "failed")
    assert last["detail"] == "a bug in keyswitch: ZeroDivisionError: by chance"
    assert "this is a bug in keyswitch" in said.err
    assert b'"outcome":"failed"' in evidence.read_bytes()


def test_ctrl_c_pressed_again_and_again_ends_a_run_in_order(
    capsys: pytest.CaptureFixture[str],
    served: UdpPeerThread,
    new: Path,
    policy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    command = ["update", served.target, str(new), "--policy", str(policy), "--json"]
    pressed: list[bool] = []
    dropped: list[bool] = []
    drop = UpdateContext.drop

    async def pressed_while_it_closes(context: UpdateContext) -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        await drop(context)
        dropped.append(context.connection is None)

    monkeypatch.setattr(UpdateContext, "drop", pressed_while_it_closes)

    def press(_op: int, group: int, command: int, _body: dict[str, Any]) -> dict[str, Any] | None:
        if (group, command) == (1, 1) and not pressed:
            pressed.append(True)
            os.kill(os.getpid(), signal.SIGINT)
        return None

    served.peer.veto = press
    evidence = tmp_path / "run.jsonl"
    assert ended(*command, "--evidence", str(evidence)) == Exit.INTERRUPTED
    assert lines(capsys)[-1]["outcome"] == "interrupted"
    assert b"the device was left in maintenance mode" in evidence.read_bytes()
    assert dropped == [True]
    monkeypatch.undo()
    assert ended(*command) == Exit.YES


def test_a_run_goes_on_when_nobody_reads_it_any_more(served: UdpPeerThread, new: Path, policy: Path):
    command = [sys.executable, "-m", "keyswitch", "update", served.target, str(new), "--policy", str(policy), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    assert b"step_begun" in process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), said) == (Exit.YES, b"")
    assert served.peer.running()[0] == "1.1.0"
    assert served.peer.mode == "normal"


def test_what_a_health_command_prints_does_not_come_between_the_lines(
    capfd: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path
):
    command = ["update", served.target, str(new), "--policy", str(policy), "--json", "--health", "echo I am well"]
    assert ended(*command) == Exit.YES
    said = capfd.readouterr()
    assert all(json.loads(line) for line in said.out.splitlines())
    assert "I am well" in said.err


def test_the_record_of_somebody_without_an_account(
    served: UdpPeerThread, new: Path, policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", unknown)
    evidence = tmp_path / "run.jsonl"
    command = ["update", served.target, str(new), "--policy", str(policy), "--quiet", "--evidence", str(evidence)]
    assert ended(*command) == Exit.YES
    assert f'"who":"uid {os.getuid()}@'.encode() in evidence.read_bytes()


def test_a_device_of_before_is_updated_by_the_very_file_that_it_has(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path
):
    served.peer.policy = read_policy(policy).file_digest[:8]
    assert ended("update", served.target, str(new), "--policy", str(policy)) == Exit.YES
    assert capsys.readouterr().out.count("same policy, older form") == 1


INVENTORY = "id,serial,secret\nP-1,SN 1,keys/p-1.hmac\nP-2,SN 2,keys/pump7.hmac\n"


@pytest.mark.parametrize(
    ("unit", "code", "words"),
    [
        (("--unit", "P-2"), Exit.YES, "confirmed"),
        (("--unit", "P-2", "--serial-number", "SN 2"), Exit.YES, "confirmed"),
        (("--unit", "P-2", "--serial-number", "SN 9"), Exit.USAGE, "'SN 9', and unit P-2 of the inventory has 'SN 2'"),
        (("--unit", "P-3"), Exit.USAGE, "has no unit 'P-3'"),
        ((), Exit.USAGE, "2 units"),
    ],
)
def test_one_policy_serves_every_unit_of_the_inventory(
    capsys: pytest.CaptureFixture[str],
    served: UdpPeerThread,
    new: Path,
    policy: Path,
    unit: tuple[str, ...],
    code: Exit,
    words: str,
):
    inventory, evidence = policy.parent / "units.csv", policy.parent / "run.jsonl"
    inventory.write_text(INVENTORY, encoding="utf-8")
    served.peer.device = served.peer.name = "P-2"
    command = ("update", served.target, str(new), "--policy", str(policy), "--inventory", str(inventory), *unit)
    assert ended(*command, "--evidence", str(evidence), "--quiet") == code
    told = capsys.readouterr()
    assert words in told.out + told.err
    if code == Exit.YES:
        begun = json.loads(evidence.read_bytes().splitlines()[0])["body"]
        assert (begun["unit"], begun["device_id"], begun["serial_number"]) == ("P-2", "P-2", "SN 2")


def test_another_unit_than_the_one_of_the_inventory_is_refused(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path
):
    unit = policy.parent / "unit.toml"
    unit.write_text('[unit]\nid = "P-1"\n', encoding="utf-8")
    served.peer.device = "P-2"
    command = ("update", served.target, str(new), "--policy", str(policy), "--inventory", str(unit), "--quiet")
    assert ended(*command) == Exit.NO
    assert "'P-2' answers, not 'P-1': another unit with the same policy" in capsys.readouterr().out
    assert ended("status", served.target, "--policy", str(policy), "--inventory", str(unit)) == Exit.NO
    assert "another device: 'P-2' answers, not 'P-1'" in capsys.readouterr().out
    assert ended("status", served.target, "--policy", str(policy), "--unit", "P-2") == Exit.USAGE
    assert "--unit: means nothing without an inventory" in capsys.readouterr().err
    assert ended("status", served.target, "--inventory", str(unit)) == Exit.USAGE
    assert "--inventory: means nothing without a policy" in capsys.readouterr().err
    assert served.peer.received_image_bytes == 0


def test_a_refusal_says_what_somebody_at_the_device_can_do(
    capsys: pytest.CaptureFixture[str], served: UdpPeerThread, new: Path, policy: Path
):
    (policy.parent / "keys" / "pump7.hmac").write_text("00" * 32, encoding="ascii")
    evidence = policy.parent / "run.jsonl"
    command = ("update", served.target, str(new), "--policy", str(policy), "--evidence", str(evidence), "--json")
    assert ended(*command) == Exit.NO
    told = lines(capsys)[-1]
    assert told["reason"] == "proof"
    assert told["next_step"].endswith("; or by hand: hold the button for 5 s while motion is false")
    served.peer.mode = "normal"
    assert ended(*command[:3]) == Exit.NO
    assert "by hand" not in capsys.readouterr().out  # nobody has said which policy it obeys


@pytest.mark.parametrize(("name", "words"), [("hash", VerifiedHash), ("confirm_by", ConfirmBy)])
def test_the_words_of_an_option_are_all_that_there_are(name: str, words: type[StrEnum]):
    """They stand in the command as well: its help imports nothing of what it runs."""
    (option,) = (each for each in update_command.params if each.name == name)
    assert list(option.type.choices) == [each.value for each in words]
