"""The known traps of frames, transports, modes and boots, each over the whole path between client and flash."""

import asyncio
import subprocess
import sys
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.device.server_rig import packet
from tests.integration.files import job_image
from tests.integration.places import STATE, UPLOAD, WAYS, Place, first_chunk, place, with_maintenance

from keyswitch.demo.workshop import Workshop
from keyswitch.errors import SilenceError
from keyswitch.host.access import mode_group
from keyswitch.host.access.credentials import Secret
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.queries import ModeState, read_mode
from keyswitch.host.smp.reply import Answer, Refusal, Reply
from keyswitch.host.upload.uploader import Capacity, upload
from keyswitch.link.air import clock
from keyswitch.link.ports import GattRefused
from keyswitch.mcuboot.layout import max_image_size
from keyswitch.policy.bootloader import layout_of
from keyswitch.policy.enums import Arm, Others, Visibility
from keyswitch.policy.secrets import read_secret
from keyswitch.reasons import Reason
from keyswitch.smp.commands import ALL_KEYS
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import image, mode, os
from keyswitch.smp.header import Op

T = TypeVar("T")

by_every_way = pytest.mark.parametrize("way", WAYS)
LEAVE = packet(2, mode.ID, mode.Id.LEAVE, {}, 11)


def run(story: Coroutine[Any, Any, T]) -> T:
    return clock.run(story, limit_s=3_600)


def refused(reply: Reply, reason: Reason) -> bool:
    return isinstance(reply, Refusal) and reply.reason is reason


async def echo(client: SmpClient, text: str = "hi") -> bool:
    reply = await client.write(os.ID, os.Id.ECHO, {"d": text})
    return isinstance(reply, Answer) and reply.values == {"r": text}


def listen(client: SmpClient) -> list[bytes]:
    """Everything that the client gets from now on."""
    got: list[bytes] = []
    client.link.on_packet(got.append)
    return got


# --- frames and modes ---


@pytest.mark.parametrize("way", ["ble", "net"])
def test_leave_and_upload_in_one_write(pump: Workshop, way: str) -> None:
    new = pump.new.read_bytes()

    async def story() -> None:
        async with place(pump) as here:
            await here.open()
            client = await here.client(way)
            assert await echo(client)
            before = here.flash
            got = listen(client)
            if way == "ble":
                await here.write(client, LEAVE + packet(2, *UPLOAD, first_chunk(new), 12))
            else:
                await client.link.send(LEAVE)
                await client.link.send(packet(2, *UPLOAD, first_chunk(new), 12))
            await asyncio.sleep(1)
            assert [answer[6] for answer in got] == [11, 12]
            assert b"wrong mode: normal" in got[1]
            assert (here.flash, here.status["gate"]) == (before, "shut")

    run(story())


@by_every_way
def test_requests_queued_before_leaving(pump: Workshop, way: str) -> None:
    """What waits behind a leave is answered, and not executed; nor is it after the next entry."""
    new = pump.new.read_bytes()

    async def story() -> None:
        async with place(pump) as here:
            await here.open()
            client = await here.client(way)
            assert await echo(client)
            before = here.flash
            got = listen(client)
            for each in (LEAVE, packet(2, *UPLOAD, first_chunk(new), 12), packet(2, *STATE, {"confirm": True}, 13)):
                await client.link.send(each)
            await asyncio.sleep(1)
            assert sorted(answer[6] for answer in got) == [11, 12, 13]
            assert all(b"wrong mode" in answer for answer in got[1:])
            await here.open()
            await asyncio.sleep(1)
            assert (here.flash, len(got)) == (before, 3)

    run(story())


@pytest.mark.parametrize("way", ["ble", "line"])
@pytest.mark.parametrize(
    "between", ["a mode change", "the way into maintenance", "a reconnect", "another client", "a power cycle"]
)
def test_a_half_sent_frame_does_not_survive(pump: Workshop, way: str, between: str) -> None:
    """Its first half before, its second half afterwards: nothing is executed, and the next frame is understood."""
    frame = packet(2, *UPLOAD, first_chunk(pump.new.read_bytes(), 150), 12)

    async def story() -> None:
        async with place(pump) as here:
            if between != "the way into maintenance":
                await here.open()
            client = await here.client(way)
            assert await echo(client)
            before = here.flash
            await here.write(client, here.pieces(client, frame)[0])
            await asyncio.sleep(0.1)
            if between == "the way into maintenance":
                await here.open()
            elif between in {"a mode change", "another client"}:
                if between == "a mode change":
                    await here.move(moving=True)
                    await here.move(moving=False)
                    await here.open()
                else:
                    client = await here.client("ble" if way == "line" else "line")
            elif between == "a power cycle":
                await here.world.device.power_cycle()
                await here.open()
                await asyncio.sleep(3)
                client = await here.client(way)
            elif way == "ble":
                await here.centrals[0].close()
                client = await here.client(way)
            else:
                await asyncio.sleep(2.5)  # a line has no reconnect: its receiver gives up after two seconds
            for piece in here.pieces(client, frame)[1:]:
                await here.write(client, piece)
            await asyncio.sleep(2.5)
            assert await echo(client)
            assert here.flash == before

    run(story())


def test_a_line_that_is_opened_again_in_the_middle_of_a_frame(pump: Workshop) -> None:
    """A program has written half a frame and is gone; the next one is understood at once, and completes nothing."""
    frame = packet(2, *UPLOAD, first_chunk(pump.new.read_bytes(), 150), 12)

    async def story() -> None:
        async with place(pump) as here:
            await here.open()
            first = await here.client("line")
            assert await echo(first)
            before = here.flash
            begun, *rest = here.pieces(first, frame)
            for cut in (len(begun), len(begun) // 2):  # after a line of it, and within one
                await here.write(first, begun[:cut])
                second = await here.client("line")
                if cut < len(begun):
                    await here.line.host.write(b"\n")  # as a person or a modem manager would; else it is one line
                assert await echo(second)
                for piece in rest:
                    await here.write(second, piece)
                assert await echo(second)
            await asyncio.sleep(2.5)
            assert here.flash == before

    run(story())


def test_halves_of_two_centrals_make_no_whole(pump: Workshop) -> None:
    frame = packet(2, *UPLOAD, first_chunk(pump.new.read_bytes(), 150), 12)

    async def story() -> None:
        async with place(pump) as here:
            await here.open()
            first, second = await here.client("ble"), await here.client("ble")
            before = here.flash
            await here.write(first, frame[:100])
            await here.write(second, frame[100:])
            await asyncio.sleep(2.5)
            assert here.flash == before
            assert await echo(first)
            assert await echo(second)

    run(story())


# --- several centrals ---


def entering(pump: Workshop, others: Others) -> Any:
    return replace(pump.policy, transitions=tuple(replace(way, others=others) for way in pump.policy.transitions))


def test_a_second_central_that_is_there_keeps_maintenance_shut(pump: Workshop) -> None:
    async def story() -> None:
        async with place(pump, entering(pump, Others.REFUSE)) as here:
            operator, other = await here.central(), await here.central()
            assert operator.mode is not None
            answer = await mode_group.enter(operator.mode, "maintenance", (Secret(read_secret(pump.policy)),))
            assert refused(answer, Reason.BUSY) or refused(answer, Reason.GUARD), answer
            assert here.status["gate"] == "shut"
            await other.close()
            entered = await mode_group.enter(operator.mode, "maintenance", (Secret(read_secret(pump.policy)),))
            assert isinstance(entered, mode_group.EntryReply)

    run(story())


def test_a_second_central_is_sent_away_where_the_policy_says_so(pump: Workshop) -> None:
    async def story() -> None:
        async with place(pump, entering(pump, Others.DISCONNECT)) as here:
            operator, other = await here.central(), await here.central()
            assert operator.mode is not None
            entered = await mode_group.enter(operator.mode, "maintenance", (Secret(read_secret(pump.policy)),))
            assert isinstance(entered, mode_group.EntryReply)
            assert await other.wait_closed(5_000) is not None

    run(story())


# --- images and boots ---


def padded_image(pump: Workshop, directory: Path, how: str) -> bytes:
    """An image that fills its slot and brings its own trailer."""
    payload, padded = directory / "firmware.bin", directory / "padded.bin"
    payload.write_bytes(bytes(range(256)) * 64)
    key = next(pump.policy_file.parent.glob("keys/root*[!b].pem"))
    slot_size = pump.policy.bootloader.slot_size
    command = [sys.executable, "-m", "imgtool.main", "sign", "-k", str(key), "-H", "0x200", "--pad-header"]
    command += ["--align", "4", "-v", "1.1.0", "-S", str(slot_size), how]
    subprocess.run([*command, str(payload), str(padded)], check=True, capture_output=True)
    content = padded.read_bytes()
    assert len(content) == slot_size
    assert content.endswith(bytes.fromhex("77c295f360d2ef7f3552500f2cb67980"))  # the trailer's magic
    return content


@pytest.mark.parametrize("confirm", [False, True])
def test_a_padded_image_does_not_arm_itself(pump: Workshop, tmp_path: Path, confirm: bool) -> None:
    """Neither as it is, nor cut to what is allowed and sent on from there."""
    content = padded_image(pump, tmp_path, "--confirm" if confirm else "--pad")
    layout = layout_of(pump.policy)
    slot, largest = layout.pairs[0].secondary, max_image_size(layout)

    def behind(here: Place) -> bytes:
        return here.world.flash.read(slot.offset + largest, slot.size - largest)

    async def code(client: SmpClient, chunk: dict[str, Any]) -> int:
        answer = await client.write(*UPLOAD, chunk)
        assert isinstance(answer, Refusal), answer
        assert answer.group == image.ID
        return answer.code

    async def send(client: SmpClient, data: bytes, end: int) -> None:
        """From the beginning, as far as `end`."""
        for at in range(0, end, 2_000):
            chunk = {"off": at, "data": data[at : min(at + 2_000, end)]} | ({"len": len(data)} if at == 0 else {})
            answer = await client.write(*UPLOAD, chunk)
            assert isinstance(answer, Answer), answer
            assert answer.values["off"] == min(at + 2_000, end)

    async def story() -> None:
        async with place(pump) as here:
            await here.open()
            client = await here.client("net")
            for length in (len(content), largest + 1):
                assert await code(client, first_chunk(content[:length])) == 30  # too large
            kept = behind(here)
            edge = largest - 100
            await send(client, content[:largest], edge)
            assert (
                await code(client, {"off": edge, "data": content[edge : edge + 200]}) == 31
            )  # more than was announced
            await send(client, content[:largest], largest)
            answer = await client.write(*UPLOAD, {"off": largest, "data": content[largest : largest + 1_000]})
            assert isinstance(answer, Answer), answer
            assert answer.values == {"off": 0}, "nothing is open that could go on"
            assert behind(here) == kept
            await here.world.device.power_cycle()
            assert (here.running, here.status["gate"]) == ("1.0.0", "shut")

    run(story())


@pytest.mark.parametrize("arm", Arm)
@pytest.mark.parametrize("how", ["leave", "motion", "lease"])
def test_marked_for_test_then_maintenance_left_then_a_power_cycle(pump: Workshop, arm: Arm, how: str) -> None:
    policy = with_maintenance(pump.policy, lease_ms=60_000)
    policy = replace(policy, update=replace(policy.update, arm=arm))
    new = job_image(pump.new)

    async def story() -> None:
        async with place(pump, policy) as here:
            await here.open()
            client = await here.client("net")
            await upload(client, new.data, Capacity(frame=1_400))
            assert isinstance(await client.write(*STATE, {"hash": new.hash, "confirm": how == "motion"}), Answer)
            assert [slot["pending"] for slot in here.status["slots"]] == [False, True]
            if how == "leave":
                assert await mode_group.leave(client) is None
            elif how == "motion":
                await here.move(moving=True)
            else:
                await asyncio.sleep(61)
            assert here.status["gate"] == "shut"
            await here.world.device.power_cycle()
            assert (here.running, here.status["gate"]) == ("1.0.0", "shut")

    run(story())


def test_an_early_mark_and_a_power_cycle_in_maintenance_leave_no_trial_running(pump: Workshop) -> None:
    """The battery is pulled while the mark stands: the bootloader swaps, and the device reverts before it serves."""
    policy = replace(pump.policy, update=replace(pump.policy.update, arm=Arm.EARLY))
    new = job_image(pump.new)

    async def story() -> None:
        async with place(pump, policy) as here:
            await here.open()
            client = await here.client("net")
            await upload(client, new.data, Capacity(frame=1_400))
            assert isinstance(await client.write(*STATE, {"hash": new.hash}), Answer)
            await here.world.device.power_cycle()
            await asyncio.sleep(10)
            assert (here.running, here.status["gate"]) == ("1.0.0", "shut")

    run(story())


def test_a_session_record_of_another_version_is_worth_nothing(pump: Workshop) -> None:
    """Left by another firmware: the device comes up outside maintenance. The same record unchanged is taken, once."""
    new = job_image(pump.new)

    async def recorded() -> dict[str, Any]:
        async with place(pump) as here:
            await here.open()
            client = await here.client("net")
            await upload(client, new.data, Capacity(frame=1_400))
            assert isinstance(await client.write(*STATE, {"hash": new.hash}), Answer)
            kept: list[dict[str, Any]] = []
            write = here.world.store.write

            def watched(name: str, document: dict[str, Any] | None) -> None:
                write(name, document)
                if name == "session.json" and document is not None and "record" in document:
                    kept.append(document["record"])

            here.world.store.write = watched
            assert isinstance(await client.write(os.ID, os.Id.RESET), Answer)
            await asyncio.sleep(2)
            assert (here.running, here.status["gate"]) == ("1.1.0", "open")
            return kept[0]

    async def found(record: dict[str, Any]) -> list[str]:
        async with place(pump) as here:
            here.world.store.write("session.json", {"record": {**record, "expected": here.status["running"]["hash"]}})
            gates: list[str] = []
            for _ in range(2):
                await here.world.device.power_cycle()
                gates.append(here.status["gate"])
            return gates

    record = run(recorded())
    assert run(found(record)) == ["open", "shut"]
    for version in (0, 1, 3, "2", None):
        assert run(found({**record, "version": version})) == ["shut", "shut"], version
    assert run(found({key: value for key, value in record.items() if key != "version"})) == ["shut", "shut"]


# --- the end of maintenance under an upload ---


@by_every_way
@pytest.mark.parametrize("how", ["lease", "guard", "leave by another", "power cycle"])
def test_the_gate_closes_under_an_upload(pump: Workshop, way: str, how: str) -> None:
    new = pump.new.read_bytes()
    policy = with_maintenance(pump.policy, lease_ms=30_000)

    async def story() -> None:
        async with place(pump, policy) as here:
            await here.open()
            client = await here.client(way)
            assert isinstance(await client.write(*UPLOAD, first_chunk(new)), Answer)
            assert isinstance(await client.write(*UPLOAD, {"off": 200, "data": new[200:400]}), Answer)
            if how == "lease":
                await asyncio.sleep(30.1)
            elif how == "guard":
                await here.move(moving=True)
            elif how == "leave by another":
                assert await mode_group.leave(await here.client("line" if way == "net" else "net")) is None
            else:
                await here.world.device.power_cycle()
                await asyncio.sleep(3)
                client = await here.client(way)
            before = here.unchanged()
            answer = await client.write(*UPLOAD, {"off": 400, "data": new[400:600]})
            assert refused(answer, Reason.WRONG_MODE), answer
            assert here.unchanged() == before
            assert (here.status["gate"], here.running) == ("shut", "1.0.0")
            secondary = [slot for slot in here.status["slots"] if slot["slot"] == 1]
            assert secondary == []

    run(story())


# --- the table that changes ---


async def handle_of(here: Place) -> tuple[Any, int]:
    gatt: Any = here.centrals[0].gatt
    service = next(each for each in gatt.found if each.uuid == ble.SERVICE_UUID)
    return gatt, service.characteristics[0].handle


def test_a_stale_handle_never_belongs_to_another_service_and_its_commands_vanish(pump: Workshop) -> None:
    async def story() -> None:
        async with place(pump, service=Visibility.LIVE) as here:
            await here.open()
            client = await here.client("ble")
            assert await echo(client)
            gatt, handle = await handle_of(here)
            await here.move(moving=True)
            before = here.unchanged()
            got = listen(client)
            for each in (packet(2, *UPLOAD, first_chunk(pump.new.read_bytes(), 60)), LEAVE, b"\x01\x00"):
                gatt.att.write_command(handle, each)
            await asyncio.sleep(1)
            assert (got, here.unchanged()) == ([], before)
            with pytest.raises(GattRefused) as first:
                await gatt.att.write(handle, LEAVE)
            assert first.value.code in {0x01, 0x12}  # invalid handle, or database out of sync
            await gatt.refresh()
            with pytest.raises(GattRefused):
                await gatt.att.write(handle, LEAVE)
            assert ble.SERVICE_UUID not in gatt.services
            assert here.unchanged() == before

    run(story())


def test_a_subscription_is_not_lost_while_the_service_is_away(pump: Workshop) -> None:
    """Its requests would be executed and not answered. Here it stays: the same connection is answered again."""

    async def story() -> None:
        async with place(pump, service=Visibility.LIVE) as here:
            await here.open()
            client = await here.client("ble")
            assert await echo(client)
            for moving in (True, False):
                await here.move(moving=moving)
                with pytest.raises(SilenceError):
                    await client.write(os.ID, os.Id.ECHO, {"d": "hi"}, timeout_ms=1_000)
            await here.open()
            assert await echo(client)

    run(story())


def test_a_client_that_never_subscribed_gets_nothing_and_holds_nobody_up(pump: Workshop) -> None:
    async def story() -> None:
        async with place(pump) as here:
            await here.open()
            silent, other = await here.client("ble"), await here.client("ble")
            gatt: Any = here.centrals[0].gatt
            service = next(each for each in gatt.found if each.uuid == ble.SERVICE_UUID)
            await gatt.att.write(await gatt.att.find_ccc(service.characteristics[0]), bytes(2))
            got = listen(silent)
            for number in range(20):
                await silent.link.send(packet(2, 0, 0, {"d": "lost"}, number))
                assert await echo(other, f"{number}")
            assert got == []
            heal = here.centrals[0].heal
            assert heal is not None
            await heal()
            await silent.link.send(packet(2, 0, 0, {"d": "found"}, 99))
            await asyncio.sleep(1)
            assert [answer[6] for answer in got] == [99]

    run(story())


# --- what is asked ---


@by_every_way
@pytest.mark.parametrize("moving", [False, True])
def test_no_door_but_the_front_door(pump: Workshop, way: str, moving: bool) -> None:
    """Unknown and bridged groups, `boot_mode`, storage erase, shell, files, settings: in no mode but maintenance."""
    bodies: dict[tuple[int, int], dict[str, Any]] = {
        (os.ID, os.Id.RESET): {"force": True, "boot_mode": 1},
        (8, 0): {"name": "/lfs/x", "off": 0, "data": b"x", "len": 1},
        (9, 0): {"argv": ["kernel", "reboot"]},
        (3, 0): {"name": "app/x", "val": b"1"},
    }
    unknown = [(group, 0) for group in (4, 5, 7, 11, 62, 64, 0x4B52, 0xFFFF)] + [(0, 9), (1, 9), (mode.ID, 9)]

    async def story() -> None:
        async with place(pump) as here:
            await here.move(moving=moving)
            client = await here.client(way)
            allowed = here.world.policy.modes[here.status["mode"]].allow
            before = here.unchanged()
            for key in sorted(ALL_KEYS):
                if key in allowed:
                    continue
                reply = await client.ask(Op(key.op), key.group, key.id, bodies.get((key.group, key.id), {}))
                assert isinstance(reply, Refusal)
                assert (reply.group, reply.code) == (None, 11), (key, reply)
            for group, command in unknown:
                for ask in (client.read, client.write):
                    reply = await ask(group, command)
                    assert isinstance(reply, Refusal)
                    assert (reply.group, reply.code) == (None, 8), (group, command, reply)
            await asyncio.sleep(1)
            assert here.unchanged() == before
            assert here.running == "1.0.0"

    run(story())


# --- proofs ---


@by_every_way
def test_replayed_foreign_and_expired_proofs(pump: Workshop, way: str) -> None:
    secret = read_secret(pump.policy)

    async def story() -> None:
        async with place(pump) as here:
            client = await here.client(way)
            sent: list[bytes] = []
            send = client.link.send

            async def heard(data: bytes) -> None:
                sent.append(data)
                await send(data)

            client.link.send = heard
            entered = await mode_group.enter(client, "maintenance", (Secret(secret),))
            assert isinstance(entered, mode_group.EntryReply)
            proof = sent[-1]
            assert await mode_group.leave(client) is None
            if way == "ble":
                client = await here.client(way)
            got = listen(client)
            await client.link.send(proof)  # heard on the air, and said again
            await asyncio.sleep(1)
            assert len(got) == 1
            assert b"proof" in got[0]
            other = await here.client("net" if way != "net" else "line")
            answer = await mode_group.enter(other, "maintenance", (Secret(bytes(32)),))  # another device's secret
            assert refused(answer, Reason.PROOF), answer
            assert here.status["mode"] == "normal"

    run(story())


def test_an_answer_to_a_nonce_of_long_ago_is_no_proof(pump: Workshop) -> None:
    async def story() -> None:
        async with place(pump) as here:
            client = await here.client("net")
            write = client.write

            async def late(*args: Any, **named: Any) -> Reply:
                await asyncio.sleep(60)
                return await write(*args, **named)

            client.write = late
            answer = await mode_group.enter(client, "maintenance", (Secret(read_secret(pump.policy)),))
            assert refused(answer, Reason.PROOF), answer
            client.write = write
            state = await read_mode(client)
            assert isinstance(state, ModeState)
            assert (state.mode, state.open) == ("normal", False)

    run(story())
