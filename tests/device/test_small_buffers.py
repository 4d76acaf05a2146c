"""Devices whose buffers are smaller than Zephyr's default: what has to fit into an answer does."""

import pytest
from tests.device.server_rig import Rig, make_image, pump

LONGEST = "255.255.65535.4294967295"
FLAGS = ["bootable", "pending", "confirmed", "active", "permanent"]


def lists(buf_size: int) -> tuple[Rig, dict]:
    rig = Rig(pump(buf_size=buf_size))
    peer = rig.in_maintenance()
    rig.upload(peer, make_image(LONGEST), chunk=64)
    return rig, rig.read(peer, 1, 0)


@pytest.mark.parametrize("buf_size", [244, 383])
def test_both_slots_are_listed_without_the_flags_that_are_false(buf_size: int):
    _, told = lists(buf_size)
    assert [each["version"] for each in told["images"]] == ["1.0.0", LONGEST]
    assert [[name for name in FLAGS if name in each] for each in told["images"]] == [
        ["bootable", "confirmed", "active"],
        ["bootable"],
    ]
    assert "splitStatus" not in told


def test_from_the_usual_size_on_all_flags_are_told():
    _, told = lists(384)
    assert all(name in each for each in told["images"] for name in FLAGS)
    assert told["splitStatus"] == 0
