"""Mutated frames through every door: no crash, every request answered, nothing changed outside maintenance.

The bounded run draws from seeds of its own; the deep one goes on to a million frames.
"""

import hashlib
import random
from collections.abc import Callable, Iterator

import pytest
from tests.device.server_rig import Rig, make_image, packet, pump

from keyswitch.gate.nonces import MAX_OUTSTANDING
from keyswitch.gate.peer import Service
from keyswitch.smp.commands import ALL_KEYS
from keyswitch.smp.framing import Receiver, ble, console, udp
from keyswitch.smp.framing.console import ConsoleReceiver
from keyswitch.smp.framing.raw import StreamReceiver
from keyswitch.smp.framing.udp import UdpReceiver
from keyswitch.smp.groups import mode
from keyswitch.terms import Transport

NEW = make_image()
BODIES = [
    {},
    {"d": "hi"},
    {"off": 0, "len": len(NEW), "data": NEW[:64], "sha": hashlib.sha256(NEW).digest()},
    {"off": 64, "data": NEW[64:200]},
    {"hash": NEW[-32:], "confirm": True},
    {"confirm": True},
    {"slot": 1},
    {"force": True, "boot_mode": 1},
    {"to": "maintenance"},
    {"to": "maintenance", "proof": "challenge", "mac": bytes(32)},
    {"to": "maintenance", "proof": "sequence", "step": 1},
    {"to": "maintenance", "proof": "permit", "permit": b"\xd2\x84", "sig": bytes(64)},
    {"name": "app/x", "val": b"1"},
    {"argv": ["kernel", "reboot"]},
    {"index": 3, "groups": [0, 1]},
    {"datetime": "2026-01-01T00:00:00", "format": "a", "query": "mode"},
]


def frames(seed: int, count: int) -> Iterator[bytes]:
    """Right frames, and frames with bits, bytes, lengths and ends changed."""
    chance = random.Random(seed)
    keys = sorted(ALL_KEYS)
    for number in range(count):
        key = chance.choice(keys)
        frame = bytearray(packet(key.op, key.group, key.id, chance.choice(BODIES), number & 0xFF))
        for _ in range(chance.choice((0, 1, 1, 2, 5))):
            mutate(chance, frame)
        yield bytes(frame[: chance.choice((len(frame), len(frame), chance.randrange(len(frame) + 1)))])


def mutate(chance: random.Random, frame: bytearray) -> None:
    match chance.randrange(6):
        case 0 if frame:
            frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        case 1 if frame:
            frame[chance.randrange(min(8, len(frame)))] = chance.randrange(256)
        case 2:
            at = chance.randrange(len(frame) + 1)
            frame[at:at] = chance.randbytes(chance.randrange(1, 9))
        case 3 if frame:
            at = chance.randrange(len(frame))
            del frame[at : at + chance.randrange(1, 9)]
        case 4:
            frame += packet(2, 0, 0, {"d": "behind"})
        case _:
            frame += chance.randbytes(chance.randrange(1, 30))


def shut(rig: Rig) -> tuple[bytes, object, object]:
    """What no frame may change outside maintenance."""
    return (
        hashlib.sha256(rig.flash.read(0, rig.flash.geometry.size)).digest(),
        rig.server.core.state,
        rig.store.documents.get("session.json"),
    )


def run(seed: int, count: int, name: str) -> None:
    rig = Rig(pump(buf_size=512))
    if name == "active":
        rig.input("motion", value=True)
    peer = rig.in_maintenance() if name == "maintenance" else rig.peer()
    before = shut(rig)
    for number, frame in enumerate(frames(seed, count)):
        door = Service.MODE if number % 7 == 0 else Service.SMP
        if len(frame) > 512:
            frame = frame[:512]  # noqa: PLW2901  what is larger never comes out of a receiver
        answers = rig.send(peer, frame, door)
        assert bool(answers) is (len(frame) >= 8), frame.hex()
        assert all(len(answer.encode()) <= 512 for answer in answers)
        if name != "maintenance":
            assert shut(rig) == before, frame.hex()
        elif rig.mode != "maintenance" or peer not in rig.inbox:
            rig.wait(400_000)
            peer = rig.in_maintenance()
        rig.wait(1 if number % 50 else 300)
        if peer not in rig.inbox:
            rig.wait(400_000)
            peer = rig.in_maintenance()
    core = rig.server.core
    assert core.queues.depth() == 0
    assert len(core.nonces._given) <= MAX_OUTSTANDING
    assert len(core.settings) <= 64
    assert len(core.sequences) <= 2


@pytest.mark.parametrize("name", ["normal", "active", "maintenance"])
def test_mutated_frames(name: str):
    run(1, 1_500, name)


@pytest.mark.deep
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", ["normal", "active", "maintenance"])
def test_a_million_mutated_frames(name: str, tell: Callable[[str], None]):
    run(2, 340_000, name)
    tell("340,000 frames; each answered")


RECEIVERS = {
    Transport.BLE: (StreamReceiver, lambda frame: ble.pieces(frame, 20)),
    Transport.SERIAL: (ConsoleReceiver, console.pieces),
    Transport.UDP: (UdpReceiver, udp.pieces),
}


@pytest.mark.parametrize("transport", RECEIVERS, ids=str)
def test_mutated_streams(transport: Transport):
    run_streams(transport, 4, 1_500)


@pytest.mark.deep
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("transport", RECEIVERS, ids=str)
def test_many_mutated_streams(transport: Transport, tell: Callable[[str], None]):
    run_streams(transport, 5, 100_000)
    tell("100,000 frames, cut and mutated on their way")


def run_streams(transport: Transport, seed: int, count: int) -> None:
    """The same through the framing, cut and mutated once more: whatever comes out is judged like anything else."""
    make, pieces = RECEIVERS[transport]
    chance = random.Random(seed)
    rig = Rig(pump(buf_size=512))
    peer = rig.peer(transport)
    receiver: Receiver = make(512)
    before = shut(rig)
    for frame in frames(seed, count):
        for piece in pieces(frame):
            changed = bytearray(piece)
            if chance.random() < 0.1 and transport is not Transport.UDP:
                mutate(chance, changed)
            got = receiver.receive(bytes(changed), rig.now_ms)
            for whole in got.packets:
                assert rig.send(peer, whole)
            for dropped in got.dropped:
                rig.carry_out(rig.server.too_large(peer, dropped.header))
        rig.wait(100)
    assert shut(rig) == before


def test_after_all_that_a_right_operator_still_gets_in():
    rig = Rig(pump(buf_size=512))
    peer = rig.peer()
    for frame in frames(5, 300):
        rig.send(peer, frame)
    rig.wait(400_000)
    assert "session" in rig.enter(peer)
    assert rig.read(peer, mode.ID, mode.Id.STATE)["gate"] is True
