import hashlib
import json
from pathlib import Path

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.cli.main import main
from keyswitch.exits import Exit

OLD = make_image()


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        main(list(arguments))
    assert isinstance(raised.value.code, int)
    return raised.value.code


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


def test_for_people_it_is_two_lines(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD)) as served:
        ended("status", served.target)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("gate: shut (wrong mode: normal); put the device into maintenance mode")
    assert second == "mode: normal"


PUMP = Path("examples/pump/policy.toml")


def test_the_policy_says_what_leads_in(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD, policy=hashlib.sha256(PUMP.read_bytes()).digest()[:8])) as served:
        ended("status", served.target, "--policy", str(PUMP))
    told = capsys.readouterr().out
    assert "hold the button for 5 s, once motion == false" in told
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
    assert "another device: the device has the policy 616e6f7468657221, not that of 'Pump 7'" in people
    told = json.loads(capsys.readouterr().out)
    assert told["gate"] == ("shut" if mode == "normal" else "open")
    assert told["next_step"] == "check target and --policy: they name two devices"
    assert "616e6f7468657221" in told["other_device"]


def test_a_device_that_breaks_the_protocol_is_unknown(capsys: pytest.CaptureFixture[str]):
    with UdpPeerThread(lambda: SmpPeer(OLD)) as served:
        served.peer.veto = lambda _op, group, _command, _body: {"mode": 5} if group == 19283 else None
        assert ended("status", served.target, "--json") == Exit.UNKNOWN
    assert json.loads(capsys.readouterr().out)["gate"] == "unknown"


@pytest.mark.parametrize("target", ["pump", "udp:", "ble:"])
def test_no_target_is_bad_usage(capsys: pytest.CaptureFixture[str], target: str):
    assert ended("status", target) == Exit.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_nobody_there_is_unreachable(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "keyswitch.host.reach.PacketReach.connect.__kwdefaults__",
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
