"""The quiet time on the whole server, in virtual time: from the last command that can change firmware."""

from dataclasses import replace

import pytest
from tests.device.server_rig import Rig, make_image, pump
from tests.gate.test_quiet import quiet_pump

from keyswitch.gate.effects import Inhibit
from keyswitch.smp.groups import image, mode, os

DENIED = 11
NEW = make_image("1.1.0", 3000)


def quiet_rig() -> Rig:
    return Rig(replace(quiet_pump(), bootloader=pump().bootloader))


def inhibited(rig: Rig) -> frozenset[str]:
    """What the application was told last."""
    told = [each.names for output in rig.outputs for each in output.effects if isinstance(each, Inhibit)]
    return told[-1]


def leave(rig: Rig, peer: int) -> None:
    assert rig.write(peer, mode.ID, mode.Id.LEAVE) == {"mode": "normal"}


def test_it_counts_from_the_last_chunk_and_not_from_the_end_of_the_mode() -> None:
    rig = quiet_rig()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.wait(20_000)
    leave(rig, peer)
    rig.wait(9_999)
    assert (rig.mode, inhibited(rig)) == ("normal", {"motion"})
    rig.wait(1)
    assert inhibited(rig) == frozenset()


@pytest.mark.parametrize("body", [{}, {"off": 0, "data": b"x", "len": 10**9}], ids=["malformed", "too large"])
def test_a_command_that_failed_was_executed(body: dict[str, object]) -> None:
    rig = quiet_rig()
    peer = rig.in_maintenance()
    assert "err" in rig.write(peer, image.ID, image.Id.UPLOAD, body)
    leave(rig, peer)
    assert inhibited(rig) == {"motion"}


def test_what_was_refused_or_cannot_change_firmware_begins_none() -> None:
    rig = quiet_rig()
    peer = rig.in_maintenance()
    rig.read(peer, image.ID, image.Id.STATE)
    rig.write(peer, os.ID, os.Id.ECHO, {"d": "x"})
    leave(rig, peer)
    assert inhibited(rig) == frozenset()
    assert rig.write(peer, image.ID, image.Id.ERASE)["rc"] == DENIED
    assert rig.server.core.state.quiet is None


def test_an_update_that_reverts_is_followed_by_it() -> None:
    rig = quiet_rig()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.reset(peer)
    rig.wait(120_000)
    assert (rig.mode, inhibited(rig)) == ("normal", {"motion"})
    rig.wait(29_999)
    assert inhibited(rig) == {"motion"}
    rig.wait(1)
    assert inhibited(rig) == frozenset()
