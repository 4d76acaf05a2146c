import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.host.images import Made, make_image
from tests.host.other_peers import TrailerPeer, padded
from tests.host.smp_peer import PeerAir, SmpPeer
from tests.host.udp_peer import UdpPeerThread

from keyswitch.cli.fields import in_options
from keyswitch.cli.main import main
from keyswitch.exits import Exit
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.smp.queries import SlotInfo
from keyswitch.host.update.direct_xip import IN_PLACE
from keyswitch.host.update.job import Goal, Job, JobImage, Observed, Outcome, Result
from keyswitch.host.update.preflight import GO_BACK, arms_itself, does_not_fit, is_downgrade, never_starts
from keyswitch.host.update.run import update
from keyswitch.link.air.clock import run
from keyswitch.mcuboot.layout import BootMode
from keyswitch.reasons import Reason

OLD, NEW = make_image("1.0.0"), make_image("1.1.0")
RUNS = SlotInfo(
    image=0,
    slot=0,
    version="1.1.0",
    hash=b"r" * 32,
    bootable=True,
    pending=False,
    confirmed=True,
    active=True,
    permanent=False,
)


def image_of(made: Made, **changed: Any) -> JobImage:
    return replace(JobImage(data=made.data, hash=made.hash, version=made.version), **changed)


def reason(image: JobImage, *slots: SlotInfo, downgrade: bool = False) -> object:
    stop = is_downgrade(Job(images=(image,), downgrade=downgrade), Observed(images=(image,), slots=slots))
    return stop and stop.reason


@pytest.mark.parametrize(
    ("version", "runs", "older"),
    [
        ("1.0.9", "1.1.0", True),
        ("1.9.0", "1.10.0", True),
        ("1.1.0", "1.1.0.1", True),
        ("1.1.0.1", "1.1.0.2", True),
        ("1.1.0", "1.1.0", False),
        ("1.1.0.2", "1.1.0.1", False),
        ("1.1.0+2", "1.1.0+1", False),
        ("2.0.0", "1.255.65535", False),
        ("1.0.0", "built on Monday", False),
        ("", "1.1.0", False),
    ],
)
def test_versions_are_compared_as_people_count_them(version: str, runs: str, *, older: bool):
    found = reason(image_of(OLD, version=version), replace(RUNS, version=runs))
    assert found is (Reason.DOWNGRADE if older else None)


def test_each_image_is_compared_with_the_running_one_of_its_own_number():
    net = replace(RUNS, image=1, version="2.0.0")
    assert reason(image_of(OLD, version="1.2.0"), RUNS, net) is None
    assert reason(image_of(OLD, version="1.2.0", number=1), RUNS, net) is Reason.DOWNGRADE
    assert reason(image_of(OLD), replace(RUNS, slot=1, active=False)) is None
    assert reason(image_of(OLD), RUNS, downgrade=True) is None


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        ({}, None),
        ({0: 16_384}, None),
        ({0: 16_383}, Reason.SIZE),
        ({1: 16_384}, Reason.IMAGE),
    ],
    ids=["not told", "fits", "one byte too large", "no such image"],
)
def test_the_file_fits_what_the_device_tells(room: dict[int, int], expected: Reason | None):
    stop = does_not_fit((image_of(NEW),), room)
    assert (stop and stop.reason) is expected


async def ended(peer: SmpPeer, **settings: Any) -> Result:
    return await update(BleEndpoint(PeerAir(peer), target="ble:Pump 7", name="Pump 7"), Job(**settings))


def test_an_older_image_is_sent_only_on_purpose():
    async def story() -> None:
        peer = SmpPeer(NEW, gated=False, mode_group=False)
        result = await ended(peer, images=(image_of(OLD),))
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.DOWNGRADE), result
        assert (result.detail, result.next_step) == ("1.0.0 is older than 1.1.0, which the device runs", GO_BACK)
        assert "{downgrade}" in GO_BACK.template
        assert peer.received_image_bytes == 0
        result = await ended(peer, images=(image_of(OLD),), downgrade=True)
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.running()[0] == "1.0.0"

    run(story())


def test_an_older_image_that_the_last_swap_left_in_the_slot_is_started_only_on_purpose():
    async def story() -> None:
        peer = SmpPeer(NEW, gated=False, mode_group=False)
        peer.slots[1].data = OLD.data
        result = await ended(peer, images=(image_of(OLD),))
        assert (result.outcome, result.reason) == (Outcome.REFUSED, Reason.DOWNGRADE), result
        assert (peer.boots, peer.slots[1].pending) == (0, False)
        result = await ended(peer, images=(image_of(OLD),), goal=Goal.CONFIRM)
        assert result.outcome is Outcome.FAILED, result
        result = await ended(peer, images=(image_of(OLD),), downgrade=True)
        assert result.outcome is Outcome.CONFIRMED, result
        assert peer.running()[0] == "1.0.0"
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        assert (await ended(peer, images=(image_of(OLD),))).outcome is Outcome.ALREADY_RUNNING

    run(story())


@pytest.mark.parametrize(
    ("slot_size", "outcome", "why"),
    [
        (16_384 + 4_096, Outcome.STAGED, None),
        (16_383 + 4_096, Outcome.REFUSED, Reason.SIZE),
        (None, Outcome.STAGED, None),
    ],
    ids=["fits", "too large", "not told"],
)
def test_a_file_that_is_too_large_is_not_sent(slot_size: int | None, outcome: Outcome, why: Reason | None):
    async def story() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False, slot_size=slot_size)
        result = await ended(peer, images=(image_of(NEW),), goal=Goal.UPLOAD)
        assert (result.outcome, result.reason) == (outcome, why), result
        if why is Reason.SIZE:
            assert result.detail == "1.1.0 has 16,384 bytes, the device takes 16,383"
            assert peer.received_image_bytes == 0

    run(story())


@pytest.mark.parametrize(
    "said", [{"images": "no"}, {"images": [{"slots": []}]}, {"rc": 11}, {"err": {"group": 1, "rc": 2}}]
)
def test_what_a_device_cannot_tell_of_its_slots_is_not_held_against_it(said: dict[str, Any]):
    async def story() -> None:
        peer = SmpPeer(OLD, gated=False, mode_group=False)
        peer.veto = lambda _op, group, command, _body: said if (group, command) == (1, 6) else None
        result = await ended(peer, images=(image_of(NEW),))
        assert result.outcome is Outcome.CONFIRMED, result

    run(story())


def test_going_back_is_one_word_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "old.bin"
    path.write_bytes(OLD.data)
    with UdpPeerThread(lambda: SmpPeer(NEW, gated=False, mode_group=False, reset_ms=20, boot_ms=20)) as served:
        for words, code in (((), Exit.NO), (("--downgrade",), Exit.YES)):
            with pytest.raises(SystemExit) as raised:
                main(["update", served.target, str(path), "--quiet", *words])
            assert raised.value.code == code
        assert served.peer.running()[0] == "1.0.0"
    refused, step, confirmed = capsys.readouterr().out.splitlines()
    assert refused == "refused: 1.0.0 is older than 1.1.0, which the device runs"
    assert (step, confirmed) == (f"next: {in_options(GO_BACK)}", "confirmed")


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit) as raised:
        main(["update", *words, "--json"])
    assert isinstance(raised.value.code, int)
    return raised.value.code, json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_file_that_arms_itself_is_refused_before_the_device_is_asked_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, confirmed: bool
):
    path = tmp_path / "padded.bin"
    path.write_bytes(padded(NEW, confirmed=confirmed))

    def device() -> SmpPeer:
        return TrailerPeer(OLD, gated=False, mode_group=False, reset_ms=20, boot_ms=20)

    for goal in ((), ("--only", "upload"), ("--only", "test")):
        with UdpPeerThread(device) as served:
            code, result = told(capsys, served.target, str(path), *goal)
            assert (code, result["outcome"], result["reason"]) == (Exit.NO, "refused", "trailer")
            assert result["detail"] == "1.1.0 brings its own trailer: once it is there, the next reset starts it"
            assert result["next_step"].startswith("sign the image without padding")
            assert served.peer.served == 0
            code, plan = told(capsys, served.target, str(path), *goal, "--dry-run")
            assert (code, plan["refused"].partition(":")[0]) == (Exit.NO, "1.1.0 brings its own trailer")


def test_unchecked_sends_it_and_the_outcome_is_what_the_device_is_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "padded.bin"
    path.write_bytes(padded(NEW, confirmed=True))
    with UdpPeerThread(lambda: TrailerPeer(OLD, gated=False, mode_group=False, reset_ms=20, boot_ms=20)) as served:
        code, result = told(capsys, served.target, str(path), "--unchecked", "--only", "upload")
        assert (code, result["outcome"]) == (Exit.YES, "staged")
        assert result["detail"] == "the device lists it as pending: its next reset starts it"
        code, result = told(capsys, served.target, str(path), "--unchecked", "--only", "test")
        assert (code, result["outcome"]) == (Exit.YES, "confirmed")
        assert result["detail"] == "the image came up confirmed: there is no trial"


def test_only_confirming_sends_nothing_so_that_no_trailer_matters():
    image = image_of(NEW, arms_itself=True)
    assert arms_itself(Job(images=(image,))) is not None
    assert arms_itself(Job(images=(image,), unchecked=True)) is None
    assert arms_itself(Job(images=(image,), goal=Goal.CONFIRM)) is None
    assert arms_itself(Job(images=(image_of(NEW),))) is None


@pytest.mark.parametrize(
    ("version", "runs", "slot", "starts"),
    [
        ("1.1.0", "1.0.9", 0, True),
        ("1.0.9", "1.1.0", 0, False),
        ("1.0.9", "1.1.0", 1, False),
        ("1.1.0", "1.1.0", 0, False),
        ("1.1.0", "1.1.0", 1, True),
        ("1.1.0.7", "1.1.0.3", 0, False),
        ("1.1.0.3", "1.1.0.7", 1, True),
    ],
)
@pytest.mark.parametrize("downgrade", [False, True])
@pytest.mark.parametrize("bootloader", [BootMode.XIP, BootMode.XIP_REVERT])
def test_what_runs_where_it_lies_must_be_higher(
    version: str, runs: str, slot: int, bootloader: BootMode, *, starts: bool, downgrade: bool
):
    """Of equal versions that of slot 0 runs, and build numbers do not count; nothing that is said changes it."""
    image = image_of(NEW, version=version)
    job = Job(images=(image,), downgrade=downgrade)
    slots = (replace(RUNS, version=runs, slot=slot),)
    stop = never_starts(job, slots, bootloader)
    assert (stop is None) is starts
    assert stop is None or (stop.reason, f"is {runs}" in stop.detail) == (Reason.DOWNGRADE, True)
    for other in {None, *BootMode} - IN_PLACE:
        assert never_starts(job, slots, other) is None
    assert never_starts(job, None, bootloader) is None
    assert never_starts(job, (replace(RUNS, hash=image.hash),), bootloader) is None
