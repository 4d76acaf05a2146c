"""Device and host radios on one modelled air, in virtual time."""

import asyncio

import pytest

from keyswitch.errors import LinkLostError
from keyswitch.gatt.services import device_table
from keyswitch.link.air.bound import upload_bound
from keyswitch.link.air.clock import run
from keyswitch.link.air.link import AirLink
from keyswitch.link.air.settings import AirSettings, parse_air
from keyswitch.link.bumble.central import BumbleAdapter
from keyswitch.link.bumble.peripheral import BumblePeripheral
from keyswitch.link.bumble.radio import on_air
from keyswitch.link.peripheral import Advertisement
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode

ADDRESS = "F0:00:00:00:00:07"
FAST = parse_air("interval_ms=15,phy=2M,dle=251")


class Device:
    """A peripheral that answers every `size` bytes written to the SMP characteristic with 20."""

    def __init__(self, air, size=1, table=None) -> None:
        self.radio = BumblePeripheral(
            on_air(air, "device"), address=ADDRESS, table=table or device_table("Pump 7", smp=True)
        )
        self.size, self.got = size, 0
        self.seen = []
        self.tasks = []

    async def start(self):
        await self.radio.start(self)
        await self.radio.advertise(Advertisement(data=bytes.fromhex("020106"), scan_response=b"\x07\x09Pump 7"))
        return self

    def connected(self, connection, address):
        self.seen.append(("connected", connection, address))

    def disconnected(self, connection, reason):
        self.seen.append(("disconnected", connection, reason, asyncio.get_running_loop().time()))

    def written(self, connection, characteristic, value):
        self.got += len(value)
        while self.got >= self.size:
            self.got -= self.size
            notify = self.radio.notify(connection, characteristic, bytes(20))
            self.tasks.append(asyncio.get_running_loop().create_task(notify))

    def subscribed(self, connection, characteristic, on):
        self.seen.append(("subscribed", connection, characteristic, on))

    def secured(self, connection, security):
        self.seen.append(("secured", connection, security))


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
        air = AirLink(AirSettings())
        device = await Device(air, size=4).start()
        adapter = BumbleAdapter(on_air(air, "host"))
        sighting = await first_sighting(adapter, "Pump 7")
        assert sighting.address == ADDRESS
        link = await adapter.connect(sighting.address, 5_000)
        assert ble.SERVICE_UUID in link.services
        assert mode.SERVICE_UUID in link.services
        assert link.max_write == 495
        answers = asyncio.Queue()
        await link.subscribe(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, answers.put_nowait)
        await link.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, b"ping")
        assert await answers.get() == bytes(20)
        await link.close()
        assert link.closed == "ended here"
        await asyncio.sleep(0.1)
        await adapter.close()
        await device.radio.close()
        return device.seen

    seen = run(main())
    assert [entry[0] for entry in seen] == ["connected", "subscribed", "disconnected"]
    assert seen[-1][2] == "ended by the peer"


@pytest.mark.parametrize("who", ["host", "device"])
def test_a_vanished_peer_is_noticed_within_the_supervision_timeout(who):
    async def main():
        air = AirLink(FAST)
        device = await Device(air).start()
        adapter = BumbleAdapter(on_air(air, "host"))
        link = await adapter.connect(ADDRESS, 5_000)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        if who == "host":
            await adapter._radio.close()
            await asyncio.sleep(2.1)
            _, _, reason, at = device.seen[-1]
            await device.radio.close()
            return reason, at - began
        await device.radio.power_off()
        reason = await link.wait_closed(5_000)
        return reason, asyncio.get_running_loop().time() - began

    reason, took = run(main())
    assert "supervision timeout" in reason
    assert took <= 2.0


def test_a_waiting_request_ends_with_the_link():
    async def main():
        air = AirLink(FAST)
        device = await Device(air).start()
        adapter = BumbleAdapter(on_air(air, "host"))
        link = await adapter.connect(ADDRESS, 5_000)
        reading = asyncio.ensure_future(link.read(mode.SERVICE_UUID, mode.STATE_UUID))
        await asyncio.sleep(0)
        await device.radio.power_off()
        with pytest.raises(LinkLostError, match="supervision"):
            await reading

    run(main())


def test_connecting_to_nobody_ends_in_time_and_the_radio_stays_usable():
    async def main():
        air = AirLink(FAST)
        adapter = BumbleAdapter(on_air(air, "host"))
        with pytest.raises(LinkLostError, match="not connected within 300 ms"):
            await adapter.connect(ADDRESS, 300)
        device = await Device(air).start()
        link = await adapter.connect(ADDRESS, 5_000)
        assert link.closed is None
        await adapter.close()
        await device.radio.close()

    run(main())


@pytest.mark.parametrize("interval_ms", [7.5, 15, 30, 50])
@pytest.mark.parametrize(("size", "window"), [(2475, 3), (495, 3), (244, 3), (2475, 1), (495, 1)])
def test_uploads_reach_the_bound(interval_ms, size, window):
    total = max(60_000, size * 40)

    async def main():
        air = AirLink(parse_air(f"interval_ms={interval_ms},phy=2M,dle=251"))
        device = await Device(air, size=size).start()
        adapter = BumbleAdapter(on_air(air, "host"))
        link = await adapter.connect(ADDRESS, 5_000)
        answered = asyncio.Queue()
        await link.subscribe(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, answered.put_nowait)

        async def ask():
            for at in range(0, size, link.max_write):
                await link.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, bytes(min(link.max_write, size - at)))

        loop = asyncio.get_running_loop()
        began, done, asked = loop.time(), 0, 0
        while done < total // size:
            while asked < total // size and asked - done < window:
                await ask()
                asked += 1
            await answered.get()
            done += 1
        took = loop.time() - began
        await adapter.close()
        await device.radio.close()
        return done * (size - 26) / took

    rate = run(main())
    bound = upload_bound(interval_us=int(interval_ms * 1000), buf_size=size, window=window)
    assert 0.9 * bound.bytes_per_second <= rate <= 1.01 * bound.bytes_per_second, bound.limited_by
