"""Centrals that mean harm, or have lost their mind: over the air, beside others that behave."""

import asyncio
import random
import struct

import pytest
from tests.link.radios import ADDRESS, SMP, World, table

from keyswitch.errors import LinkLostError
from keyswitch.gatt.att import AttOpcode
from keyswitch.gatt.services import SERVICE_CHANGED_UUID
from keyswitch.link.air.clock import run
from keyswitch.smp.groups import mode

CCC, STATE_VALUE = 0x43, 0x15
STATE = mode.STATE_UUID


async def echoing(link, count):
    """A client that behaves: one frame, one answer. How many were answered."""
    answers = asyncio.Queue()
    await link.subscribe(*SMP, answers.put_nowait)
    answered = 0
    for _ in range(count):
        await link.write(*SMP, b"ping")
        async with asyncio.timeout(5):
            await answers.get()
        answered += 1
    return answered


async def floods(link):
    """Sends commands as fast as the link takes them, and never reads."""
    while True:
        await link.write(*SMP, bytes(495))


async def asks_without_waiting(link):
    """Sends requests without waiting for responses, which ATT forbids."""
    while link.closed is None:
        for _ in range(50):
            link.att._send(struct.pack("<BH", AttOpcode.READ_REQ, STATE_VALUE))
        await asyncio.sleep(0.005)


async def unsubscribes_in_the_middle(link):
    while True:
        for value in (1, 0):
            await link.att.write(CCC, struct.pack("<H", value))
            await link.write(*SMP, b"half")


async def sends_junk(link):
    chance = random.Random(3)
    while link.closed is None:
        channel = chance.choice((4, 5, 6, 0x40, 0x41))
        frame = chance.randbytes(chance.randrange(1, 60))
        head = struct.pack("<HH", len(frame), channel)
        link._radio.host.send_acl_sdu(link._handle, head + frame)
        await asyncio.sleep(0.01)


async def lies_about_lengths(link):
    """L2CAP frames that are shorter or longer than they say, and continuations of nothing."""
    host = link._radio.host
    while link.closed is None:
        for said, sent in ((100, 5), (2, 60), (0, 0), (65_535, 200)):
            host.send_acl_sdu(link._handle, struct.pack("<HH", said, 4) + bytes(sent))
        host._to_controller(b"\x02" + struct.pack("<HH", link._handle | 1 << 12, 3) + b"abc")
        await asyncio.sleep(0.02)


async def goes_deaf(link):
    """Stops acknowledging: its radio is gone, but the device does not know yet."""
    await link.subscribe(*SMP, lambda _: None)
    await link.write(*SMP, bytes(400))
    await link._radio.hci.close()
    await asyncio.sleep(10)


HOSTILE = [
    floods,
    asks_without_waiting,
    unsubscribes_in_the_middle,
    sends_junk,
    lies_about_lengths,
    goes_deaf,
]


@pytest.mark.parametrize("attack", HOSTILE, ids=lambda attack: attack.__name__)
def test_three_others_lose_nothing_beside_a_hostile_one(attack):
    async def main(attacked):
        async with World(size=4) as world:
            links = [await world.adapter().connect(ADDRESS, 5_000) for _ in range(4)]
            attacking = asyncio.ensure_future(attack(links[3])) if attacked else None
            loop = asyncio.get_running_loop()
            began = loop.time()
            answered = await asyncio.gather(*(echoing(link, 15) for link in links[:3]))
            took = loop.time() - began
            if attacking is not None:
                attacking.cancel()
                await asyncio.gather(attacking, return_exceptions=True)
            assert world.device.radio._server.table is not None
            return answered, took

    calm, calm_s = run(main(attacked=False))
    answered, took_s = run(main(attacked=True))
    assert answered == calm == [15, 15, 15]
    assert took_s < 2 * calm_s


def test_who_takes_no_answers_is_disconnected():
    async def main():
        async with World("interval_ms=15,dle=27") as world:
            world.device.radio.set_value(STATE, bytes(500))
            link = await world.adapter().connect(ADDRESS, 5_000)
            asking = asyncio.ensure_future(asks_without_waiting(link))
            assert await link.wait_closed(5_000) == "ended by the peer"
            await asking
            assert world.device.radio.connections == ()

    run(main())


def test_a_client_that_never_confirms_is_told_once_and_holds_nobody_up():
    async def main():
        async with World(shown=table(smp=False)) as world:
            lazy = await world.adapter().connect(ADDRESS, 5_000)
            good = await world.adapter().connect(ADDRESS, 5_000)
            heard = []
            lazy.att._send = lambda pdu, send=lazy.att._send: None if pdu[0] == AttOpcode.CONFIRMATION else send(pdu)
            await lazy.watch_services(lambda value: heard.append(("lazy", value)))
            await good.watch_services(lambda value: heard.append(("good", value)))
            for smp in (True, False, True):
                world.device.radio.set_table(table(smp=smp), live=True)
                await asyncio.sleep(0.2)
            return [who for who, _ in heard]

    told = run(main())
    assert told.count("lazy") == 1
    assert told.count("good") == 3


def test_a_notification_waits_until_the_client_knows_the_table():
    """The answer to the request that changed the table is not lost: it comes once the client has caught up."""

    async def main():
        async with World(shown=table(smp=False)) as world:
            link = await world.adapter().connect(ADDRESS, 5_000)
            loop, heard = asyncio.get_running_loop(), []
            await link.watch_services(lambda _: None)
            await link.subscribe(mode.SERVICE_UUID, STATE, heard.append)
            await link.att.write(6, b"\x01")
            radio = world.device.radio
            radio.set_table(table(), live=True)
            assert await radio.notify(1, STATE, b"new mode") is True
            await asyncio.sleep(0.1)
            assert heard == [b"new mode"]
            # A client that never catches up does not hold the device for ever.
            link.att._send = lambda pdu, send=link.att._send: None if pdu[0] == AttOpcode.CONFIRMATION else send(pdu)
            radio.set_table(table(smp=False), live=True)
            began = loop.time()
            assert await radio.notify(1, STATE, b"lost") is False
            assert loop.time() - began <= 2.1
            # One that goes away meanwhile is an error at once.
            waiting = asyncio.ensure_future(radio.notify(1, STATE, b"late"))
            await asyncio.sleep(0.1)
            await link.close()
            with pytest.raises(LinkLostError):
                await waiting

    run(main())


def test_service_changed_reaches_a_bonded_central_that_was_away_after_encryption():
    async def main():
        async with World(shown=table(smp=False)) as world:
            adapter = world.adapter()
            link = await adapter.connect(ADDRESS, 5_000)
            await link.pair()
            await asyncio.sleep(0.3)
            await link.watch_services(lambda _: None)
            await link.close()
            await asyncio.sleep(0.1)
            world.device.radio.set_table(table())
            heard = []
            link = await adapter.connect(ADDRESS, 5_000)
            handle = next(c.handle for s in link.found for c in s.characteristics if c.uuid == SERVICE_CHANGED_UUID)
            link._sinks[handle] = heard.append
            await asyncio.sleep(0.5)
            assert heard == []
            await link.pair()
            await asyncio.sleep(0.5)
            return heard

    assert run(main()) == [struct.pack("<HH", 0x40, 0x43)]


def test_rediscovery_within_the_connection_finds_the_new_service():
    async def main():
        async with World(shown=table(smp=False), size=4) as world:
            link = await world.adapter().connect(ADDRESS, 5_000)
            assert SMP[0] not in link.services
            world.device.radio.set_table(table(), live=True)
            await link.refresh()
            assert SMP[0] in link.services
            assert await echoing(link, 3) == 3

    run(main())


def test_a_rediscovering_client_that_caches_robustly_is_aware_afterwards():
    async def main():
        async with World(shown=table(smp=False), size=4) as world:
            link = await world.adapter().connect(ADDRESS, 5_000)
            await link.att.write(6, b"\x01")
            world.device.radio.set_table(table(), live=True)
            await link.refresh()
            assert await echoing(link, 3) == 3

    run(main())
