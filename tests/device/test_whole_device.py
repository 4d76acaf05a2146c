"""Random lives of a device, against a small oracle: modes, doors, timers, visibility, flash, persistence, lock-out."""

import hashlib
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.device.oracle import Oracle
from tests.device.server_rig import Rig, image_hash, make_image, packet
from tests.prove import faults

from keyswitch.device.server.components import Components
from keyswitch.device.server.output import Output
from keyswitch.gate import effects as do
from keyswitch.gate import events as on
from keyswitch.gate.effects import ShowService
from keyswitch.gate.events import ButtonHeld
from keyswitch.smp.groups import image, mode, os
from keyswitch.smp.header import Op
from keyswitch.terms import Transport

WRONG_SECRET = bytes(32)
DENIED = 11

PROBES: dict[str, Callable[[Rig, int], dict[str, Any]]] = {
    "echo": lambda rig, peer: rig.write(peer, os.ID, os.Id.ECHO, {"d": "x"}),
    "list": lambda rig, peer: rig.read(peer, image.ID, image.Id.STATE),
    "upload": lambda rig, peer: rig.write(peer, image.ID, image.Id.UPLOAD, {"off": 1, "data": b"stray"}),
    "state": lambda rig, peer: rig.write(peer, image.ID, image.Id.STATE, {"hash": bytes(32)}),
}
"""One harmless request for each kind of door."""


class Lived(Rig):
    """The rig, with a world around it whose inputs outlive resets, and an eye on the GATT table."""

    def __init__(self, parts: Components | None = None) -> None:
        self.world: dict[str, Any] = {"motion": False, "battery_percent": 100}
        self.ble: set[int] = set()
        self.shown = False
        super().__init__(parts=parts)

    def power_up(self, inputs: tuple[tuple[str, Any], ...] = (), *, loader_asked: bool = False) -> None:
        self.ble.clear()
        self.shown = False
        super().power_up(inputs or tuple(self.world.items()), loader_asked=loader_asked)

    def carry_out(self, output: Output | None) -> Output:
        for effect in (output or Output()).effects:
            if isinstance(effect, ShowService):
                assert not self.ble, "the table changed under a connection"
                self.shown = effect.shown
        return super().carry_out(output)

    def gone(self, peer: int) -> None:
        self.ble.discard(peer)
        super().gone(peer)

    def contents(self) -> bytes:
        return hashlib.sha256(self.flash.read(0, self.layout.geometry.size)).digest()


class Life:
    """A device and its oracle, driven by the same events."""

    def __init__(self, parts: Components | None = None) -> None:
        self.rig = Lived(parts)
        self.oracle = Oracle(now=self.rig.now_ms)
        self.images = {0: self.rig.running}

    def peer(self, which: int) -> int:
        """One of those that are there; somebody new on UDP if there is none."""
        there = sorted(self.oracle.centrals | self.oracle.others)
        return there[which % len(there)] if there else self.udp(which)

    def agree(self) -> None:
        rig, oracle = self.rig, self.oracle
        assert rig.mode == oracle.mode
        assert rig.shown == oracle.shown
        assert rig.ble == oracle.centrals
        assert rig.now_ms == oracle.now
        assert rig.server.core.lease_ms(rig.now_ms) == self._lease_ms()
        assert image_hash(self.images[oracle.running]) == rig.report.images[0].running_hash
        assert (rig.store.read("session.json") or {}).get("record") is None
        assert rig.server.state_value(rig.now_ms).flags & mode.StateFlags.GATE_OPEN == (oracle.mode == "maintenance")

    def _lease_ms(self) -> int | None:
        ends = [self.oracle.ends[name] for name in ("lease", "most") if name in self.oracle.ends]
        return min(ends) - self.oracle.now if ends else None

    # --- events ---

    def connect(self, _which: int) -> None:
        peer = self.rig.next_peer
        self.rig.ble.add(peer)
        assert self.rig.peer(Transport.BLE) == peer
        self.oracle.centrals.add(peer)

    def udp(self, _which: int) -> int:
        peer = self.rig.peer()
        self.oracle.others.add(peer)
        return peer

    def part(self, which: int) -> None:
        peer = self.peer(which)
        self.rig.gone(peer)
        self.oracle.gone(peer)

    def enter(self, which: int) -> None:
        peer = self.peer(which)
        self._enter(peer, right=True)

    def guess(self, which: int) -> None:
        peer = self.peer(which)
        self._enter(peer, right=False)

    def _enter(self, peer: int, *, right: bool) -> None:
        proof = self.rig.proof(peer) if right else self.rig.proof(peer, secret=WRONG_SECRET)
        body = {"to": "maintenance", **proof}
        answer = self.rig.write(peer, mode.ID, mode.Id.ENTER, body)
        assert ("session" in answer) is self.oracle.enter(peer, right=right), answer

    def leave(self, which: int) -> None:
        # A revert on leaving takes everybody's link: the answer may be lost.
        self.rig.put(self.peer(which), packet(Op.WRITE, mode.ID, mode.Id.LEAVE))
        self.rig.run()
        self.oracle.leave()

    def extend(self, which: int) -> None:
        answer = self.rig.write(self.peer(which), mode.ID, mode.Id.EXTEND)
        assert (answer.get("rc") != DENIED) is self.oracle.extend()

    def motion(self, which: int) -> None:
        moving = which % 4 == 1
        self.rig.world["motion"] = moving
        self.rig.input("motion", moving)
        self.oracle.sense(motion=moving)

    def battery(self, which: int) -> None:
        level = (5, 29, 30, 80)[which % 4]
        self.rig.world["battery_percent"] = level
        self.rig.input("battery_percent", level)
        self.oracle.sense(battery=level)

    def button(self, which: int) -> None:
        hold_ms = (100, 2_000, 4_999, 5_000, 9_000)[which % 5]
        self.rig.carry_out(self.rig.server.event(ButtonHeld(hold_ms=hold_ms), self.rig.now_ms))
        self.oracle.button(hold_ms)

    def time(self, which: int) -> None:
        ms = (1, 249, 250, 1_000, 59_999, 60_000, 119_999, 120_000, 400_000, 900_000)[which % 10]
        self.rig.wait(ms)
        self.oracle.time(ms)

    def power(self, _which: int) -> None:
        self.rig.power_up()
        self.oracle.power_cycle()

    def probe(self, which: int) -> None:
        for name, ask in PROBES.items():
            answer = ask(self.rig, self.peer(which))
            assert (answer.get("rc") != DENIED) is self.oracle.serves(name), (name, answer)

    def upload(self, which: int) -> None:
        peer = self.peer(which)
        number = len(self.images)
        content = make_image(f"1.0.{number}", size=2_000, seed=number)
        before = self.rig.contents()
        allowed = self.oracle.upload(number)
        if allowed:
            self.images[number] = content
            assert self.rig.upload(peer, content)["off"] == len(content)
        else:
            answer = self.rig.write(
                peer, image.ID, image.Id.UPLOAD, {"off": 0, "len": len(content), "data": content[:99]}
            )
            assert "off" not in answer
            assert self.rig.contents() == before

    def arm(self, which: int) -> None:
        spare = self.oracle.spare
        asked = image_hash(self.images[spare]) if spare is not None else bytes(32)
        answer = self.rig.write(self.peer(which), image.ID, image.Id.STATE, {"hash": asked})
        assert ("images" in answer) is self.oracle.arm(), answer

    def reset(self, which: int) -> None:
        answer = self.rig.write(self.peer(which), os.ID, os.Id.RESET, {})
        assert (answer == {}) is self.oracle.reset()

    def confirm(self, which: int) -> None:
        answer = self.rig.write(self.peer(which), image.ID, image.Id.STATE, {"confirm": True})
        assert ("images" in answer) is self.oracle.confirm(), answer

    def ask_deaf(self, _which: int) -> None:
        """Somebody asks and takes no answer: the request waits."""
        peer = self.rig.peer()
        self.rig.server.hold(peer, held=True)
        self.rig.put(peer, packet(Op.WRITE, os.ID, os.Id.ECHO, {"d": "late"}))
        self.oracle.asked[peer] = True

    def hear(self, _which: int) -> None:
        """Whoever has asked takes the answers now, and goes."""
        for peer in list(self.oracle.asked):
            self.rig.server.hold(peer, held=False)
            self.rig.run()
            (answer,) = self.rig.inbox[peer]
            assert ("r" in answer.body()) is self.oracle.hears(peer), answer.body()
            self.rig.gone(peer)

    def update(self, which: int) -> None:
        """What an operator does, as far as it gets; on UDP, where no connection ends on the way."""
        self.udp(which)
        for step in (self.enter, self.upload, self.arm, self.reset):
            step(max(self.oracle.others))
            self.agree()
        self.time(2)


EVENTS = (
    "connect", "udp", "part", "enter", "enter", "enter", "guess", "leave", "extend", "motion", "battery", "button",
    "time", "time", "power", "probe", "probe", "upload", "upload", "arm", "arm", "reset", "reset", "confirm",
    "update", "update", "update", "confirm", "ask_deaf", "ask_deaf", "hear",
)  # fmt: skip
LIVES = st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 19)), min_size=20, max_size=60)


def live(events: list[tuple[str, int]], parts: Components | None = None) -> None:
    life = Life(parts)
    for name, which in events:
        before = life.oracle.mode, life.oracle.boots, life.rig.contents()
        getattr(life, name)(which)
        life.agree()
        shut = before[0] != "maintenance" != life.oracle.mode and before[1] == life.oracle.boots
        if shut:
            assert life.rig.contents() == before[2], "flash changed outside maintenance"


@pytest.mark.parametrize("seed", range(6))
def test_devices_live_as_their_oracle_says(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(10):
        live([(chance.choice(EVENTS), chance.randrange(20)) for _ in range(60)])


@pytest.mark.deep
@pytest.mark.timeout(900)
@settings(max_examples=5_000)
@given(LIVES)
def test_many_devices_live_as_their_oracle_says(events: list[tuple[str, int]]) -> None:
    live(events)


def test_a_whole_update_and_everything_that_can_follow() -> None:
    live([("udp", 0), ("enter", 0), ("upload", 0), ("arm", 0), ("reset", 0), ("time", 2), ("confirm", 0), ("leave", 0)])
    for end in ("leave", "power", "motion"):
        live([("udp", 0), ("enter", 0), ("upload", 0), ("arm", 0), ("reset", 0), ("time", 2), (end, 1), ("probe", 0)])
    live([("udp", 0), ("enter", 0), ("upload", 0), ("arm", 0), ("reset", 0), ("time", 2), ("time", 7), ("probe", 0)])
    live([("udp", 0), ("enter", 0), ("upload", 0), ("arm", 0), ("power", 0), ("enter", 0), ("arm", 0), ("leave", 0)])


def test_the_oracle_sees_planted_faults() -> None:
    """Each fault is a machine that the prover refutes as well."""
    update = [("udp", 0), ("enter", 0), ("upload", 0), ("arm", 0), ("reset", 0), ("time", 2)]
    seen = {
        "no record": (faults.without(do.WriteSessionRecord), update),
        "guards asked once": (
            faults.where(on.InputChanged, faults.ignores_guards),
            [("udp", 0), ("enter", 0), ("motion", 1)],
        ),
        "a lease without end": (
            faults.where(on.Expired, faults.lease_without_end),
            [("udp", 0), ("enter", 0), *[("time", 6), ("probe", 0)] * 9],
        ),
        "what waited for maintenance": (
            faults.waits_for_maintenance(do.DropQueued),
            [("ask_deaf", 0), ("button", 3), ("hear", 0)],
        ),
        "never shown": (faults.GateUnderProof(step=faults.never_shows), [("button", 3)]),
        "open to all": (
            faults.GateUnderProof(authorise=faults.serves_everything),
            [("udp", 0), ("motion", 1), ("probe", 0)],
        ),
    }
    for gate, events in seen.values():
        with pytest.raises(AssertionError):
            live(events, Components(step=gate.step, authorise=gate.authorise))
