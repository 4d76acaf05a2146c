"""What the recorder keeps and reports of a running device, over resets, floods and its end."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.device.server_rig import Rig, image_hash, make_image, packet

from keyswitch.cli.main import main
from keyswitch.device.events import ClockSet, by
from keyswitch.device.runtime.event_limits import STRANGERS
from keyswitch.device.runtime.event_recorder import EventRecorder
from keyswitch.device.runtime.presenter import boot_event
from keyswitch.device.storage.event_log import read_log
from keyswitch.evidence.chain import CLOSING, State
from keyswitch.exits import Exit
from keyswitch.gate.peer import Peer
from keyswitch.panel.client import ask
from keyswitch.smp.groups import image, mode
from keyswitch.terms import Transport
from keyswitch.testing.device import running_device

NEW = make_image("1.1.0")


def ended(run: Callable[[list[str]], None], arguments: list[str]) -> int:
    """The exit code of one command."""
    with pytest.raises(SystemExit) as end:
        run(arguments)
    return int(end.value.code or 0)


class Kept:
    """A log in memory."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, Any], int]] = []
        self.boots: list[int] = []
        self.ends: list[int] = []

    def booted(self, now_ms: int) -> None:
        self.boots.append(now_ms)

    def append(self, kind: str, body: dict[str, Any], now_ms: int) -> None:
        self.records.append((kind, body, now_ms))

    def end(self, now_ms: int) -> None:
        self.ends.append(now_ms)


def test_boots_swaps_and_reverts_are_kept_and_the_boot_is_reported_elsewhere():
    rig, told, log = Rig(), [], Kept()
    recorder = EventRecorder(told.append, log)
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.reset(peer)
    recorder.boot(boot_event(rig.report), rig.report, 1)
    rig.power_up()  # nobody has confirmed it
    recorder.boot(boot_event(rig.report), rig.report, 2)
    assert [kind for kind, _, _ in log.records] == ["boot", "image-swapped", "boot", "image-reverted"]
    assert log.boots == [1, 2]
    assert log.records[1][1] == {
        "image": 0,
        "version": "1.1.0",
        "hash": image_hash(NEW).hex(),
        "swap": "test",
        "trial": True,
    }
    assert [each.NAME for each in told] == ["image-swapped", "image-reverted"]


def test_counts_are_kept_when_they_are_due_and_at_the_end():
    told, log = [], Kept()
    recorder = EventRecorder(told.append, log)
    event = ClockSet(to="2027-01-20T08:00:00", by=by(Peer(id=1, transport=Transport.UDP)))
    recorder.take([event] * 150, 0)
    assert recorder.next_due_ms() == 60_000
    recorder.due(59_999)
    assert len(log.records) == 100
    recorder.due(60_000)
    assert log.records[-1] == ("suppressed", {"of": "clock-set", "count": 50, "over_ms": 60_000}, 60_000)
    recorder.take([event] * 3, 60_000)
    recorder.close(61_000)
    assert [kind for kind, _, _ in log.records[-3:]] == ["clock-set", "suppressed", "stopped"]
    assert log.records[-2][1]["count"] == 2
    assert log.ends == [61_000]
    assert len(told) == len(log.records) - 1


def test_a_process_keeps_a_flood_short_shows_it_and_leaves_a_chain_that_verifies(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    with running_device(tmp_path / "pump", udp=True) as device:
        host, _, port = device.udp.rpartition(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(60)
            peer.connect((host, int(port)))
            wrong = {"to": "maintenance", "proof": "challenge", "mac": b"no"}
            refused = [packet(2, image.ID, image.Id.UPLOAD, {"off": 0})] * 50
            for request in [*refused, packet(2, mode.ID, mode.Id.ENTER, wrong)]:
                peer.send(request)
                peer.recv(500)
        device.press(5)
        device.advance(61)
        log = ask(device.state, {"do": "log"})["log"]
        assert ended(main, ["panel", str(device.state), "log"]) == Exit.YES
        running = read_log(device.state)
        assert (running.findings, running.state) == ((), State.OPEN), "also while the device runs"
        assert ended(main, ["evidence", "verify", str(device.state)]) == Exit.UNKNOWN
        shown = capfd.readouterr().out
        assert shown.splitlines()[-1] == "next: keep a copy of these files elsewhere"
    told = [event["event"] for event in log]
    assert told.count("command-refused") == STRANGERS.at_once
    assert (told.count("entered"), told.count("suppressed")) == (1, 1)
    assert "and 30 more command-refused in the last 61 s" in shown
    assert ended(main, ["evidence", "show", str(device.state), "--json"]) == Exit.YES
    records = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    kinds = [record["kind"] for record in records]
    assert kinds[:2] == ["log-began", "boot"]
    assert kinds[-2:] == ["stopped", CLOSING]
    assert kinds.count("command-refused") == STRANGERS.at_once
    assert {"proof-wrong", "entered", "suppressed"} <= set(kinds)
    assert ended(main, ["evidence", "verify", str(device.state)]) == Exit.YES
    assert capfd.readouterr().out.startswith("consistent: ")
    file = device.state / "events.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"proof":"button"', b'"proof":"permit"'))
    assert ended(main, ["evidence", "verify", str(device.state)]) == Exit.NO
    assert "events.jsonl: record" in capfd.readouterr().err
