"""The machine alone: behind a door that lets everything through, no firmware changes outside maintenance."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.device.server_rig import Rig, image_hash, make_image, packet

from keyswitch.device.server.components import Components
from keyswitch.gate.decision import ALLOWED
from keyswitch.gate.events import ButtonHeld
from keyswitch.gate.peer import Service
from keyswitch.policy.firmware_commands import FIRMWARE_COMMANDS
from keyswitch.smp.commands import CommandKey, resolve
from keyswitch.terms import Transport

NEW = make_image("1.1.0")
MODES = ("normal", "active", "pairing")


def bring(name: str) -> Rig:
    rig = Rig(parts=Components(authorise=lambda *_: ALLOWED))
    if name == "active":
        rig.input("motion", value=True)
    elif name == "pairing":
        rig.carry_out(rig.server.event(ButtonHeld(hold_ms=2_000), rig.now_ms))
    assert rig.mode == name
    return rig


def requests(rig: Rig) -> Iterator[tuple[CommandKey, dict[str, Any]]]:
    """Every command that can change firmware, with every payload that means something else."""
    first = {"off": 0, "len": len(NEW), "data": NEW[:64]}
    meant: dict[str, tuple[dict[str, Any], ...]] = {
        "image.upload:write": (first, {**first, "image": 1}, {**first, "upgrade": True}),
        "image.erase:write": ({"slot": 0}, {"slot": 1}),
        "image.state:write": (
            {"hash": image_hash(rig.running)},
            {"hash": image_hash(rig.running), "confirm": True},
            {"confirm": True},
        ),
        "os.reset:write": ({"force": 1}, {"boot_mode": 1}),
    }
    for key in sorted(FIRMWARE_COMMANDS):
        yield key, {}
        for name, bodies in meant.items():
            for body in bodies if key in resolve(name) else ():
                yield key, body


@pytest.mark.parametrize("name", MODES)
def test_behind_an_open_door_the_machine_changes_no_firmware_outside_maintenance(name: str) -> None:
    rig = bring(name)
    wear, resets = rig.flash.wear, rig.resets
    for transport in Transport:
        peer = rig.peer(transport)
        for key, body in requests(rig):
            for door in Service:
                for version in (0, 1):
                    frame = packet(key.op, key.group, key.id, body)
                    rig.send(peer, bytes([version << 3 | key.op]) + frame[1:], door)
                    state = rig.server.core.state
                    found = (state.mode, state.session, state.upload, state.armed, state.reset_pending, state.trial)
                    assert found == (name, None, None, (), False, False), (key, body)
        rig.wait(1_000)
    assert (rig.flash.wear, rig.resets) == (wear, resets)
