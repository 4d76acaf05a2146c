"""A foreign host on our controller: Bumble's own, unmodified, with its GATT client and its default wishes."""

import asyncio

import pytest
from bumble import core, hci
from bumble.core import UUID, ProtocolError
from bumble.device import Device as BumbleDevice
from bumble.device import Peer
from bumble.host import Host
from tests.link.radios import ADDRESS, SMP, World, table

from keyswitch.link.air.clock import run
from keyswitch.link.air.controller import AirController
from keyswitch.smp.groups import mode
from keyswitch.terms import Security


async def foreign(world, address="C0:00:00:00:00:99", public="00:00:00:00:00:99"):
    controller = AirController("foreign", world.air, public)
    device = BumbleDevice(name="foreign", address=hci.Address(address), host=Host(controller, controller))
    await device.power_on()
    return device


@pytest.mark.parametrize("own", [hci.OwnAddressType.RANDOM, hci.OwnAddressType.PUBLIC])
def test_a_stock_host_scans_connects_discovers_and_is_answered(own):
    async def main():
        async with World("", size=4) as world:
            device = await foreign(world)
            names = []
            device.on("advertisement", lambda seen: names.append((str(seen.address), seen.data.get(9))))
            await device.start_scanning(active=True)
            await asyncio.sleep(0.5)
            await device.stop_scanning()
            assert (ADDRESS, "Pump 7") in names
            connection = await device.connect(ADDRESS, own_address_type=own, timeout=5)
            peer = Peer(connection)
            assert await peer.request_mtu(247) == 247
            await peer.discover_all()
            (smp,) = peer.get_characteristics_by_uuid(UUID(SMP[1]))
            answers = asyncio.Queue()
            await peer.subscribe(smp, answers.put_nowait)
            await peer.write_value(smp, b"ping")
            assert await answers.get() == bytes(20)
            (state,) = peer.get_characteristics_by_uuid(UUID(mode.STATE_UUID))
            world.device.radio.set_value(mode.STATE_UUID, bytes(300))
            assert await peer.read_value(state) == bytes(300)
            with pytest.raises(ProtocolError):
                await peer.write_value(state, b"x", with_response=True)
            await connection.disconnect()
            assert not device.connections

    run(main())


def test_the_commands_that_bumbles_controller_lacks():
    async def main():
        async with World("") as world:
            device = await foreign(world)
            connection = await device.connect(ADDRESS, timeout=5)
            assert await connection.get_rssi() == -50
            await connection.set_data_length(251, 2120)
            faster = asyncio.Event()
            connection.on("connection_phy_update", lambda _: faster.set())
            await connection.set_phy([hci.Phy.LE_2M], [hci.Phy.LE_2M])
            await asyncio.wait_for(faster.wait(), 5)
            phy = await connection.get_phy()
            assert (phy.tx_phy, phy.rx_phy) == (hci.Phy.LE_2M, hci.Phy.LE_2M)
            updated = asyncio.Event()
            connection.on("connection_parameters_update", updated.set)
            await connection.update_parameters(30, 30, 0, 1000)
            await asyncio.wait_for(updated.wait(), 5)
            assert connection.parameters.connection_interval == 30
            features = await connection.get_remote_le_features()
            assert features & hci.LeFeatureMask.LE_2M_PHY
            assert world.air.connections[0].model.parameters.data_length == 251

    run(main())


def test_a_cancelled_attempt_and_a_reset_leave_a_usable_controller():
    async def main():
        async with World("") as world:
            device = await foreign(world)
            with pytest.raises(core.TimeoutError):
                await device.connect("F0:00:00:00:00:55", timeout=0.3)
            connection = await device.connect(ADDRESS, timeout=5)
            await device.host.reset()
            await asyncio.sleep(3)
            assert world.device.words()[-1] == "disconnected"
            again = await foreign(world, "C0:00:00:00:00:98", "00:00:00:00:00:98")
            assert (await again.connect(ADDRESS, timeout=5)).handle
            assert connection.handle

    run(main())


def test_a_stock_host_pairs_and_finds_the_door_open():
    async def main():
        async with World("", shown=table(security=Security.ENCRYPTED)) as world:
            device = await foreign(world)
            connection = await device.connect(ADDRESS, timeout=5)
            peer = Peer(connection)
            await peer.discover_all()
            (smp,) = peer.get_characteristics_by_uuid(UUID(SMP[1]))
            with pytest.raises(ProtocolError):
                await peer.subscribe(smp, lambda _: None)
            await connection.pair()
            await asyncio.sleep(0.5)
            await peer.subscribe(smp, lambda _: None)
            assert world.device.levels() == [Security.ENCRYPTED]

    run(main())


def test_a_connection_by_accept_list_as_kernels_make_it():
    async def main():
        async with World("") as world:
            device = await foreign(world)
            connected = asyncio.Event()
            device.on("connection", lambda _: connected.set())
            device.connect_own_address_type = hci.OwnAddressType.PUBLIC
            await device.send_sync_command(
                hci.HCI_LE_Add_Device_To_Filter_Accept_List_Command(
                    address_type=hci.AddressType.RANDOM_DEVICE, address=hci.Address(ADDRESS)
                )
            )
            await device.send_async_command(
                hci.HCI_LE_Create_Connection_Command(
                    le_scan_interval=96,
                    le_scan_window=96,
                    initiator_filter_policy=1,
                    peer_address_type=0,
                    peer_address=hci.Address.ANY,
                    own_address_type=hci.OwnAddressType.PUBLIC,
                    connection_interval_min=24,
                    connection_interval_max=40,
                    max_latency=0,
                    supervision_timeout=42,
                    min_ce_length=0,
                    max_ce_length=0,
                )
            )
            await asyncio.wait_for(connected.wait(), 5)
            assert world.air.connections[0].model.parameters.interval_us == 30_000

    run(main())


class Answers:
    def __init__(self) -> None:
        self.packets = []

    def on_packet(self, packet):
        self.packets.append(packet)


COMPLETED = bytes.fromhex("01350c050140000100")
"""Host_Number_Of_Completed_Packets, of Zephyr's host for each packet; it has no answer (Vol 4 Part E 7.3.40)."""
FLOW_CONTROL = bytes.fromhex("01310c0101"), bytes.fromhex("040e0401310c00")
VENDORS = bytes.fromhex("01ffff00"), bytes.fromhex("040f040101ffff")
"""A command that nobody knows, and the answer that says so (4.5)."""


def test_commands_that_are_not_served_are_answered_and_nobody_writes_about_them(caplog, capfd):
    async def main():
        async with World("") as world:
            controller = AirController("zephyr", world.air, "00:00:00:00:00:98")
            controller.hci_sink = Answers()
            for packet in (FLOW_CONTROL[0], COMPLETED, COMPLETED, VENDORS[0]):
                controller.on_packet(packet)
            await asyncio.sleep(0.1)
            return controller.hci_sink.packets

    assert run(main()) == [FLOW_CONTROL[1], VENDORS[1]]
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
