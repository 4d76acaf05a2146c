"""The contract of `link.ports`, kept by both adapters: bleak's stands on a backend over the modelled air."""

import asyncio
import sys

import pytest
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakError
from tests.link.bleak_air import backends
from tests.link.radios import ADDRESS, SMP, World, table

from keyswitch.errors import LinkLostError, LocalError, RemoteError
from keyswitch.link.air.clock import run
from keyswitch.link.bleak.adapter import BleakAdapter
from keyswitch.link.ports import GattRefused
from keyswitch.smp.groups import mode
from keyswitch.terms import Security

KINDS = ["bumble", "bleak"]


def adapter_of(world, kind):
    radio = world.adapter()
    return radio if kind == "bumble" else BleakAdapter(**backends(radio))


@pytest.mark.parametrize("kind", KINDS)
def test_scan_connect_read_subscribe_write_close(kind):
    async def main():
        async with World(size=4) as world:
            world.device.radio.set_value(mode.STATE_UUID, b"\x01state")
            adapter = adapter_of(world, kind)
            found = []
            scan = adapter.scan(2_000)
            async for sighting in scan:
                if sighting.name == "Pump 7":
                    found.append(sighting)
                    break
            await scan.aclose()
            link = await adapter.connect(found[0].address, 5_000)
            assert link.address == ADDRESS
            assert {SMP[0], mode.SERVICE_UUID} <= link.services
            assert link.max_write == 495
            assert link.can_rediscover is (kind == "bumble")
            assert adapter.hears_while_connecting is (kind == "bumble")
            assert await link.read(mode.SERVICE_UUID, mode.STATE_UUID) == b"\x01state"
            answers = asyncio.Queue()
            await link.subscribe(*SMP, answers.put_nowait)
            await link.write(*SMP, b"ping")
            assert await answers.get() == bytes(20)
            assert await link.wait_closed(10) is None
            await link.close()
            await link.close()
            assert link.closed == "ended here"
            await asyncio.sleep(0.2)
            assert world.device.words()[-1] == "disconnected"
            await adapter.close()

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_ends_in_time(kind):
    async def main():
        async with World() as world:
            loop = asyncio.get_running_loop()
            began, count = loop.time(), 0
            async for _ in adapter_of(world, kind).scan(1_000):
                count += 1
            assert 1.0 <= loop.time() - began < 1.2
            assert count > 5

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_carry_their_code(kind):
    async def main():
        async with World(shown=table(security=Security.ENCRYPTED)) as world:
            link = await adapter_of(world, kind).connect(ADDRESS, 5_000)
            with pytest.raises(GattRefused) as refused:
                await link.subscribe(*SMP, print)
            assert refused.value.code == 0x05
            assert refused.value.wants_security
            await link.pair()
            await asyncio.sleep(0.3)
            await link.subscribe(*SMP, print)
            with pytest.raises(RemoteError, match="no characteristic"):
                await link.read(SMP[0], mode.STATE_UUID)
            with pytest.raises(RemoteError, match="no characteristic"):
                await link.read(mode.STATE_UUID, mode.STATE_UUID)
            with pytest.raises(LocalError, match="at most 495"):
                await link.write(*SMP, bytes(496))

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_link_is_told_to_everybody(kind):
    async def main():
        async with World() as world:
            link = await adapter_of(world, kind).connect(ADDRESS, 5_000)
            reading = asyncio.ensure_future(link.read(mode.SERVICE_UUID, mode.STATE_UUID))
            await asyncio.sleep(0)
            await world.device.radio.power_off()
            with pytest.raises(LinkLostError):
                await reading
            assert await link.wait_closed(3_000) is not None
            for late in (link.read(*SMP), link.write(*SMP, b"x"), link.subscribe(*SMP, print)):
                with pytest.raises(LinkLostError):
                    await late
            await link.close()

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_there_is_a_lost_link_in_time(kind):
    async def main():
        async with World() as world:
            await world.device.radio.advertise(None)
            adapter = adapter_of(world, kind)
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(LinkLostError, match=ADDRESS):
                await adapter.connect(ADDRESS, 400)
            assert loop.time() - began < 2.5

    run(main())


def test_a_cancelled_caller_is_cancelled_and_leaves_nothing_behind():
    async def main():
        async with World() as world:
            await world.device.radio.advertise(None)
            attempt = asyncio.ensure_future(adapter_of(world, "bleak").connect(ADDRESS, 5_000))
            await asyncio.sleep(0.2)
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt

    run(main())


def test_refresh_is_honest():
    async def main():
        async with World() as world:
            link = await adapter_of(world, "bleak").connect(ADDRESS, 5_000)
            with pytest.raises(LocalError, match="connect anew"):
                await link.refresh()

    run(main())


@pytest.mark.parametrize(
    "error",
    [
        BleakBluetoothNotAvailableError("off", BleakBluetoothNotAvailableReason.POWERED_OFF),
        BleakError("no adapter"),
        FileNotFoundError(2, "No such file or directory"),
        EOFError(),
    ],
)
def test_a_computer_without_bluetooth_is_told_in_one_line(error):
    class Broken:
        def __init__(self, *_args: object, **_options: object) -> None:
            pass

        async def start(self):
            raise error

    async def main():
        adapter = BleakAdapter(scanner_backend=Broken)
        with pytest.raises(LinkLostError, match="not available on this computer") as caught:
            async for _ in adapter.scan(1_000):
                pass
        assert "\n" not in str(caught.value)

    run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other ways to be without Bluetooth")
def test_the_real_thing_without_a_bus(monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent")

    async def main():
        with pytest.raises(LinkLostError, match="not available"):
            async for _ in BleakAdapter().scan(500):
                pass
        with pytest.raises(LinkLostError):
            await BleakAdapter().connect(ADDRESS, 500)

    asyncio.run(main())
