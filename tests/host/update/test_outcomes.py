"""Each row of the table of outcomes in docs/operator.md, produced."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.host.images import make_image
from tests.host.smp_peer import PeerAir, SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.exits import Exit
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.verdict import Given, next_step
from keyswitch.host.update.job import Goal, Job, JobImage, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.link.air.clock import run
from keyswitch.reasons import Reason

OLD, NEW = make_image("1.0.0"), make_image("1.1.0")
Change = Callable[[SmpPeer], dict[str, Any]]


def refuse(op: int, group: int, command: int, said: dict[str, Any]) -> Change:
    def change(peer: SmpPeer) -> dict[str, Any]:
        peer.veto = lambda o, g, c, _body: said if (o, g, c) == (op, group, command) else None
        return {}

    return change


def job_of(**settings: Any) -> Change:
    return lambda _peer: settings


def already(peer: SmpPeer) -> dict[str, Any]:
    peer.slots[0].data = NEW.data
    return {}


def crashing(peer: SmpPeer) -> dict[str, Any]:
    boot, boots = peer.boot, list[int]()

    def twice(*, keep: bool = False) -> None:
        boots.append(1)
        boot(keep=keep)
        if len(boots) == 1:
            boot(keep=keep)

    peer.boot = twice
    return {}


def broken(_peer: SmpPeer) -> dict[str, Any]:
    data = bytearray(NEW.data)
    data[100] ^= 1
    return {"images": (JobImage(data=bytes(data), hash=NEW.hash, version="1.1.0"),)}


def unwell(_peer: SmpPeer) -> dict[str, Any]:
    async def health() -> str | None:
        return "no pressure"

    return {"health": health}


def gone(peer: SmpPeer) -> dict[str, Any]:
    peer.up = False
    return {}


def lost(peer: SmpPeer) -> dict[str, Any]:
    peer.never_boots = True
    return {}


def strange(peer: SmpPeer) -> dict[str, Any]:
    peer.gated, peer.mode_group = False, False
    return refuse(0, 1, 0, {"rc": 300})(peer)


CASES: dict[Outcome, tuple[Change, Exit]] = {
    Outcome.CONFIRMED: (job_of(), Exit.YES),
    Outcome.STAGED: (job_of(goal=Goal.UPLOAD), Exit.YES),
    Outcome.ON_TRIAL: (job_of(goal=Goal.TEST), Exit.YES),
    Outcome.ALREADY_RUNNING: (already, Exit.YES),
    Outcome.LEFT: (job_of(goal=Goal.LEAVE, images=()), Exit.YES),
    Outcome.REFUSED: (refuse(2, 1, 1, {"err": {"group": 1, "rc": 30}}), Exit.NO),
    Outcome.FAILED: (unwell, Exit.NO),
    Outcome.NOT_STARTED: (broken, Exit.NO),
    Outcome.REVERTED: (crashing, Exit.REVERTED),
    Outcome.UNREACHABLE: (gone, Exit.UNREACHABLE),
    Outcome.NEVER_CAME_BACK: (lost, Exit.UNREACHABLE),
    Outcome.UNKNOWN: (strange, Exit.UNKNOWN),
    Outcome.STILL_IN_MAINTENANCE: (refuse(2, 19283, 5, {"rc": 11, "rsn": "busy"}), Exit.STILL_IN_MAINTENANCE),
}


async def ended(change: Change) -> Result:
    peer = SmpPeer(OLD)
    image = JobImage(data=NEW.data, hash=NEW.hash, version="1.1.0")
    settings = {"images": (image,), "way": ModeGroupStrategy("maintenance", Secret(b"s" * 32)), **change(peer)}
    return await update(BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7"), Job(**settings))


@pytest.mark.parametrize("outcome", list(CASES))
def test_each_outcome_with_its_exit_code(outcome: Outcome):
    change, code = CASES[outcome]
    result = run(ended(change))
    assert result.outcome is outcome, result
    assert result.outcome.exit_code is code
    assert result.line.startswith(outcome.value)
    assert "\n" not in result.line
    good = code is Exit.YES
    assert good or result.detail


def test_no_outcome_is_left_out():
    assert set(CASES) | {Outcome.INTERRUPTED} == set(Outcome)


def command(target: str, image: Path, evidence: Path) -> subprocess.Popen[str]:
    """The operator as a process of its own."""
    words = [sys.executable, "-m", "keyswitch", "update", target, str(image), "--evidence", str(evidence), "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}, **pipes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_leaves_the_device_as_it_is(number: signal.Signals, tmp_path: Path):
    image, evidence = tmp_path / "new.bin", tmp_path / "pump.jsonl"
    image.write_bytes(NEW.data)

    def slow() -> SmpPeer:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        peer.veto = lambda _op, group, _command, body: {"rc": 10} if group == 1 and body.get("off") == 0 else None
        return peer

    with UdpPeerThread(slow) as served, command(served.target, image, evidence) as process:
        assert process.stdout is not None
        while "verify mode" not in (line := process.stdout.readline()):
            assert line
        process.send_signal(number)
        told, said = process.communicate(timeout=120)
    assert process.returncode == Exit.INTERRUPTED
    last = json.loads(told.splitlines()[-1])
    assert (last["event"], last["outcome"], said) == ("result", "interrupted", "")
    assert last["next_step"] == "run the same command again: it resumes from what the device has"
    assert b'"outcome":"interrupted"' in evidence.read_bytes()


def test_killed_in_the_middle_of_the_upload_the_same_command_goes_on(tmp_path: Path):
    """SIGKILL: nothing is said and nothing tidied up; what the device has is all that is left."""
    new = make_image("1.1.0", size=64 * 1024)
    image, evidence = tmp_path / "new.bin", tmp_path / "pump.jsonl"
    image.write_bytes(new.data)
    frame, outstanding = 512, 3

    def slow() -> SmpPeer:
        peer = SmpPeer(
            OLD, gated=False, mode_group=False, buf_size=frame, buf_count=outstanding + 1, reset_ms=20, boot_ms=20
        )
        peer.hook = lambda _off: time.sleep(0.005)
        return peer

    with UdpPeerThread(slow) as served:
        with command(served.target, image, evidence) as process:
            assert process.stdout is not None
            while json.loads(process.stdout.readline()).get("off", 0) < len(new.data) // 3:
                pass
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert served.peer.session is not None
        assert len(new.data) // 3 <= len(served.peer.session.data) < len(new.data)
        with command(served.target, image, evidence) as process:
            told, said = process.communicate(timeout=120)
        last = json.loads(told.splitlines()[-1])
        assert (process.returncode, last["outcome"], last["resumed"], said) == (Exit.YES, "confirmed", 1, "")
        assert served.peer.running() == ("1.1.0", new.hash)
        assert served.peer.received_image_bytes - len(new.data) <= (outstanding + 1) * frame
    kinds = [json.loads(line)["kind"] for line in evidence.read_text(encoding="utf-8").splitlines()]
    assert kinds == ["update begun", "update begun", "update ended", "closed"]


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_comes_with_what_to_do(reason: Reason):
    result = run(ended(refuse(2, 19283, 2, {"rc": 11, "rsn": f"{reason.value}: this one"})))
    assert (result.outcome, result.reason) == (Outcome.REFUSED, reason)
    assert result.next_step == next_step(reason, Given(entry="policy"))
    assert "this one" in result.detail
