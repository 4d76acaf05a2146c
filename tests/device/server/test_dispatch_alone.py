"""The way to the door, alone: whatever a frame looks like, its handler runs only if the door let exactly it through.

The rig is in maintenance with a policy that serves everything, so that the machine and the mode would refuse nothing;
what keeps a frame out is the door in front of the handlers and nothing else. The door here refuses in words of its own:
no handler and no machine says them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.device.server_rig import Rig, bodies, image_hash, make_image, packet, pump

from keyswitch.device.server.components import Components
from keyswitch.device.server.dispatch import HANDLERS
from keyswitch.gate.decision import ALLOWED, Decision, Refused
from keyswitch.gate.events import ButtonHeld
from keyswitch.gate.peer import Peer, Service
from keyswitch.gate.state import GateState
from keyswitch.policy.model import Policy
from keyswitch.reasons import Reason
from keyswitch.smp.commands import ALL_KEYS, CommandKey, resolve
from keyswitch.smp.frame import request
from keyswitch.smp.groups import mode
from keyswitch.smp.header import Op
from keyswitch.terms import Transport

NEW = make_image("1.1.0")
FIRST = {"off": 0, "len": len(NEW), "data": NEW[:64]}

PAYLOADS: dict[str, tuple[dict[str, Any], ...]] = {
    "image.state:write": (
        {"hash": image_hash(NEW), "confirm": False},
        {"hash": image_hash(NEW), "confirm": True},
        {"confirm": True},
    ),
    "image.upload:write": (FIRST, {**FIRST, "image": 1}, {**FIRST, "upgrade": True}, {"off": 64, "data": NEW[64:128]}),
    "image.erase:write": ({"slot": 0}, {"slot": 1}, {"slot": 3}),
    "os.reset:write": ({"force": 1}, {"boot_mode": 1}),
    "mode.enter:write": ({"to": "maintenance"}, {"to": "normal"}),
}
"""Requests whose fields say more than an empty map: a door that looks at a field lets some of these through."""

ECHO = packet(Op.WRITE, 0, 0, {"d": "x"}, sequence=1)
NO = Refused(Reason.OWNER, "the door's own word")
SAID = {"rc": 11, "rsn": NO.text}


def payloads(key: CommandKey) -> list[dict[str, Any]]:
    return [{}] + [each for name, some in PAYLOADS.items() if key in resolve(name) for each in some]


class Watch:
    """A door that serves what it is told to, and notes what it was asked."""

    def __init__(self, serves: Callable[[tuple[int, int, int]], bool]) -> None:
        self.serves = serves
        self.asked: list[tuple[Peer, tuple[int, int, int]]] = []

    def __call__(self, _policy: Policy, _state: GateState, peer: Peer, command: tuple[int, int, int]) -> Decision:
        self.asked.append((peer, command))
        return ALLOWED if self.serves(command) else NO


def watched(serves: Callable[[tuple[int, int, int]], bool] = lambda _: False) -> tuple[Rig, Watch]:
    """A rig in maintenance behind a door of the test's own."""
    policy = pump()
    everywhere = {name: replace(each, allow=ALL_KEYS) for name, each in policy.modes.items()}
    watch = Watch(serves)
    rig = Rig(replace(policy, modes=everywhere), parts=Components(authorise=watch))
    rig.carry_out(rig.server.event(ButtonHeld(hold_ms=5_000), rig.now_ms))
    assert rig.mode == "maintenance"
    return rig, watch


def frame(key: tuple[int, int, int], version: int, body: dict[str, Any], sequence: int = 1) -> bytes:
    group, command, op = key
    whole = request(op=Op.READ, group=group, command=command, sequence=sequence, body=body).encode()
    return bytes([version << 3 | op]) + whole[1:]


def test_every_known_command_has_a_handler_and_no_other() -> None:
    assert HANDLERS.keys() == ALL_KEYS


@pytest.mark.parametrize("transport", Transport)
def test_nothing_is_served_past_a_door_that_refuses(transport: Transport) -> None:
    rig, watch = watched()
    peer = rig.peer(transport)
    before = rig.server.core.state, rig.flash.wear, rig.server.core.counts.served
    for key in sorted(ALL_KEYS):
        for body in payloads(key):
            for version in (0, 1):
                for door in Service:
                    watch.asked.clear()
                    answers = bodies(rig.send(peer, frame(key, version, body), door))
                    assert answers == [SAID], (key, version, door, body)
                    assert [(each.id, each.door, command) for each, command in watch.asked] == [(peer, door, key)]
    assert (rig.server.core.state, rig.flash.wear, rig.server.core.counts.served) == before


def test_each_frame_of_a_packet_is_asked_about() -> None:
    echo = (0, 0, Op.WRITE.value)
    for key in sorted(ALL_KEYS - {echo}):
        for body in payloads(key):
            rig, watch = watched(lambda command: command == echo)
            wear = rig.flash.wear
            answers = bodies(rig.send(rig.peer(), ECHO + ECHO + frame(key, 1, body, sequence=2)))
            assert answers == [{"r": "x"}, {"r": "x"}, SAID], (key, body)
            assert [command for _, command in watch.asked] == [echo, echo, key]
            assert rig.flash.wear == wear


def test_what_a_frame_asks_for_is_what_the_door_is_asked_about_and_what_runs() -> None:
    for key in sorted(ALL_KEYS - resolve("mode") - resolve("os.reset")):
        rig, watch = watched(lambda command, key=key: command == key)
        peer = rig.peer()
        assert bodies(rig.send(peer, frame(key, 1, {}))) != [SAID]
        for other in sorted(ALL_KEYS - {key}):
            assert bodies(rig.send(peer, frame(other, 1, {}))) == [SAID], (key, other)
        assert [command for _, command in watch.asked] == [key, *sorted(ALL_KEYS - {key})]


# --- what is answered before the door is asked: it is asked nothing, and serves nothing ---


def unasked(make: Callable[[tuple[int, int, int]], bytes], rc: int) -> None:
    """What is made of each known command gets this code by either service, and the door is not asked."""
    rig, watch = watched(lambda _: True)
    peer = rig.peer()
    before = rig.server.core.state, rig.flash.wear, rig.server.core.counts.served
    for key in sorted(ALL_KEYS):
        for door in Service:
            assert bodies(rig.send(peer, make(key), door)) == [{"rc": rc}], (key, door)
    assert watch.asked == []
    assert (rig.server.core.state, rig.flash.wear, rig.server.core.counts.served) == before


def test_a_frame_that_is_cut_is_corrupt() -> None:
    unasked(lambda key: frame(key, 1, {"d": "x"})[:-1], 9)
    unasked(lambda key: frame((*key[:2], 7), 3, {"d": "x"})[:-1], 9)


@pytest.mark.parametrize("op", [1, 3, 4, 5, 6, 7])
def test_what_is_no_request_is_not_supported_whatever_its_version(op: int) -> None:
    for version in range(4):
        unasked(lambda key, version=version: frame((key[0], key[1], op), version, {}), 8)


@pytest.mark.parametrize("version", [2, 3])
def test_a_later_version_is_too_new_for_known_and_unknown_commands(version: int) -> None:
    unasked(lambda key: frame(key, version, {}), 13)
    unasked(lambda key: frame((key[0], 99, key[2]), version, {}), 13)


def test_an_unknown_command_is_unknown_whatever_the_door_says() -> None:
    for serves in (True, False):
        rig, watch = watched(lambda _, serves=serves: serves)
        peer = rig.peer()
        for group in (*range(70), mode.ID, 0xFFFF):
            for command in (*range(12), 255):
                for op in (0, 2):
                    if (group, command, op) not in ALL_KEYS:
                        assert bodies(rig.send(peer, frame((group, command, op), 1, {}))) == [{"rc": 8}]
        assert watch.asked == []
