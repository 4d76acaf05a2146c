"""What reaches flash and store, in which order, and what a power cut between two of them leaves behind."""

from dataclasses import replace

import pytest
from tests.device.server_rig import Rig, early, image_hash, make_image, packet, pump

from keyswitch.device.server.components import Components
from keyswitch.device.storage.store import Memory, MemoryStore
from keyswitch.gate import effects as do
from keyswitch.gate.decision import ALLOWED
from keyswitch.gate.machine import step
from keyswitch.gate.record import SessionRecord
from keyswitch.mcuboot import slots
from keyswitch.mcuboot.image import ImageFault
from keyswitch.mcuboot.slots import ArmResult
from keyswitch.policy.enums import ProofKind
from keyswitch.policy.firmware_commands import FIRMWARE_COMMANDS
from keyswitch.smp.groups import mode

NEW = make_image("1.1.0")


class PowerCut(Exception):  # noqa: N818  it is no error
    """The power goes, here."""


@pytest.mark.parametrize("when", ["before", "after"])
def test_power_cut_around_the_trailer(when: str):
    """The record is there first: the image starts inside its session, or not at all."""
    seen = []

    def cut(flash, layout, slot, *, permanent):
        seen.append(rig.store.documents["session.json"]["record"]["expected"])
        if when == "after":
            slots.arm(flash, layout, slot, permanent=permanent)
        raise PowerCut

    rig = Rig(parts=Components(arm=cut))
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    with pytest.raises(PowerCut):
        rig.reset(peer)
    assert seen == [image_hash(NEW).hex()]
    rig.power_up()
    started = rig.report.images[0].running_hash == image_hash(NEW)
    assert (started, rig.mode) == ((True, "maintenance") if when == "after" else (False, "normal"))
    assert "session.json" not in rig.store.documents


@pytest.mark.parametrize(
    "result", [b"\x00" * 32, ImageFault(check="hash", expected="x", found="y")], ids=["other", "fault"]
)
def test_the_hash_is_computed_again_before_the_trailer_is_written(result):
    answers = [image_hash(NEW), result]
    rig = Rig(parts=Components(computed_hash=lambda *_: answers.pop(0)))
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.reset(peer)
    assert (rig.resets, rig.mode, answers) == (0, "maintenance", [])
    assert not rig.server.core.state.armed
    assert rig.images(peer)[1] == (1, "1.1.0", "bootable")


def test_a_trailer_that_cannot_be_written_is_said_early():
    rig = Rig(early(pump()), parts=Components(arm=lambda *_, **__: ArmResult.BAD_TRAILER))
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    assert rig.test(peer, NEW) == {"err": {"group": 1, "rc": 23}}
    assert rig.images(peer)[1] == (1, "1.1.0", "bootable")


def test_a_confirmation_that_does_not_take_is_said():
    rig = Rig(parts=Components(confirm=lambda *_: ArmResult.BAD_TRAILER))
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    rig.reset(peer)
    assert rig.write(rig.peer(), 1, 0, {"confirm": True}) == {"err": {"group": 1, "rc": 29}}


# --- planted faults: each makes visible what the tests around it would see ---


SET_CLOCK = packet(2, 0, 4, {"datetime": "2026-01-01T00:00:00"})


def let_in(rig: Rig) -> bool:
    """Whether a command that the mode does not allow is executed."""
    rig.send(rig.peer(), SET_CLOCK)
    return rig.server.core.clock is not None


def writes_flash(rig: Rig) -> bool:
    """Whether a firmware command gets through outside maintenance: past the door, the machine still refuses it."""
    before = rig.flash.wear
    for key in sorted(FIRMWARE_COMMANDS):
        for body in ({}, {"off": 0, "len": len(NEW), "data": NEW[:64]}, {"hash": image_hash(rig.running)}):
            rig.send(rig.peer(), packet(key.op, key.group, key.id, body))
    rig.wait(1_000)
    return rig.flash.wear != before or rig.resets > 0


def stays(rig: Rig) -> bool:
    """Whether a request that waited is executed after maintenance has ended."""
    rig.put(rig.in_maintenance(), SET_CLOCK)
    rig.input("motion", value=True)
    rig.run()
    return rig.server.core.clock is not None


def arms_itself(rig: Rig) -> bool:
    """Whether a file with a trailer of its own starts without a state write."""
    peer = rig.in_maintenance()
    size = rig.layout.pairs[0].secondary.size
    padded = NEW.ljust(size - 16, b"\xff") + bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")
    for offset in range(0, size, 2048):
        body = {"off": offset, "data": padded[offset : offset + 2048]} | ({} if offset else {"len": size})
        if "off" not in rig.write(peer, 1, 1, body):
            return False
    rig.power_up()
    return rig.resets > 0


def starts_what_changed(rig: Rig) -> bool:
    """Whether an image that was changed behind its arming gets a trailer."""
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    slot = rig.layout.pairs[0].secondary
    rig.flash.erase(slot.offset + 1024, 1024)
    rig.reset(peer)
    return rig.resets > 0


def never_refuse(_policy, _state, _peer, _command):
    return ALLOWED


def keeps_its_queue(policy, state, event):
    done = step(policy, state, event)
    return replace(done, effects=tuple(each for each in done.effects if not isinstance(each, do.DropQueued)))


def grants_everything(policy, state, event):
    done = step(policy, state, event)
    return done if done.refused is None else replace(done, refused=None)


def whole_slot(layout, _image):
    return layout.pairs[0].secondary.size


def its_own_word(flash, layout, slot):
    return slots.read_image(flash, layout, slot).hash


FAULTS = [
    ("a door that refuses nothing", Components(authorise=never_refuse), let_in),
    (
        "a queue that is kept, and a door that trusts it",
        Components(authorise=never_refuse, step=keeps_its_queue),
        stays,
    ),
    ("uploads up to the slot's end", Components(max_image_size=whole_slot), arms_itself),
    ("a hash taken from the image's own word", Components(computed_hash=its_own_word), starts_what_changed),
]


@pytest.mark.parametrize(("parts", "shows"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_planted_faults_are_seen(parts: Components, shows):
    assert shows(Rig(parts=parts))
    assert not shows(Rig())


def test_past_an_open_door_the_machine_still_refuses_firmware():
    assert not writes_flash(Rig(parts=Components(authorise=never_refuse)))
    assert writes_flash(Rig(parts=Components(authorise=never_refuse, step=grants_everything)))


# --- the store ---

RECORD = SessionRecord(
    policy=bytes(32),
    mode="maintenance",
    proof=ProofKind.CHALLENGE,
    expected=((0, bytes(32)),),
    token=b"abcd",
    lease_ms=5,
)


def test_the_record_is_taken_once():
    memory = Memory(MemoryStore())
    memory.save_record(RECORD)
    assert memory.take_record() == RECORD
    assert memory.take_record() is None


@pytest.mark.parametrize(
    "document",
    [
        {"record": None},
        {"record": 5},
        {"record": {}},
        {"record": {"version": 1}},
        {"record": {"version": 99, "mode": "maintenance"}},
        {"mode": 5},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_understood_is_worth_nothing(document):
    store = MemoryStore()
    store.write("session.json", document)
    assert Memory(store).take_record() is None
    assert Memory(store).mode() is None
    rig = Rig()
    rig.store.write("session.json", document)
    rig.power_up()
    assert rig.mode == "normal"


def test_documents_of_others_are_kept():
    store = MemoryStore()
    store.write("counters.json", {"security_counters": [3]})
    memory = Memory(store)
    memory.save_lockout({"challenge": 2})
    assert store.documents["counters.json"] == {"security_counters": [3], "lockout": {"challenge": 2}}
    assert memory.lockout() == {"challenge": 2}
    memory.save_lockout({})
    assert store.documents["counters.json"] == {"security_counters": [3]}
    memory.save_mode("service")
    memory.save_record(RECORD)
    assert memory.take_record() == RECORD
    assert memory.mode() == "service"
    memory.save_mode(None)
    assert "session.json" not in store.documents


def test_a_record_of_another_version_mode_or_image_is_worth_nothing():
    other = {"policy": "00" * 32}
    for change in (
        {"expected": "00" * 32},
        {"version": 1},
        {"mode": "normal"},
        {**other, "mode": "cellar"},
        {**other, "expected": None},
    ):
        rig = Rig()
        peer = rig.in_maintenance()
        rig.upload(peer, NEW)
        rig.test(peer, NEW)

        def tampering(flash, layout, slot, *, permanent, rig=rig, change=change):
            rig.store.documents["session.json"]["record"] |= change
            return slots.arm(flash, layout, slot, permanent=permanent)

        rig.server.core.parts = Components(arm=tampering)
        rig.reset(peer)
        assert rig.mode == "normal", change
        assert rig.report.images[0].running_hash == image_hash(rig.running), "and the trial does not stay"


def test_the_boot_id_is_another_one_after_each_boot():
    rig = Rig()
    seen = set()
    for _ in range(5):
        seen.add(rig.read(rig.peer(), mode.ID, mode.Id.STATE)["boot_id"])
        rig.power_up()
    assert len(seen) == 5
