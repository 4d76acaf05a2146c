"""Direct-XIP: a package has a file for each slot, and the slot that runs says which one is meant."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from tests.host.images import make_image
from tests.host.other_peers import XipPeer
from tests.host.smp_peer import SmpPeer
from tests.host.udp_peer import UdpPeerThread
from tests.host.update.test_run import image_of, job, whole

from keyswitch.cli.main import main
from keyswitch.exits import Exit
from keyswitch.host.update.direct_xip import NOT_KNOWN_YET
from keyswitch.host.update.events import Message
from keyswitch.host.update.job import Job, Outcome
from keyswitch.host.update.plan import PlannedDevice, make_plan
from keyswitch.host.upload.throughput import Line
from keyswitch.link.air.clock import run
from keyswitch.mcuboot.layout import BootMode

OLD = make_image("1.0.0")
FILES = make_image("1.1.0", fill=0), make_image("1.1.0", fill=1)
IMAGES = tuple(replace(image_of(made), slot=slot) for slot, made in enumerate(FILES))


def package(directory: Path) -> Path:
    path = directory / "dfu_application.zip"
    with zipfile.ZipFile(path, "w") as made:
        files = [{"file": f"{slot}.bin", "image_index": "0", "slot": str(slot)} for slot in range(2)]
        made.writestr("manifest.json", json.dumps({"files": files}))
        for slot, each in enumerate(FILES):
            made.writestr(f"{slot}.bin", each.data)
    return path


@pytest.mark.parametrize("runs", [0, 1])
def test_the_file_for_the_slot_that_does_not_run_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str], runs: int):
    def peer() -> SmpPeer:
        return XipPeer(OLD, at=runs, gated=False, mode_group=False, reset_ms=20, boot_ms=20)

    with UdpPeerThread(peer) as served:
        with pytest.raises(SystemExit) as raised:
            main(["update", served.target, str(package(tmp_path)), "--json"])
        assert raised.value.code == Exit.YES
        assert served.peer.running() == ("1.1.0", FILES[1 - runs].hash)
        with pytest.raises(SystemExit) as raised:
            main(["update", served.target, str(package(tmp_path)), "--json"])
        assert raised.value.code == Exit.YES
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    said = [line["text"] for line in lines if "text" in line]
    assert said[0] == f"direct-XIP: of image 0 the file for slot {1 - runs} is installed"
    assert [line["outcome"] for line in lines if "outcome" in line] == ["confirmed", "already running"]


@pytest.mark.parametrize("runs", [0, 1])
def test_a_single_file_for_the_slot_that_runs_is_refused(runs: int):
    async def story() -> None:
        peer = XipPeer(OLD, at=runs)
        result, _ = await whole(peer, job(images=(IMAGES[runs],)))
        assert result.outcome is Outcome.REFUSED, result
        assert result.detail == f"the file is linked for slot {runs} of image 0, which is the one that runs"
        assert result.next_step == "give the file for the other slot, or the whole package"
        assert peer.received_image_bytes == 0

    run(story())


def test_a_bootloader_that_moves_images_gets_none_that_is_linked_for_a_slot():
    async def story() -> None:
        peer = XipPeer(OLD, mode=BootMode.SWAP_MOVE)
        result, _ = await whole(peer, job(images=IMAGES))
        assert result.outcome is Outcome.REFUSED, result
        assert result.detail.endswith("runs images where they lie, the device has swap move")
        assert peer.received_image_bytes == 0

    run(story())


def test_where_no_slot_is_told_to_run_nothing_is_guessed():
    async def story() -> None:
        peer = XipPeer(OLD, tells_active=False, gated=False, mode_group=False)
        result, _ = await whole(peer, Job(images=IMAGES))
        assert result.outcome is Outcome.REFUSED, result
        assert result.detail.startswith("the device does not tell which slot of image 0 runs")
        assert peer.received_image_bytes == 0

    run(story())


def test_the_plan_says_which_file_or_that_it_is_not_known_yet():
    plan = make_plan(Job(images=IMAGES), PlannedDevice(), Line(kind="ble"))
    assert NOT_KNOWN_YET in plan.notes
    assert plan.image_bytes == len(FILES[0].data)
    assert plan.refused == ""


def test_two_messages_are_not_said_for_other_images():
    async def story() -> None:
        _, events = await whole(SmpPeer(OLD))
        assert not [event for event in events if isinstance(event, Message) and "direct-XIP" in event.text]

    run(story())
