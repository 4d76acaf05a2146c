import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.ended import ended
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.errors import SilenceError
from keyswitch.exits import Exit
from keyswitch.policy.load import read_policy

OLD, NEW = make_image(), make_image("1.1.0")


@pytest.mark.parametrize(
    ("mode", "code", "gate", "reason", "image_group"),
    [
        ("normal", Exit.NO, "shut", "wrong mode", None),
        ("maintenance", Exit.YES, "open", None, True),
    ],
)
def test_the_verdict_as_json_and_exit_code(
    capsys: pytest.CaptureFixture[str], mode: str, code: Exit, gate: str, reason: str | None, *, image_group: object
):
    with UdpPeerThread(lambda: SmpPeer(OLD)) as served:
        served.peer.mode = mode
        assert ended("status", served.target, "--json") == code
    told = json.loads(capsys.readouterr().out)
    assert {key: told[key] for key in ("gate", "reason", "mode", "image_group")} == {
        "gate": gate,
        "reason": reason,
        "mode": mode,
        "image_group": image_group,
    }
    assert (told["next_step"] is None) == (gate == "open")


def test_for_people_it_is_what_is_what_to_do_and_what_runs(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD)) as served:
        ended("status", served.target)
        assert capsys.readouterr().out.splitlines() == [
            "gate: shut (wrong mode: normal)",
            "next: put the device into maintenance mode, or let the update enter it (--policy or --recipe)",
            "mode: normal",
            "slots: not told",
        ]
        served.peer.mode = "maintenance"
        served.peer.slots[1].data = NEW.data
        ended("status", served.target)
        assert capsys.readouterr().out.splitlines() == [
            "gate: open",
            "mode: maintenance",
            f"slot 0: 1.0.0 {OLD.hash.hex()[:16]} (active, confirmed)",
            f"slot 1: 1.1.0 {NEW.hash.hex()[:16]}",
        ]


def test_the_slots_as_json(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD)) as served:
        ended("status", served.target, "--json")
        assert json.loads(capsys.readouterr().out)["slots"] is None
        served.peer.mode = "maintenance"
        ended("status", served.target, "--json")
    (slot,) = json.loads(capsys.readouterr().out)["slots"]
    assert (slot["slot"], slot["version"], slot["hash"], slot["active"]) == (0, "1.0.0", OLD.hash.hex(), True)


class Lists(SmpPeer):
    """Lists its slots in every mode, as the example pump does."""

    def judge(self, key: tuple[int, int, int], body: dict[str, Any], door: str, peer: int) -> dict[str, Any] | None:
        return self.do_1_0_0(body, peer) if key == (1, 0, 0) else super().judge(key, body, door, peer)


def test_a_shut_device_that_lists_its_slots_shows_what_runs(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: Lists(OLD)) as served:
        assert ended("status", served.target) == Exit.NO
    assert f"slot 0: 1.0.0 {OLD.hash.hex()[:16]} (active, confirmed)" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("guard", "words", "told"),
    [
        ("motion == false, is true", "motion must be false, it is true", ["motion", "==", "false", "true"]),
        ("#0 == 0, is 1", "motion must be false, it is true", ["motion", "==", "false", "true"]),
        ("#1 >= 30, is 1", "battery_percent must be at least 30, it is 1", ["battery_percent", ">=", "30", "1"]),
        ("#9 == 0", "input #9 of the policy must be 0", ["#9", "==", "0", None]),
        ("the door", "the door", None),
    ],
)
def test_a_guard_is_said_in_words(
    capsys: pytest.CaptureFixture[str], guard: str, words: str, told: list[str | None] | None
):
    with UdpPeerThread(lambda: SmpPeer(OLD, policy=read_policy(PUMP).digest[:8])) as served:
        served.peer.guard = guard
        ended("status", served.target, "--policy", str(PUMP))
        assert capsys.readouterr().out.splitlines()[0] == f"gate: shut (guard: {words})"
        ended("status", served.target, "--policy", str(PUMP), "--json")
    found = json.loads(capsys.readouterr().out)["guard"]
    assert (found and [found[key] for key in ("input", "compare", "value", "now")]) == told


PUMP = Path("examples/pump/policy.toml")


def test_the_policy_says_what_leads_in(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD, policy=read_policy(PUMP).digest[:8])) as served:
        ended("status", served.target, "--policy", str(PUMP))
    told = capsys.readouterr().out
    assert "hold the button for 5 s while motion is false" in told
    assert "--policy" not in told
    assert "another device" not in told


@pytest.mark.parametrize("mode", ["normal", "maintenance"])
def test_a_device_with_another_policy_is_not_taken_for_the_one_that_is_meant(
    capsys: pytest.CaptureFixture[str], mode: str
):
    with UdpPeerThread(lambda: SmpPeer(OLD, policy=b"another!")) as served:
        served.peer.mode = mode
        assert ended("status", served.target, "--policy", str(PUMP)) == Exit.NO
        people = capsys.readouterr().out
        assert ended("status", served.target, "--policy", str(PUMP), "--json") == Exit.NO
    assert "another device: another policy than that of 'Pump 7': the device has the policy 616e6f7468657221" in people
    told = json.loads(capsys.readouterr().out)
    assert told["gate"] == ("shut" if mode == "normal" else "open")
    assert told["next_step"] == "check target and --policy: they name two devices, or two revisions of one policy"
    assert "616e6f7468657221" in told["other_device"]
    assert told["other_revision"] is None


def test_another_revision_of_the_policy_is_the_same_device(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD, policy=b"another!", device="Pump 7")) as served:
        assert ended("status", served.target, "--policy", str(PUMP)) == Exit.NO
        lines = capsys.readouterr().out.splitlines()
        assert ended("status", served.target, "--policy", str(PUMP), "--json") == Exit.NO
    assert lines[1].startswith(
        "another revision: 'Pump 7' answers, with another revision of its policy: the device has"
    )
    assert lines[2] == "next: give the revision of the policy that the device has (--policy)"
    told = json.loads(capsys.readouterr().out)
    assert told["other_device"] is None
    assert "another revision" in told["other_revision"]


def test_a_device_that_calls_itself_another_one_is_another_one(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD, policy=b"another!", device="Pump 8")) as served:
        assert ended("status", served.target, "--policy", str(PUMP), "--json") == Exit.NO
    told = json.loads(capsys.readouterr().out)
    assert told["other_device"].startswith("'Pump 8' answers, not 'Pump 7'")
    assert told["next_step"] == "check target and --policy: they name two devices"


def test_a_device_that_breaks_the_protocol_is_unknown(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD)) as served:
        served.peer.veto = lambda _op, group, _command, _body: {"mode": 5} if group == 19283 else None
        assert ended("status", served.target, "--json") == Exit.UNKNOWN
    assert json.loads(capsys.readouterr().out)["gate"] == "unknown"


@pytest.mark.parametrize("target", ["pump", "udp:", "ble:"])
def test_no_target_is_bad_usage(capsys: pytest.CaptureFixture[str], target: str):
    assert ended("status", target) == Exit.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_device_that_falls_silent_is_unreachable_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    async def falls_silent(*_arguments: object) -> None:
        raise SilenceError("no answer to image.state within 2500 ms")

    monkeypatch.setattr("keyswitch.app.status.look", falls_silent)
    assert ended("status", "udp:127.0.0.1:9", "--json") == Exit.UNREACHABLE
    told = json.loads(capsys.readouterr().out)
    assert (told["gate"], told["detail"]) == ("unknown", "no answer to image.state within 2500 ms")


def test_nobody_there_is_unreachable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "keyswitch.host.connect.packet_endpoint.PacketEndpoint.connect.__kwdefaults__",
        {"timeout_ms": 300, "smp_shown": False, "ours": False},
    )
    with UdpPeerThread(lambda: SmpPeer(OLD)) as served:
        served.peer.silent = True
        assert ended("status", served.target) == Exit.UNREACHABLE
        assert "nobody answered within 300 ms" in capsys.readouterr().err
        assert ended("status", served.target, "--json") == Exit.UNREACHABLE
    told = json.loads(capsys.readouterr().out)
    assert (told["gate"], told["reason"], told["other_device"]) == ("unknown", None, None)
    assert "nobody answered within 300 ms" in told["detail"]


def test_a_device_that_tells_the_bytes_of_this_very_file_has_the_same_policy(capsys: pytest.CaptureFixture[str]):
    """As programs do of before policies were told by their rules."""
    with UdpPeerThread(lambda: SmpPeer(OLD, policy=read_policy(PUMP).file_digest[:8], device="Pump 7")) as served:
        assert ended("status", served.target, "--policy", str(PUMP)) == Exit.NO
        lines = capsys.readouterr().out.splitlines()
        ended("status", served.target, "--policy", str(PUMP), "--json")
    told = json.loads(capsys.readouterr().out)
    assert lines[1] == "policy: same policy, older form: the device tells it by the bytes of this file"
    assert (told["policy_form"], told["other_device"], told["other_revision"]) == (0, None, None)


def test_the_same_rules_in_another_file_are_the_same_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    mine = tmp_path / "pump.toml"
    mine.write_bytes(b"# mine\r\n" + PUMP.read_bytes().replace(b"\n", b"\r\n"))
    with UdpPeerThread(lambda: SmpPeer(OLD, policy=read_policy(PUMP).digest[:8], device="Pump 7")) as served:
        ended("status", served.target, "--policy", str(mine), "--json")
    told = json.loads(capsys.readouterr().out)
    assert (told["policy_form"], told["other_device"], told["other_revision"]) == (1, None, None)


def test_another_unit_with_the_same_policy_is_another_device(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD, policy=read_policy(PUMP).digest[:8], device="Pump 8")) as served:
        assert ended("status", served.target, "--policy", str(PUMP), "--json") == Exit.NO
    told = json.loads(capsys.readouterr().out)
    assert told["other_device"] == "'Pump 8' answers, not 'Pump 7': another unit with the same policy"
    assert told["next_step"] == "check target and unit (--inventory, --unit): they name two devices of one product"
