"""Every way in which maintenance can end, and what must be true afterwards."""

import pytest
from tests.device.server_rig import Rig, make_image, packet

from keyswitch.smp.groups import mode

NEW = make_image("1.1.0")
MODE = mode.ID


def leave_by_request(rig: Rig, peer: int) -> None:
    rig.write(peer, MODE, 5)


def leave_by_lease(rig: Rig, peer: int) -> None:
    for _ in range(10):
        rig.wait(90_000)
        if rig.mode == "maintenance":
            rig.send(peer, packet(0, 0, 6))


def leave_by_idling(rig: Rig, _peer: int) -> None:
    rig.wait(120_000)


def leave_by_guard(rig: Rig, _peer: int) -> None:
    rig.input("motion", value=True)


def leave_by_battery(rig: Rig, _peer: int) -> None:
    rig.input("battery_percent", 29)


def leave_by_power_cut(rig: Rig, _peer: int) -> None:
    rig.power_up()


WAYS = [leave_by_request, leave_by_lease, leave_by_idling, leave_by_guard, leave_by_battery, leave_by_power_cut]
by_every_way = pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)


def assert_shut(rig: Rig) -> None:
    assert rig.mode in {"normal", "active"}
    core = rig.server.core
    assert (core.upload, core.state.upload, core.state.armed, core.state.session) == (None, None, (), None)
    assert core.queues.depth() == 0
    assert rig.store.documents.get("session.json") is None
    running = rig.report.images[0].running_hash
    rig.wait(10_000)
    rig.power_up()
    assert rig.report.images[0].running_hash == running
    peer = rig.peer()
    assert rig.write(peer, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:64]})["rc"] == 11
