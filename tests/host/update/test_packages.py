"""Several images: a whole package by one command, and what the second image makes different."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.host.images import make_image, read_image
from tests.host.other_peers import TwoImagePeer
from tests.host.smp_peer import Fate, Faults
from tests.host.udp_peer import UdpPeerThread
from tests.host.update.test_images import package
from tests.host.update.test_run import NEW, OLD, image_of, job, whole

from keyswitch.cli.main import main
from keyswitch.exits import Exit
from keyswitch.host.update.events import Ended, Message
from keyswitch.host.update.job import Job, Outcome
from keyswitch.link.air.clock import run

NET = make_image("1.9.0", fill=1)


def test_a_whole_update_of_a_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def two() -> TwoImagePeer:
        return TwoImagePeer(OLD, NET, gated=False, mode_group=False, reset_ms=20, boot_ms=20)

    with UdpPeerThread(two) as served:
        with pytest.raises(SystemExit) as raised:
            main(["update", served.target, str(package(tmp_path, "0", "1")), "--json"])
        assert raised.value.code == Exit.YES
        peer = served.peer
        assert isinstance(peer, TwoImagePeer)
        assert [(read_image(slots[0].data) or ("",))[0] for slots in peer.pairs] == ["1.1.0", "2.0.0"]
        assert peer.stays == [True, True]
        assert peer.boots == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["outcome"], last["detail"]) == ("confirmed", "")
    active = [(slot["image"], slot["version"]) for slot in last["after"] if slot["active"]]
    assert active == [(0, NEW.version), (1, "2.0.0")]


def test_two_images_are_uploaded_marked_started_and_confirmed_together():
    async def story() -> None:
        net = make_image("2.0.0", fill=1), make_image("2.1.0", fill=1)
        peer = TwoImagePeer(OLD, net[0])
        images = (image_of(NEW), replace(image_of(net[1]), number=1))
        result, events = await whole(peer, job(images=images))
        assert result.outcome is Outcome.CONFIRMED, result
        assert [read_image(slots[0].data) for slots in peer.pairs] == [("1.1.0", NEW.hash), ("2.1.0", net[1].hash)]
        assert peer.stays == [True, True]
        assert peer.boots == 1
        assert peer.mode == "normal"
        assert isinstance(events[-1], Ended)

    run(story())


@pytest.mark.parametrize("after_s", [0, 10, None])
def test_an_image_that_only_its_own_application_confirms_is_waited_for(after_s: int | None):
    """Zephyr's default: err 32 for the running slot of an image that is not the program's own."""

    async def story() -> None:
        net = make_image("2.0.0", fill=1), make_image("2.1.0", fill=1)
        peer = TwoImagePeer(OLD, net[0], confirms_second=False, gated=False, mode_group=False)
        boot = peer.boot

        def confirms() -> None:
            peer.stays[1] = True

        def boots(*, keep: bool = False) -> None:
            boot(keep=keep)
            if after_s is not None:
                asyncio.get_running_loop().call_later(after_s, confirms)

        peer.boot = boots
        images = (image_of(NEW), replace(image_of(net[1]), number=1))
        result, events = await whole(peer, Job(images=images))
        if after_s is None:
            assert result.outcome is Outcome.FAILED, result
            assert result.detail.startswith("image 1 runs, and its own application, which alone may, has not confirmed")
            assert result.next_step.startswith("it goes back at the next reset")
        else:
            assert (result.outcome, result.detail) == (Outcome.CONFIRMED, ""), result
        said = [event.text for event in events if isinstance(event, Message)]
        assert said == (["image 1 is confirmed by its own application: the device takes it from no other"])
        assert peer.stays == [True, after_s is not None]
        assert [read_image(slots[0].data) for slots in peer.pairs] == [("1.1.0", NEW.hash), ("2.1.0", net[1].hash)]

    run(story())


def test_the_second_image_alone_is_confirmed_by_its_name():
    async def story() -> None:
        net = make_image("2.0.0", fill=1), make_image("2.1.0", fill=1)
        peer = TwoImagePeer(OLD, net[0])
        result, _ = await whole(peer, job(images=(replace(image_of(net[1]), number=1),)))
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.stays == [True, True]
        assert [(read_image(slots[0].data) or ("",))[0] for slots in peer.pairs] == ["1.0.0", "2.1.0"]

    run(story())


def test_each_image_has_its_own_progress():
    """The link ends at each tenth piece: five times without progress would be too often for the smaller one."""

    async def story() -> None:
        net = make_image("2.0.0", fill=1), make_image("2.1.0", size=15 * 1024, fill=1)
        peer = TwoImagePeer(OLD, net[0], gated=False, mode_group=False, buf_size=256)
        pieces = [0]

        def rule(way: str, _number: int, packet: bytes) -> Fate | None:
            if way != "request" or (packet[4:6], packet[7]) != (b"\0\1", 1):
                return None
            pieces[0] += 1
            return Fate(cut=True) if pieces[0] % 10 == 0 else None

        images = (image_of(NEW), replace(image_of(net[1]), number=1))
        result, _ = await whole(peer, Job(images=images), faults=Faults(rule))
        assert result.outcome is Outcome.CONFIRMED, result
        assert result.resumed > 10

    run(story())


def test_of_two_images_the_one_that_runs_is_not_sent_again():
    async def story() -> None:
        net = make_image("2.1.0", fill=1)
        peer = TwoImagePeer(OLD, net)
        result, _ = await whole(peer, job(images=(image_of(NEW), replace(image_of(net), number=1))))
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.received_image_bytes < 17 * 1024

    run(story())
