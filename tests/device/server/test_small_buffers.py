"""Devices whose buffers are smaller than Zephyr's default: what has to fit into an answer does."""

import pytest
from tests.device.server_rig import Rig, make_image, pump

from keyswitch.smp.groups import mode

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


@pytest.mark.parametrize("buf_size", range(128, 160))
def test_the_mode_is_told_whatever_the_buffers_hold(buf_size: int):
    """Who it is, and what an input is now, are left out before the answer is."""
    rig = Rig(pump(buf_size=buf_size))
    peer = rig.peer()

    def asked() -> dict:
        return rig.read(peer, mode.ID, mode.Id.STATE)

    normal = asked()
    assert normal["reason"] == "wrong mode: normal"
    rig.input("battery_percent", value=5)
    guarded = asked()
    assert guarded["reason"].startswith("guard: battery_percent >= 30")
    assert ("device" not in guarded) or guarded["reason"].endswith(", is 5")
    rig.input("battery_percent", value=50)
    rig.enter(peer)
    inside = asked()
    assert inside["gate"] is True
    for told in (normal, guarded, inside):
        assert told.get("device", "Pump 7") == "Pump 7"
        assert len(told["policy"]) == 8
    if buf_size > 150:
        assert all("device" in told for told in (normal, guarded, inside))
