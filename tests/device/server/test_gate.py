"""The gate over the whole path: every command in every mode, and every way that something could slip through."""

from dataclasses import replace

import pytest
from tests.device.server_rig import SECRET, Rig, bodies, image_hash, make_image, packet, pump

from keyswitch.device.server.components import Components
from keyswitch.gate.events import ButtonHeld
from keyswitch.gate.peer import Peer, Service
from keyswitch.mcuboot.config import Downgrade
from keyswitch.mcuboot.flash import NRF52840_TIMES
from keyswitch.smp.commands import ALL_KEYS, COMMANDS, resolve
from keyswitch.smp.frame import Frame
from keyswitch.smp.framing import console
from keyswitch.smp.groups import mode
from keyswitch.terms import Security, Transport

NEW = make_image("1.1.0")
MODE = mode.ID
MODES = ("normal", "active", "pairing", "maintenance")

ALLOWED = {
    "normal": resolve("os.echo") | resolve("os.params") | resolve("image.state:read") | resolve("mode"),
    "active": resolve("mode"),
    "pairing": resolve("mode"),
    "maintenance": resolve("os") | resolve("image") | resolve("mode"),
}


def bring(rig: Rig, to: str) -> int:
    """A peer, and the device in the mode."""
    if to == "maintenance":
        return rig.in_maintenance()
    if to == "active":
        rig.input("motion", value=True)
    if to == "pairing":
        rig.carry_out(rig.server.event(ButtonHeld(hold_ms=2_000), rig.now_ms))
    assert rig.mode == to
    return rig.peer()


@pytest.mark.parametrize("transport", Transport)
@pytest.mark.parametrize("name", MODES)
def test_every_command_in_every_mode(name: str, transport: Transport):
    for key in sorted(ALL_KEYS):
        rig = Rig()
        bring(rig, name)
        peer = rig.peer(transport)
        before = rig.flash.read(0, rig.flash.geometry.size)
        assert rig.mode == name
        answers = bodies(rig.send(peer, packet(key.op, key.group, key.id, {})))
        if key in ALLOWED[name] and key.group == MODE:
            assert answers[0].get("rc") in {None, 3, 11}, "its own word, not the gate's"
            assert key.id > 1 or "mode" in answers[0] or answers == [{"rc": 3}]
        elif key in ALLOWED[name]:
            assert answers[0].get("rc") not in {8, 10, 11}, (name, key)
        else:
            assert answers == [{"rc": 11, "rsn": f"wrong mode: {name}"}], (name, key)
            assert rig.mode == name
            assert rig.flash.read(0, rig.flash.geometry.size) == before
            assert not rig.server.core.state.armed
            assert rig.server.next_due_ms() is None or name in {"pairing", "maintenance"}


@pytest.mark.parametrize("name", MODES)
def test_unknown_commands_are_unknown_in_every_mode(name: str):
    rig = Rig()
    peer = bring(rig, name)
    for group in (*range(70), MODE, 0xFFFF):
        for command in (*range(12), 99, 255):
            for op in (0, 2):
                if (group, command, op) not in ALL_KEYS:
                    assert bodies(rig.send(peer, packet(op, group, command, {}))) == [{"rc": 8}], (group, command, op)


@pytest.mark.parametrize("name", MODES)
def test_the_mode_service_serves_nothing_else(name: str):
    rig = Rig()
    peer = bring(rig, name)
    for group, command in COMMANDS:
        for op in COMMANDS[group, command].ops:
            answers = bodies(rig.send(peer, packet(op, group, command, {}), Service.MODE))
            if group != MODE:
                assert answers == [{"rc": 11, "rsn": "not on this service"}]
    assert rig.read(peer, MODE, 0, door=Service.MODE)["mode"] in MODES


def test_answers_go_out_by_the_door_they_came_in():
    rig = Rig()
    peer = rig.peer(Transport.BLE)
    rig.put(peer, packet(0, MODE, 0), Service.MODE)
    rig.put(peer, packet(0, MODE, 0), Service.SMP)
    doors = [answer.door for _ in range(2) for answer in rig.carry_out(rig.server.run_one(rig.now_ms)).answers]
    assert doors == [Service.MODE, Service.SMP]


def test_flash_work_is_reported():
    rig = Rig(times=NRF52840_TIMES)
    peer = rig.in_maintenance()
    rig.put(peer, packet(2, 1, 1, {"off": 0, "len": len(NEW), "data": NEW[:64]}))
    output = rig.server.run_one(rig.now_ms)
    assert output is not None
    sectors = rig.layout.trailer_sectors + 1
    assert output.flash_us == sectors * 85_000 + 16 * 41
    assert rig.server.run_one(rig.now_ms) is None


def test_the_secret_is_needed():
    rig = Rig()
    assert SECRET not in repr(rig.server.core.state).encode()
    peer = rig.peer()
    assert rig.write(peer, MODE, 2, {"to": "maintenance", **rig.proof(peer, secret=SECRET[::-1])})["rsn"] == "proof"


def test_status_for_the_panel():
    rig = Rig()
    peer = rig.in_maintenance()
    rig.upload(peer, NEW)
    rig.test(peer, NEW)
    told = rig.server.status(rig.now_ms)
    assert (told["mode"], told["lease_ms"], told["gate"]) == ("maintenance", 900_000, "open")
    assert told["running"] == {"version": "1.0.0", "hash": image_hash(rig.running).hex()}
    assert [(slot["slot"], slot["pending"], slot["hash"]) for slot in told["slots"]] == [
        (0, False, image_hash(rig.running).hex()),
        (1, True, image_hash(NEW).hex()),
    ]
    rig.write(peer, MODE, 5)
    assert (rig.server.status(rig.now_ms)["gate"], rig.server.status(rig.now_ms)["lease_ms"]) == ("shut", None)


# --- how well the link is protected ---


def secured(security: Security) -> Rig:
    policy = pump()
    ways = tuple(replace(way, security=security) for way in policy.transitions)
    modes = {**policy.modes, "maintenance": replace(policy.modes["maintenance"], security=security)}
    return Rig(replace(policy, transitions=ways, modes=modes))


@pytest.mark.parametrize("needed", Security)
@pytest.mark.parametrize("given", Security)
def test_security_levels(needed: Security, given: Security):
    rig = secured(needed)
    peer = rig.peer(Transport.BLE, given)
    told = rig.read(peer, MODE, 0)
    entered = rig.enter(peer)
    if given >= needed:
        assert "session" in entered
    else:
        assert entered == {"rc": 11, "rsn": f"security level: {needed.word}"}
        assert told["reason"] == f"security level: {needed.word}"


def test_a_link_that_becomes_secure_is_judged_anew_and_so_is_one_that_does_not_stay_so():
    rig = secured(Security.ENCRYPTED)
    peer = rig.peer(Transport.UDP)
    assert rig.enter(peer)["rc"] == 11
    rig.server.peer_changed(Peer(id=peer, transport=Transport.UDP, security=Security.ENCRYPTED))
    assert "session" in rig.enter(peer)
    assert rig.write(peer, 1, 5, {}) == {}
    rig.put(peer, packet(2, 1, 5, {}))
    rig.server.peer_changed(Peer(id=peer, transport=Transport.UDP))
    rig.run()
    assert rig.inbox[peer][-1].body() == {"rc": 11, "rsn": "security level: encrypted"}
    assert rig.read(peer, MODE, 0)["gate"] is False
    rig.server.peer_changed(Peer(id=999, transport=Transport.UDP))
    assert 999 not in rig.server.core.peers


def test_the_address_to_look_for_is_told_where_it_is_another_one():
    for address, told in (("", None), ("C0:00:00:00:00:02", "C0:00:00:00:00:02")):
        rig = Rig(maintenance_address=address)
        peer = rig.peer(Transport.BLE)
        rig.put(peer, packet(2, MODE, 2, {"to": "maintenance", **rig.proof(peer)}))
        output = rig.server.run_one(rig.now_ms)
        assert output is not None
        answer = Frame.decode(output.answers[0].packet).body()
        assert (answer.get("address"), answer["reconnect"]) == (told, True)


@pytest.mark.parametrize("downgrade", Downgrade)
def test_no_downgrade_is_told(downgrade: Downgrade):
    policy = pump()
    rig = Rig(replace(policy, bootloader=replace(policy.bootloader, downgrade=downgrade)))
    told = {} if downgrade is Downgrade.ALLOWED else {"no-downgrade": True}
    assert rig.read(rig.in_maintenance(), 0, 8, {"query": "mode"}) == {"mode": 3, **told}


@pytest.mark.parametrize("transport", Transport)
def test_each_transport_has_its_framing(transport: Transport):
    receiver = Components().receiver(transport, 512)
    sent = console.pieces(packet(0, 0, 6)) if transport is Transport.SERIAL else [packet(0, 0, 6)]
    assert [whole for piece in sent for whole in receiver.receive(piece, 0).packets] == [packet(0, 0, 6)]
