"""The image group, sequence by sequence as a real Zephyr server with swap using offset answers it, less what is meant.

Numbers are those of the device here: slots of 32 sectors of 1024 bytes, running image 1.0.0.
"""

import hashlib
from dataclasses import replace

import pytest
from tests.device.server_rig import SECTOR, Rig, early, image_hash, make_image, pump

from keyswitch.mcuboot.layout import Algorithm, Layout, max_image_size
from keyswitch.policy.model import ImagePair
from keyswitch.smp.header import SmpVersion

NEW = make_image("1.2.3.4")
LENGTH = len(NEW)
SHA = hashlib.sha256(NEW).digest()
V1 = SmpVersion.V1
MALFORMED = {"rc": 3, "rsn": "header malformed"}


def err(code: int) -> dict:
    return {"err": {"group": 1, "rc": code}}


@pytest.fixture(params=[Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET], ids=str)
def rig(request) -> Rig:
    return Rig(algorithm=request.param)


def chunk(rig: Rig, peer: int, **body: object):
    return rig.write(peer, 1, 1, body)


@pytest.mark.parametrize(
    ("number", "body", "answer", "answer_v1"),
    [
        ("31", {"data": NEW[:64], "len": LENGTH}, err(20), MALFORMED),
        ("32a", {"off": 0, "len": LENGTH, "data": NEW[:31]}, err(22), MALFORMED),
        ("32b", {"off": 0, "len": LENGTH}, err(22), MALFORMED),
        ("33", {"off": 0, "data": NEW[:64]}, err(21), MALFORMED),
        ("34", {"off": 0, "len": LENGTH, "data": bytes(64)}, err(23), {"rc": 1, "rsn": "magic mismatch"}),
        ("35", {"off": 0, "len": LENGTH, "data": NEW[:64], "sha": bytes(33)}, err(24), {"rc": 3}),
        ("36", {"off": 0, "len": 32 * SECTOR + 1, "data": NEW[:64]}, err(30), {"rc": 1, "rsn": "img too large"}),
        ("37 is 30 here", {"off": 0, "len": 32 * SECTOR, "data": NEW[:64]}, err(30), {"rc": 1, "rsn": "img too large"}),
        ("39", {"off": 0, "len": LENGTH, "data": NEW[:64], "upgrade": 1}, {"rc": 3}, {"rc": 3}),
        ("40", {"off": 100, "data": b"x"}, {"off": 0}, {"off": 0}),
        ("41", {"off": "a", "data": b"x"}, {"rc": 3}, {"rc": 3}),
        ("negative", {"off": -1, "data": b"x"}, {"rc": 3}, {"rc": 3}),
        ("beyond 32 bits", {"off": 0, "len": 2**32, "data": NEW[:64]}, {"rc": 3}, {"rc": 3}),
        ("image -1", {"off": 0, "len": LENGTH, "data": NEW[:64], "image": -1}, {"rc": 3}, {"rc": 3}),
        ("image is ignored", {"off": 0, "len": LENGTH, "data": NEW[:64], "image": 5}, {"off": 64}, {"off": 64}),
        ("46 is 31 here", {"off": 0, "len": 40, "data": NEW[:64]}, err(31), {"rc": 1}),
        ("no data", {"off": 0, "len": LENGTH, "data": "text"}, {"rc": 3}, {"rc": 3}),
    ],
)  # fmt: skip
def test_first_packets(rig: Rig, number: str, body, answer, answer_v1):
    assert rig.write(rig.in_maintenance(), 1, 1, body) == answer
    assert rig.write(rig.in_maintenance(), 1, 1, body, version=V1) == answer_v1 or "off" in answer


def test_38_upgrade():
    rig = Rig(running="1.2.0")
    peer = rig.in_maintenance()
    for version, answer in (("1.2.0.9", err(27)), ("1.1.9", err(27)), ("1.2.1", {"off": 64})):
        body = {"off": 0, "len": LENGTH, "data": make_image(version)[:64], "upgrade": True}
        assert rig.write(peer, 1, 1, body) == answer
    old = {"off": 0, "len": LENGTH, "data": make_image("0.0.1")[:64]}
    assert rig.write(peer, 1, 1, old | {"upgrade": True}, version=V1) == {"rc": 6, "rsn": "downgrade"}
    assert rig.write(peer, 1, 1, old | {"upgrade": False}) == {"off": 64}


def test_42_to_44_offsets_resume_restart(rig: Rig):
    peer = rig.in_maintenance()
    first = {"off": 0, "len": LENGTH, "data": NEW[:64]}
    assert chunk(rig, peer, **first, sha=SHA) == {"off": 64}
    assert chunk(rig, peer, off=10, data=NEW[10:20]) == {"off": 64}
    assert chunk(rig, peer, off=64, data=NEW[64:128]) == {"off": 128}
    assert chunk(rig, peer, off=0, len=5, sha=SHA, image=3, data=NEW[:32]) == {"off": 128}
    assert chunk(rig, peer, **first) == {"off": 64}
    assert chunk(rig, peer, **first) == {"off": 64}, "no sha: no resume"


def test_45_overrun(rig: Rig):
    peer = rig.in_maintenance()
    assert chunk(rig, peer, off=0, len=100, data=NEW[:64]) == {"off": 64}
    assert chunk(rig, peer, off=64, data=NEW[64:128]) == err(31)
    assert chunk(rig, peer, off=64, data=NEW[64:100]) == {"off": 0}


def test_47_and_48_an_error_ends_the_session_and_a_repetition_does_not(rig: Rig):
    peer = rig.in_maintenance()
    chunk(rig, peer, off=0, len=LENGTH, data=NEW[:200])
    assert chunk(rig, peer, off=200, data=NEW[200:264]) == {"off": 264}
    assert chunk(rig, peer, off=200, data=NEW[200:264]) == {"off": 264}
    assert chunk(rig, peer, off=264, data=b"") == {"off": 264}
    assert chunk(rig, peer, data=NEW[264:300]) == err(20)
    assert chunk(rig, peer, off=264, data=NEW[264:300]) == {"off": 0}


def test_pipelined_chunks_out_of_order(rig: Rig):
    peer = rig.in_maintenance()
    chunk(rig, peer, off=0, len=LENGTH, data=NEW[:800])
    assert chunk(rig, peer, off=1000, data=NEW[1000:1200]) == {"off": 800}
    assert chunk(rig, peer, off=800, data=NEW[800:1000]) == {"off": 1000}


@pytest.mark.parametrize("size", [1, 7, 63, 512, 2400])
def test_49_and_50_a_whole_upload(rig: Rig, size: int):
    peer = rig.in_maintenance()
    chunk(rig, peer, off=0, len=LENGTH, data=NEW[:64], sha=SHA)
    offset = 64
    while offset < LENGTH:
        last = chunk(rig, peer, off=offset, data=NEW[offset : offset + size])
        offset = last["off"]
    assert last == {"off": LENGTH, "match": True}
    assert chunk(rig, peer, off=LENGTH - 10, data=NEW[-10:]) == {"off": 0}
    assert rig.images(peer) == [(0, "1.0.0", "bootable confirmed active"), (1, "1.2.3.4", "bootable")]


@pytest.mark.parametrize(("sha", "match"), [(SHA, True), (bytes(32), False), (SHA[:8], None), (None, None)])
def test_match_is_told_for_a_whole_sha(rig: Rig, sha, match):
    peer = rig.in_maintenance()
    body = {"off": 0, "len": LENGTH, "data": NEW[:64]} | ({} if sha is None else {"sha": sha})
    chunk(rig, peer, **body)
    last = {}
    for offset in range(64, LENGTH, 1000):
        last = chunk(rig, peer, off=offset, data=NEW[offset : offset + 1000])
    assert last == {"off": LENGTH} | ({} if match is None else {"match": match})


@pytest.mark.parametrize("room", [-1, 0, 1])
def test_the_largest_upload_never_reaches_the_trailer(rig: Rig, room: int):
    peer = rig.in_maintenance()
    size = max_image_size(rig.layout) + room
    content = make_image("2.0.0", size=size - 72)
    assert len(content) == size
    if room > 0:
        assert chunk(rig, peer, off=0, len=size, data=content[:64]) == err(30)
        return
    assert rig.upload(peer, content)["match"] is True
    rig.test(peer, content)
    rig.reset(peer)
    assert rig.images(rig.peer())[0] == (0, "2.0.0", "bootable active")


def test_a_padded_file_cannot_arm_itself():
    """`imgtool sign --pad --confirm`: the file brings its own trailer, as long as the slot."""
    rig = Rig()
    peer = rig.in_maintenance()
    magic = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
    for size in (32 * SECTOR, 31 * SECTOR):
        padded = NEW.ljust(size - 24, b"\xff") + b"\x01" + b"\xff" * 7 + magic
        assert chunk(rig, peer, off=0, len=len(padded), data=padded[:64]) == err(30)
    assert rig.images(peer) == [(0, "1.0.0", "bootable confirmed active")]


@pytest.mark.parametrize(
    ("body", "answer", "answer_v1"),
    [
        ({}, err(24), {"rc": 3}),
        ({"confirm": False}, err(24), {"rc": 3}),
        ({"hash": b""}, err(24), {"rc": 3}),
        ({"hash": bytes(31)}, err(24), {"rc": 3}),
        ({"hash": bytes(33)}, err(24), {"rc": 3}),
        ({"hash": bytes(32)}, err(8), {"rc": 1}),
        ({"hash": "text"}, {"rc": 3}, {"rc": 3}),
        ({"confirm": 1}, {"rc": 3}, {"rc": 3}),
        (None, {"rc": 3}, {"rc": 3}),
    ],
)
def test_51_and_52_state_writes_that_name_nothing(rig: Rig, body, answer, answer_v1):
    peer = rig.in_maintenance()
    assert rig.write(peer, 1, 0, body) == answer
    assert rig.write(peer, 1, 0, body, version=V1) == answer_v1


def pending_state(rig: Rig, state: str) -> tuple[int, bytes, bytes]:
    """Bring the device into one of the four states: peer, running image, other image."""
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    if state in {"test", "revert"}:
        rig.test(peer, NEW)
    if state == "perm":
        rig.test(peer, NEW, confirm=True)
    if state != "revert":
        return peer, rig.running, NEW
    rig.reset(peer)
    return rig.peer(), NEW, rig.running


PENDING, ACTIVE = err(28), err(33)
# Cells of Zephyr's decision table: state, then test running, confirm running, test other, confirm other; for a
# success, the flags of the other image afterwards.
CELLS = {
    "keep": (ACTIVE, "bootable", "bootable pending", "bootable pending permanent"),
    "test": (ACTIVE, PENDING, "bootable pending", PENDING),
    "perm": (ACTIVE, PENDING, PENDING, "bootable pending permanent"),
    "revert": (ACTIVE, None, PENDING, "bootable confirmed"),
}


@pytest.mark.parametrize("arm", ["late", "early"])
@pytest.mark.parametrize("column", range(4), ids=["test running", "confirm running", "test other", "confirm other"])
@pytest.mark.parametrize("state", CELLS)
@pytest.mark.parametrize("algorithm", [Algorithm.SWAP_MOVE, Algorithm.SWAP_OFFSET], ids=str)
def test_53_to_58_the_decision_table(algorithm: Algorithm, state: str, column: int, arm: str):
    rig = Rig(early(pump()) if arm == "early" else pump(), algorithm=algorithm)
    peer, running, other = pending_state(rig, state)
    target = running if column < 2 else other
    answer = rig.test(peer, target, confirm=bool(column % 2))
    expected = CELLS[state][column]
    if isinstance(expected, dict):
        assert answer == expected
        return
    assert answer["images"][0]["slot"] == 0
    assert answer["splitStatus"] == 0
    flags = {slot: words for slot, _, words in rig.images(peer)}
    if (state, column) == ("revert", 1):
        assert flags[0] == "bootable confirmed active"
    else:
        assert flags[1] == expected


@pytest.mark.parametrize("state", CELLS)
def test_confirm_without_a_hash_means_what_runs(rig: Rig, state: str):
    peer, *_ = pending_state(rig, state)
    answer = rig.write(peer, 1, 0, {"confirm": True})
    assert answer == PENDING if state in {"test", "perm"} else "images" in answer
    if state in {"test", "perm"}:
        assert rig.write(peer, 1, 0, {"confirm": True}, version=V1) == {"rc": 6}


def test_56_and_57_during_and_after_a_trial(rig: Rig):
    peer, _, old = pending_state(rig, "revert")
    assert rig.images(peer) == [(0, "1.2.3.4", "bootable active"), (1, "1.0.0", "bootable confirmed")]
    assert rig.test(peer, old) == PENDING
    assert rig.write(peer, 1, 5, {}) == err(9)
    assert chunk(rig, peer, off=0, len=LENGTH, data=NEW[:64]) == err(9)
    assert rig.write(peer, 1, 5, {}, version=V1) == {"rc": 6}
    assert rig.images(peer)[1] == (1, "1.0.0", "bootable confirmed")
    rig.reset(peer)
    peer = rig.peer()
    assert rig.images(peer) == [(0, "1.0.0", "bootable confirmed active"), (1, "1.2.3.4", "bootable")]
    assert rig.mode == "maintenance"
    assert "images" in rig.test(peer, NEW), "no blacklist"


def test_59_erase(rig: Rig):
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    assert rig.write(peer, 1, 5) == {"rc": 3}
    assert rig.write(peer, 1, 5, {}) == {}
    assert rig.images(peer) == [(0, "1.0.0", "bootable confirmed active")]
    assert rig.write(peer, 1, 5, {}) == {}
    assert rig.write(peer, 1, 5, {"slot": 0}) == err(9)
    assert rig.write(peer, 1, 5, {"slot": 1}) == {}
    assert rig.write(peer, 1, 5, {"slot": 2}) == err(10)
    assert rig.write(peer, 1, 5, {"slot": -1}) == {"rc": 3}


def test_erase_ends_the_upload_and_the_arming(rig: Rig):
    peer = rig.in_maintenance()
    chunk(rig, peer, off=0, len=LENGTH, data=NEW[:64])
    assert rig.write(peer, 1, 5, {}) == {}
    assert chunk(rig, peer, off=64, data=NEW[64:128]) == {"off": 0}
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    assert rig.write(peer, 1, 5, {}) == {}
    rig.reset(peer)
    assert rig.images(rig.peer()) == [(0, "1.0.0", "bootable confirmed active")]


def test_an_upload_over_a_pending_image_takes_the_mark_away(rig: Rig):
    peer, *_ = pending_state(rig, "test")
    assert chunk(rig, peer, off=0, len=LENGTH, data=NEW[:64]) == {"off": 64}
    rig.reset(peer)
    assert rig.report.images[0].running_hash == image_hash(rig.running)


def test_an_image_that_is_not_what_its_hash_says_is_not_armed(rig: Rig):
    peer = rig.in_maintenance()
    damaged = bytearray(NEW)
    damaged[1000] ^= 1
    rig.upload(peer, bytes(damaged))
    assert rig.test(peer, NEW) == {"rc": 11, "rsn": "image: its content is not what its hash says"}
    assert rig.images(peer)[1] == (1, "1.2.3.4", "bootable")


def test_slots(rig: Rig):
    peer = rig.in_maintenance()
    assert rig.read(peer, 1, 6) == {
        "images": [
            {
                "image": 0,
                "slots": [{"slot": 0, "size": 32 * SECTOR}, {"slot": 1, "size": 32 * SECTOR, "upload_image_id": 0}],
                "max_image_size": max_image_size(rig.layout),
            }
        ]
    }


def test_state_read_looks_at_no_payload(rig: Rig):
    peer = rig.in_maintenance()
    (answer,) = rig.send(peer, bytes.fromhex("0800000100010100ff"))
    assert answer.body()["images"][0]["hash"] == image_hash(rig.running)


def test_sectors_are_erased_ahead_while_an_upload_lasts_and_no_longer(rig: Rig):
    peer = rig.in_maintenance()
    assert rig.server.idle() is None
    chunk(rig, peer, off=0, len=LENGTH, data=NEW[:64])
    before = rig.flash.wear.sectors_erased
    assert rig.server.idle() is not None
    assert rig.server.idle() is None, "one whole sector lies erased"
    assert rig.flash.wear.sectors_erased == before + 1
    chunk(rig, peer, off=64, data=NEW[64:2000])
    rig.input("motion", value=True)
    assert rig.server.idle() is None


def test_two_image_pairs():
    layout = Layout.for_slots(Algorithm.SWAP_MOVE, 32 * SECTOR, images=2, sector_size=SECTOR)
    pair = ImagePair(slot_size=32 * SECTOR, secondary_size=32 * SECTOR)
    policy = pump()
    rig = Rig(replace(policy, bootloader=replace(policy.bootloader, images=(pair, pair))), layout=layout)
    peer = rig.in_maintenance()
    listing = rig.read(peer, 1, 0)["images"]
    assert [(each["image"], each["slot"], each["active"]) for each in listing] == [(0, 0, True), (1, 0, True)]
    first = {"off": 0, "len": LENGTH, "data": NEW[:64]}
    assert chunk(rig, peer, **first, image=2) == err(9)
    assert chunk(rig, peer, **first, image=1) == {"off": 64}
    for offset in range(64, LENGTH, 1000):
        chunk(rig, peer, off=offset, data=NEW[offset : offset + 1000])
    listing = rig.test(peer, NEW)["images"]
    assert [(each["image"], each["slot"], each["pending"]) for each in listing] == [
        (0, 0, False),
        (1, 0, False),
        (1, 1, True),
    ]
    rig.reset(peer)
    assert [image.running_hash for image in rig.report.images] == [image_hash(rig.running), image_hash(NEW)]
    assert rig.mode == "maintenance", "the record names the second pair's image"
    assert "images" in rig.write(rig.peer(), 1, 0, {"hash": image_hash(NEW), "confirm": True})
    rig.power_up()
    assert rig.report.images[1].running_hash == image_hash(NEW)


def test_upgrade_over_an_image_that_cannot_be_read():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.flash.erase(rig.layout.pairs[0].primary.offset, SECTOR)
    assert chunk(rig, peer, off=0, len=LENGTH, data=NEW[:64], upgrade=True) == err(26)
    assert chunk(rig, peer, off=0, len=LENGTH, data=NEW[:64]) == {"off": 64}
