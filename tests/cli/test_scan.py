import json
from dataclasses import replace

import pytest
from tests.cli.ended import ended
from tests.host.images import make_image
from tests.host.smp_peer import PeerAir, SmpPeer

from keyswitch.exits import Exit


@pytest.fixture
def air(monkeypatch: pytest.MonkeyPatch) -> PeerAir:
    """A radio of our own stands where the target's would be opened."""
    air = PeerAir(SmpPeer(make_image()), SmpPeer(make_image(), address="C0:00:00:00:00:02", name="Pump 8"))
    air.peers[1].mode = "maintenance"
    monkeypatch.setattr("keyswitch.app.scan.open_adapter", lambda _target: air)
    return air


@pytest.mark.usefixtures("air")
def test_as_json(capsys: pytest.CaptureFixture[str]):
    assert ended("scan", "--seconds", "0.3", "--policy", "examples/pump/policy.toml", "--json") == Exit.YES
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first == {
        "schema_version": 2,
        "address": "C0:00:00:00:00:01",
        "name": "Pump 7",
        "shows": "mode service",
        "mode_index": 0,
        "mode_if_policy": "normal",
        "token": "01020304",
        "rssi_dbm": None,
    }
    told = (second["name"], second["shows"], second["mode_index"], second["mode_if_policy"])
    assert told == ("Pump 8", "update service", 3, None), "no advertisement says that this is the policy's device"


@pytest.mark.usefixtures("air")
def test_for_people(capsys: pytest.CaptureFixture[str]):
    assert ended("scan", "--seconds", "0.3") == Exit.YES
    assert capsys.readouterr().out.splitlines() == [
        "C0:00:00:00:00:01  Pump 7               mode service   mode 0",
        "C0:00:00:00:00:02  Pump 8               update service mode 3",
        "next: ask one of them whether it would take an update: keyswitch status",
    ]
    assert ended("scan", "--seconds", "0.3", "--policy", "examples/pump/policy.toml") == Exit.YES
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.endswith("mode service   mode 0 (normal, if it obeys --policy)")
    assert second.endswith("mode 3")


def test_a_shut_gate_that_shows_its_service_is_not_called_open(air: PeerAir, capsys: pytest.CaptureFixture[str]):
    air.peers[0].service = "always"
    assert not air.peers[0].open
    ended("scan", "--seconds", "0.3")
    assert "open" not in capsys.readouterr().out
    ended("scan", "--seconds", "0.3", "--json")
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["shows"], "gate" in first) == ("update service", False)


def test_nothing_near(air: PeerAir, capsys: pytest.CaptureFixture[str]):
    air.peers = ()
    assert ended("scan", "--seconds", "0.2") == Exit.NO
    assert capsys.readouterr().out == "nothing was heard\n"


def test_devices_that_show_no_service_are_counted_and_listed_by_all(air: PeerAir, capsys: pytest.CaptureFixture[str]):
    sighting = air.sighting
    air.sighting = lambda peer: replace(sighting(peer), services=frozenset())
    assert ended("scan", "--seconds", "0.2") == Exit.NO
    assert capsys.readouterr().out == "2 devices that show no update service: --all lists them\n"
    assert ended("scan", "--seconds", "0.2", "--all") == Exit.YES
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.split() == ["C0:00:00:00:00:01", "Pump", "7", "neither", "mode", "0"]
    air.sighting = lambda peer: replace(
        sighting(peer), services=sighting(peer).services if peer.name == "Pump 7" else frozenset()
    )
    assert ended("scan", "--seconds", "0.2") == Exit.YES
    assert "and 1 device that shows no update service: --all lists it" in capsys.readouterr().out


@pytest.mark.parametrize("radio", ["udp:192.0.2.1", "pump", "hci:"])
def test_no_radio(radio: str, capsys: pytest.CaptureFixture[str]):
    assert ended("scan", radio) == Exit.USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1
