"""Four clients at once over different transports, one of them hostile: the others lose nothing and stay fast.

In virtual time: the air, the line's baud rate, the flash and each executed request cost time, so that what a hostile
peer takes away is seen to the millisecond, and every run is the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
from tests.device.server_rig import packet
from tests.integration.files import job_image
from tests.integration.wires import Datagrams, Line

from keyswitch.demo.workshop import Workshop
from keyswitch.device.server.output import Output
from keyswitch.device.server.server import Server
from keyswitch.gate.events import ButtonHeld
from keyswitch.host.connect.endpoint import Connection
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.reply import Answer
from keyswitch.host.upload.uploader import Capacity, upload
from keyswitch.link.air import clock
from keyswitch.link.air.settings import parse_air
from keyswitch.mcuboot.flash import NO_TIMES, TIMES_BY_PROFILE, FlashTimes
from keyswitch.policy.enums import Visibility
from keyswitch.policy.model import Policy
from keyswitch.smp.framing import ble, console
from keyswitch.smp.groups import image, mode, os
from keyswitch.terms import Transport
from keyswitch.testing.world import VirtualWorld

T = TypeVar("T")

EXECUTION_US = 2_000
"""Time of the device for each request: parsing, work and answer on a part of 64 MHz."""
AMONG_SOCKETS = 4
"""How much slower a socket may become by a flood of sockets: all of UDP takes one turn together, and they share it. It
still loses nothing."""
ECHOES = 25
"""Requests of each well-behaved client besides the one that uploads."""

ECHO = packet(2, os.ID, os.Id.ECHO, {"d": "x" * 40})
SLOTS = packet(0, image.ID, image.Id.STATE, {})
FLOOD = (ECHO, SLOTS, packet(2, 5, 5, {}), ECHO + SLOTS, packet(2, mode.ID, mode.Id.ENTER, {"to": "maintenance"}))


def run(story: Coroutine[Any, Any, T]) -> T:
    return clock.run(story, limit_s=600)


@dataclass(slots=True)
class Crowd:
    """One device, two centrals, a line and two sockets."""

    world: VirtualWorld
    line: Line
    net: Datagrams
    centrals: list[Connection]


async def gather(pump: Workshop, policy: Policy, times: FlashTimes, execution_us: int) -> Crowd:
    line, net = Line(policy.smp.buf_size), Datagrams(policy.smp.buf_size)
    world = VirtualWorld(
        policy,
        pump.old.read_bytes(),
        air=parse_air("interval_ms=15,phy=2M,dle=251"),
        flash_times=times,
        others={Transport.SERIAL: line, Transport.UDP: net},
    )
    work_takes_time(world.device.server, execution_us)
    await world.__aenter__()
    centrals = [await world.endpoint().connect() for _ in range(2)]
    world.device.happen(ButtonHeld(hold_ms=5_000))
    await world.device.settled()
    assert world.device.status()["gate"] == "open"
    return Crowd(world, line, net, centrals)


def work_takes_time(server: Server, each_us: int) -> None:
    run_one = server.run_one

    def slow(now_ms: int) -> Output | None:
        output = run_one(now_ms)
        return None if output is None else replace(output, flash_us=output.flash_us + each_us)

    server.run_one = slow


async def echo(client: SmpClient) -> float:
    """When all echoes are there and right."""
    for number in range(ECHOES):
        text = f"{number:040}"
        reply = await client.write(os.ID, os.Id.ECHO, {"d": text})
        assert isinstance(reply, Answer), reply
        assert reply.values == {"r": text}
    return asyncio.get_running_loop().time()


async def send_image(client: SmpClient, pump: Workshop) -> float:
    """When the whole image is there, and is what was sent."""
    new = job_image(pump.new)
    await upload(client, new.data, Capacity(frame=495, outstanding=3))
    listed = await client.read(image.ID, image.Id.STATE)
    assert isinstance(listed, Answer), listed
    assert new.hash in [each["hash"] for each in listed.values["images"]]
    return asyncio.get_running_loop().time()


# --- the hostile ones: each goes on until it is cancelled ---


async def central_floods(crowd: Crowd) -> None:
    gatt = crowd.centrals[1].gatt
    assert gatt is not None
    while True:
        for each in FLOOD:
            await gatt.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, each)


async def central_sends_halves(crowd: Crowd) -> None:
    gatt = crowd.centrals[1].gatt
    assert gatt is not None
    while True:
        for each in FLOOD:
            await gatt.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, each[:-5])


async def central_unsubscribes(crowd: Crowd) -> None:
    gatt: Any = crowd.centrals[1].gatt
    smp = next(each for each in gatt.found if each.uuid == ble.SERVICE_UUID)
    await gatt.att.write(await gatt.att.find_ccc(smp.characteristics[0]), bytes(2))
    await central_floods(crowd)


async def central_asks_for_everything(crowd: Crowd) -> None:
    """Requests of ATT, one after the other, without waiting for a single answer."""
    gatt: Any = crowd.centrals[1].gatt
    while True:
        gatt._send(bytes.fromhex("0e0100020003000400"))
        await asyncio.sleep(0.002)


async def central_vanishes(crowd: Crowd) -> None:
    """Asks for much, and is gone without a word: nothing is acknowledged until the supervision timeout."""
    gatt: Any = crowd.centrals[1].gatt
    for _ in range(8):
        await gatt.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, SLOTS)
    crowd.world.air.remove_controller(gatt._radio.hci.source)


async def line_floods_and_never_reads(crowd: Crowd) -> None:
    crowd.line.reads = False
    while True:
        for each in FLOOD:
            await crowd.line.host.send(each)


async def line_sends_halves(crowd: Crowd) -> None:
    while True:
        for each in FLOOD:
            await crowd.line.host.write(console.pieces(each)[0][:-9] + b"\n")


async def socket_floods(crowd: Crowd) -> None:
    end = crowd.net.socket(6_666)
    while True:
        for each in FLOOD * 5:
            await end.send(each)
        await asyncio.sleep(0.002)


async def sockets_flood(crowd: Crowd) -> None:
    """From ports without number, of as many hosts as it takes to have every place that is free."""
    number = 0
    while True:
        for each in FLOOD:
            number += 1
            end = crowd.net.socket(10_000 + number, f"192.0.2.{2 + number % 3}")
            await end.send(each[: 20 + number % 10])
        await asyncio.sleep(0.002)


Hostile = Callable[[Crowd], Awaitable[None]]

CENTRALS: tuple[Hostile, ...] = (
    central_floods,
    central_sends_halves,
    central_unsubscribes,
    central_asks_for_everything,
    central_vanishes,
)
LINES: tuple[Hostile, ...] = (line_floods_and_never_reads, line_sends_halves)
SOCKETS: tuple[Hostile, ...] = (socket_floods, sockets_flood)


async def seconds(pump: Workshop, hostile: Hostile | None) -> dict[str, float]:
    """How long each well-behaved client takes."""
    policy = replace(pump.policy, gate=replace(pump.policy.gate, service=Visibility.ALWAYS))
    crowd = await gather(pump, policy, TIMES_BY_PROFILE["nrf52840"], EXECUTION_US)
    first, second = (connection.smp for connection in crowd.centrals)
    assert first is not None
    assert second is not None
    works: dict[str, Coroutine[Any, Any, float]] = {"uploading central": send_image(first, pump)}
    if hostile not in CENTRALS:
        works["central"] = echo(second)
    if hostile not in LINES:
        works["line"] = echo(SmpClient(crowd.line.host))
    socket = SmpClient(crowd.net.socket(1))
    for _ in range(2):
        await socket.read(os.ID, os.Id.PARAMS)  # in conversation: from now on no flood of addresses displaces it
    works["socket"] = echo(socket)
    loop = asyncio.get_running_loop()
    began = loop.time()
    enemy = None if hostile is None else asyncio.ensure_future(hostile(crowd))
    ended = await asyncio.gather(*works.values())
    if enemy is not None:
        assert not enemy.done() or enemy.exception() is None
        enemy.cancel()
    await crowd.world.__aexit__()
    return dict(zip(works, (each - began for each in ended), strict=True))


_alone: dict[str, float] = {}


@pytest.mark.parametrize("hostile", [*CENTRALS, *LINES, *SOCKETS], ids=lambda each: each.__name__)
def test_nobody_loses_anything_or_half_of_the_speed_by_a_hostile_peer(pump: Workshop, hostile: Hostile) -> None:
    if not _alone:
        _alone.update(run(seconds(pump, None)))
    beside = run(seconds(pump, hostile))
    most = dict.fromkeys(beside, 2)
    if hostile is sockets_flood:
        most["socket"] = AMONG_SOCKETS
    assert {name: took for name, took in beside.items() if took >= most[name] * _alone[name]} == {}, _alone


def test_a_flood_without_a_pause_keeps_nobody_from_being_served(pump: Workshop) -> None:
    """One datagram in each turn of the event loop, for ever: no time passes, and the others are served all the same."""

    async def story() -> int:
        crowd = await gather(pump, pump.policy, NO_TIMES, 0)
        crowd.net.delay_s = 0
        loop = asyncio.get_running_loop()
        sent = 0

        def flood() -> None:
            nonlocal sent, again
            sent += 1
            crowd.net.datagram_received(ECHO, ("192.0.2.66", 1))
            again = loop.call_soon(flood)

        again = loop.call_soon(flood)
        await echo(SmpClient(crowd.net.socket(1)))
        again.cancel()
        await crowd.world.__aexit__()
        return sent

    assert run(story()) < 20 * ECHOES
