"""Device and host radios on one modelled air, in virtual time."""

import asyncio
import re
from contextlib import aclosing
from types import SimpleNamespace

import pytest
from bumble import hci
from bumble.transport.common import TransportInitError, TransportSpecError
from tests.link.radios import ADDRESS, ADVERTISEMENT, SMP, Device, World, table

from keyswitch.errors import InputError, LinkLostError, LocalError
from keyswitch.link.air.clock import run
from keyswitch.link.air.controller import AirController
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import parse_air
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.radio import on_air, transport
from keyswitch.link.peripheral import Advertisement
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode
from keyswitch.timing.bound import upload_bound


async def first_sighting(adapter, name):
    scan = adapter.scan(5_000)
    try:
        async for sighting in scan:
            if sighting.name == name:
                return sighting
    finally:
        await scan.aclose()
    return None


def test_scan_connect_subscribe_write_and_be_answered():
    async def main():
        async with World("", size=4) as world:
            adapter = world.adapter()
            sighting = await first_sighting(adapter, "Pump 7")
            assert sighting.address == ADDRESS
            assert sighting.connectable
            link = await adapter.connect(sighting.address, 5_000)
            assert {ble.SERVICE_UUID, mode.SERVICE_UUID} <= link.services
            assert link.max_write == 495
            answers = asyncio.Queue()
            await link.subscribe(*SMP, answers.put_nowait)
            await link.write(*SMP, b"ping")
            assert await answers.get() == bytes(20)
            await link.close()
            assert link.closed == "ended here"
            await asyncio.sleep(0.1)
            return world.device

    device = run(main())
    assert device.words() == ["connected", "subscribed", "disconnected"]
    assert device.seen[-1][2] == "ended by the peer"


def test_what_is_advertised_is_heard():
    data = bytes.fromhex("020106") + bytes([17, 7]) + bytes.fromhex("190831ef1aeceb17ee4c".ljust(32, "0")[:32])
    data += bytes.fromhex("08ffffff21") + b"tokn"

    async def main():
        async with World() as world:
            await world.device.radio.advertise(Advertisement(data=data, scan_response=b"\x05\x09Pump"))
            return await first_sighting(world.adapter(), "Pump")

    sighting = run(main())
    assert sighting.manufacturer == (0xFFFF, b"\x21tokn")
    assert len(sighting.services) == 1
    assert sighting.rssi_dbm == -50


def test_advertising_goes_on_while_connected_and_after():
    async def main():
        async with World() as world:
            first = await world.adapter().connect(ADDRESS, 5_000)
            second = await world.adapter().connect(ADDRESS, 5_000)
            assert world.device.radio.connections == (1, 2)
            await first.close()
            await second.close()
            assert await first_sighting(world.adapter(), "Pump 7")
            third = await world.adapter().connect(ADDRESS, 5_000)
            assert third.closed is None
            assert world.device.radio.connections == (3,)  # a number is never used again
            await world.device.radio.advertise(None)
            await third.close()
            assert await first_sighting(world.adapter(), "Pump 7") is None

    run(main())


@pytest.mark.parametrize("who", ["host", "device"])
def test_a_vanished_peer_is_noticed_within_the_supervision_timeout(who):
    async def main():
        async with World() as world:
            adapter = world.adapter()
            link = await adapter.connect(ADDRESS, 5_000)
            await asyncio.sleep(1)
            began = asyncio.get_running_loop().time()
            if who == "host":
                await adapter._radio.close()
                await asyncio.sleep(2.1)
                _, _, reason, at = world.device.seen[-1]
                return reason, at - began
            await world.device.radio.power_off()
            reason = await link.wait_closed(5_000)
            return reason, asyncio.get_running_loop().time() - began

    reason, took = run(main())
    assert "supervision timeout" in reason
    assert took <= 2.0


def test_out_of_range_is_noticed_by_both():
    async def main():
        async with World() as world:
            link = await world.adapter().connect(ADDRESS, 5_000)
            world.air.connections[0].silence()
            assert "supervision" in await link.wait_closed(2_500)
            await asyncio.sleep(0.1)
            assert world.device.words()[-1] == "disconnected"

    run(main())


def test_after_a_power_cycle_the_radio_is_as_new():
    async def main():
        async with World() as world:
            await world.adapter().connect(ADDRESS, 5_000)
            await world.device.radio.power_off()
            assert world.device.radio.connections == ()
            assert world.device.words() == ["connected"]  # nobody is told
            await world.device.start()
            assert (await world.adapter().connect(ADDRESS, 5_000)).closed is None

    run(main())


def test_whoever_waits_learns_that_the_link_is_gone():
    async def main():
        async with World() as world:
            link = await world.adapter().connect(ADDRESS, 5_000)
            reading = asyncio.ensure_future(link.read(mode.SERVICE_UUID, mode.STATE_UUID))
            await asyncio.sleep(0)
            await world.device.radio.power_off()
            with pytest.raises(LinkLostError, match="supervision"):
                await reading
            for late in (link.read(*SMP), link.write(*SMP, b"x"), link.subscribe(*SMP, print), link.refresh()):
                with pytest.raises(LinkLostError, match="supervision"):
                    await late
            with pytest.raises(LinkLostError, match="supervision"):
                await link.pair()

    run(main())


def test_a_writer_that_waits_for_room_learns_it_too():
    async def main():
        async with World() as world:
            link = await world.adapter().connect(ADDRESS, 5_000)

            async def flood():
                while True:
                    await link.write(*SMP, bytes(495))

            writing = asyncio.ensure_future(flood())
            await asyncio.sleep(0.05)
            await world.device.radio.power_off()
            with pytest.raises(LinkLostError):
                await writing

    run(main())


def test_connecting_to_nobody_ends_in_time_and_the_radio_stays_usable():
    async def main():
        air = AirLink(parse_air("interval_ms=15"))
        adapter = BumbleAdapter(on_air(air, "host"))
        with pytest.raises(LinkLostError, match="not connected within 300 ms"):
            await adapter.connect(ADDRESS, 300)
        attempt = asyncio.ensure_future(adapter.connect(ADDRESS, 5_000))
        await asyncio.sleep(0.1)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        device = await Device(air).start()
        first, second = await asyncio.gather(
            adapter.connect(ADDRESS, 5_000), adapter.connect(ADDRESS, 200), return_exceptions=True
        )
        assert first.closed is None
        assert isinstance(second, LinkLostError)  # one connection between two radios
        await adapter.close()
        await device.radio.close()

    run(main())


def test_a_controller_that_was_given_back_is_not_waited_for():
    async def main():
        async with World("") as world:
            adapter, now = world.adapter(), asyncio.get_running_loop().time
            async with aclosing(adapter.scan(5_000)) as sightings:
                await anext(sightings)
                await adapter.close()
                began = now()
            assert now() - began < 0.1

    run(main())


def test_a_radio_that_is_not_there_is_one_line():
    async def main():
        adapter = BumbleAdapter(transport("tcp-client:127.0.0.1:1"))
        with pytest.raises(LinkLostError, match="tcp-client"):
            await adapter.connect(ADDRESS, 1_000)

    asyncio.run(main())


class DriverError(Exception):
    """As drivers raise them: of no class that anybody shares."""


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (TransportSpecError("unknown transport scheme"), InputError, "usb:0: no usable HCI transport: unknown"),
        (ValueError("invalid literal for int()"), InputError, "usb:0: no usable HCI transport: invalid literal"),
        (AssertionError(), InputError, "usb:0: no usable HCI transport: AssertionError"),
        (ImportError("No module named 'usb'"), InputError, "No module named 'usb'"),
        (TransportInitError("device not found"), LinkLostError, "usb:0: device not found"),
        (DriverError("LIBUSB_ERROR_NO_DEVICE"), LinkLostError, "usb:0: LIBUSB_ERROR_NO_DEVICE"),
        (PermissionError(13, "Permission denied"), LinkLostError, "usb:0: Permission denied"),
    ],
)
def test_whose_fault_it_is_that_a_controller_does_not_open(
    error: Exception, kind: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
):
    async def fail(_name: str) -> None:
        raise error

    monkeypatch.setattr("keyswitch.link.bumble.radio.open_transport", fail)
    with pytest.raises(kind, match=re.escape(said)):
        run(transport("usb:0")())


@pytest.mark.parametrize("error", [TransportInitError("device not found"), ValueError("device already in use")])
def test_a_controller_that_was_there_once_is_waited_for(error: Exception, monkeypatch: pytest.MonkeyPatch):
    opened = [object()]

    async def once(_name: str) -> object:
        if not opened:
            raise error
        opened.pop()
        return SimpleNamespace(source=None, sink=None)

    monkeypatch.setattr("keyswitch.link.bumble.radio.open_transport", once)
    opener = transport("usb:0")

    async def main():
        await opener()
        with pytest.raises(LinkLostError, match=str(error)):
            await opener()

    run(main())


def test_what_callers_may_not_do_is_said():
    async def main():
        async with World() as world:
            radio = world.device.radio
            with pytest.raises(LocalError, match="on already"):
                await radio.start(world.device)
            with pytest.raises(LocalError, match="32 bytes of advertising data"):
                await radio.advertise(Advertisement(data=bytes(32)))
            with pytest.raises(LocalError, match="while advertising or connected"):
                await radio.set_address("F0:00:00:00:00:08")
            with pytest.raises(LocalError, match="no characteristic"):
                radio.set_value("2125afde-0000-0000-0000-000000000000", b"")
            link = await world.adapter().connect(ADDRESS, 5_000)
            with pytest.raises(LocalError, match="while somebody is connected"):
                radio.set_table(table(smp=False))
            with pytest.raises(LocalError, match="at most 495"):
                await link.write(*SMP, bytes(496))
            await link.subscribe(*SMP, lambda _: None)
            with pytest.raises(LocalError, match="does not fit an MTU of 498"):
                await radio.notify(1, SMP[1], bytes(496))
            with pytest.raises(LinkLostError):
                await radio.notify(7, SMP[1], b"")
            assert await radio.delivered(7, 100) is False
            await radio.disconnect(7)

    run(main())


def test_a_second_address_is_a_second_device():
    async def main():
        async with World() as world:
            radio = world.device.radio
            await radio.advertise(None)
            await radio.set_address("F0:00:00:00:00:08")
            await radio.advertise(ADVERTISEMENT)
            assert radio.address == "F0:00:00:00:00:08"
            with pytest.raises(LinkLostError):
                await world.adapter().connect(ADDRESS, 500)
            link = await world.adapter().connect("F0:00:00:00:00:08", 5_000)
            assert link.address == "F0:00:00:00:00:08"

    run(main())


def test_delivered_waits_for_the_peers_link_layer():
    async def main():
        async with World("interval_ms=100") as world:
            link = await world.adapter().connect(ADDRESS, 5_000)
            heard = []
            await link.subscribe(*SMP, heard.append)
            radio, loop = world.device.radio, asyncio.get_running_loop()
            assert await radio.notify(1, SMP[1], b"last words")
            assert await radio.delivered(1, 1) is False
            began = loop.time()
            assert await radio.delivered(1, 5_000) is True
            assert loop.time() - began <= 0.21
            await radio.disconnect(1)
            assert await link.wait_closed(1_000) == "ended by the peer"
            assert heard == [b"last words"]

    run(main())


def test_notifications_keep_pace_with_the_link():
    async def main():
        async with World() as world:
            link = await world.adapter().connect(ADDRESS, 5_000)
            heard = []
            radio, loop = world.device.radio, asyncio.get_running_loop()
            assert await radio.notify(1, SMP[1], b"") is False
            assert not radio.is_subscribed(1, SMP[1])
            await link.subscribe(*SMP, heard.append)
            assert radio.is_subscribed(1, SMP[1])
            began = loop.time()
            for count in range(200):
                assert await radio.notify(1, SMP[1], count.to_bytes(2, "big") + bytes(300))
                assert radio._outflow.waiting(1) <= 10
            assert loop.time() - began > 0.2  # 60 kB do not go out at once
            await asyncio.sleep(0.5)
            assert [int.from_bytes(value[:2], "big") for value in heard] == list(range(200))

    run(main())


@pytest.mark.parametrize("interval_ms", [7.5, 15, 30, 50])
@pytest.mark.parametrize(("size", "window"), [(2475, 3), (495, 3), (244, 3), (2475, 1), (495, 1)])
def test_uploads_reach_the_bound(interval_ms, size, window):
    count = max(60_000 // size, 40)

    async def main():
        async with World(f"interval_ms={interval_ms},phy=2M,dle=251", size=size) as world:
            link = await world.adapter().connect(ADDRESS, 5_000)
            answered = asyncio.Queue()
            await link.subscribe(*SMP, answered.put_nowait)
            loop = asyncio.get_running_loop()
            began, done, asked = loop.time(), 0, 0
            while done < count:
                while asked < count and asked - done < window:
                    for at in range(0, size, link.max_write):
                        await link.write(*SMP, bytes(min(link.max_write, size - at)))
                    asked += 1
                await answered.get()
                done += 1
            return done * (size - 26) / (loop.time() - began)

    rate = run(main())
    bound = upload_bound(interval_us=int(interval_ms * 1000), buf_size=size, window=window)
    assert 0.9 * bound.bytes_per_second <= rate <= 1.01 * bound.bytes_per_second, bound.limited_by


def test_a_host_hears_others_while_it_connects_where_its_controller_says_so():
    """What it says is its states (Vol 4 Part E 7.8.27); one that does not know the command says nothing."""

    async def heard_meanwhile(world, adapter):
        heard = 0
        scan = adapter.scan(5_000)
        async for sighting in scan:
            if sighting.name:
                break
        connecting = asyncio.ensure_future(adapter.connect(ADDRESS, 5_000))
        async for _ in scan:
            heard += not connecting.done()
            if connecting.done():
                break
        await scan.aclose()
        await connecting
        assert world.device.words() == ["connected"]
        return heard

    async def main():
        async with World() as world:
            adapter = world.adapter()
            assert not adapter.hears_while_connecting, "nothing was asked of the controller yet"
            assert await heard_meanwhile(world, adapter) > 0
            assert adapter.hears_while_connecting

    run(main())


@pytest.mark.parametrize("states", ["0000000000000000", "ffff3fffff030000", "ffffbffdff030000", None])
def test_a_controller_that_does_not_scan_while_it_connects_is_believed(states, monkeypatch):
    async def main():
        async with World() as world:
            if states is not None:
                monkeypatch.setattr(AirController, "le_states", bytes.fromhex(states))
            else:
                refused = hci.HCI_LE_Read_Supported_States_ReturnParameters
                code = hci.HCI_ErrorCode.UNKNOWN_HCI_COMMAND_ERROR
                monkeypatch.setattr(
                    AirController,
                    "on_hci_le_read_supported_states_command",
                    lambda _self, _command: refused(status=code, le_states=b"\xff" * 8),
                )
            adapter = world.adapter()
            await first_sighting(adapter, "Pump 7")
            assert not adapter.hears_while_connecting

    run(main())
