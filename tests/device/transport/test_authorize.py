"""`service = "authorize"` on the air: the SMP service stays, and the gate is asked at each access to it."""

import asyncio

import pytest
from tests.integration.places import Place, place, with_maintenance
from tests.integration.test_first_light import run, way

from keyswitch.demo.workshop import Workshop
from keyswitch.errors import RemoteError, SilenceError
from keyswitch.gate.effects import ShowService
from keyswitch.host.connect.endpoint import Connection
from keyswitch.host.smp.reply import Answer
from keyswitch.link.ports import GattRefused
from keyswitch.policy.enums import SessionRule, Visibility
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import image, mode, os

ECHO = bytes.fromhex("0200000600000000") + b"\xbf\x61d\x61x\xff"


async def refused(connection: Connection) -> bool:
    """Whether the device refuses the subscription for want of authorization."""
    try:
        if connection.heal is None:
            await connection.open_smp()
            raise connection.trouble or AssertionError("subscribed")
        await connection.heal()
    except GattRefused as error:
        return error.not_authorized
    return False


async def served(connection: Connection) -> bool:
    assert connection.smp is not None
    return isinstance(await connection.smp.read(image.ID, image.Id.STATE), Answer)


def received(here: Place) -> int:
    """Packets that have reached the device's queues."""
    return here.world.device.server.core.counts.received


def test_one_connection_through_it_all(pump: Workshop) -> None:
    """Refused, entered, served, left, refused, entered again: without a reconnect and without a change of the table."""

    async def story() -> None:
        async with place(pump, service=Visibility.AUTHORIZE) as here:
            central = await here.central()
            assert central.gatt is not None
            assert ble.SERVICE_UUID in central.gatt.services
            table = here.world.peripheral._server.database
            for _ in range(2):
                assert await refused(central)
                assert central.smp is None or not await answers(central)
                await here.open()
                assert await central.open_smp()
                assert await served(central)
                assert central.mode is not None
                await central.mode.write(mode.ID, mode.Id.LEAVE)
                assert here.status["gate"] == "shut"
            assert here.world.peripheral._server.database is table
            assert central.closed is None
            await central.gatt.refresh()
            assert ble.SERVICE_UUID in central.gatt.services

    run(story())


async def answers(connection: Connection) -> bool:
    """Whether an echo over the SMP service is answered; what the mode service tells goes on either way."""
    assert connection.smp is not None
    assert connection.mode is not None
    assert isinstance(await connection.mode.read(mode.ID, mode.Id.STATE), Answer)
    try:
        return isinstance(await connection.smp.write(os.ID, os.Id.ECHO, {"d": "x"}, timeout_ms=500), Answer)
    except SilenceError:
        return False


def test_a_frame_to_a_shut_gate_does_not_reach_the_queues(pump: Workshop) -> None:
    """Even one that the mode would serve over another transport: `os.echo` in normal mode."""

    async def story() -> None:
        async with place(pump, service=Visibility.AUTHORIZE) as here:
            central = await here.central()
            assert central.gatt is not None
            before = received(here)
            await central.gatt.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, ECHO)
            with pytest.raises(GattRefused, match="0x08"):
                await central.gatt.request(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, ECHO)
            with pytest.raises(GattRefused, match="0x08"):
                await central.gatt.read(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID)
            assert received(here) == before
            assert isinstance(await (await here.client("net")).write(os.ID, os.Id.ECHO, {"d": "x"}), Answer)
            await here.open()
            before = received(here)
            await central.gatt.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, ECHO)
            await asyncio.sleep(0.5)
            assert received(here) == before + 1

    run(story())


def test_half_a_frame_from_before_is_not_completed_after(pump: Workshop) -> None:
    """The first half is let in, the second is not; nor is it the end of anything once the gate is open again."""

    async def story() -> None:
        async with place(pump, service=Visibility.AUTHORIZE) as here:
            central = await here.central()
            assert central.gatt is not None
            await here.open()
            await central.gatt.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, ECHO[:10])
            await here.move(moving=True)
            await here.move(moving=False)
            assert here.status["gate"] == "shut"
            await central.gatt.write(ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID, ECHO[10:])
            await asyncio.sleep(0.2)
            await here.open()
            before = received(here)
            assert await central.open_smp()
            assert await served(central)
            assert received(here) == before + 1

    run(story())


def test_an_owner_is_let_in_alone_and_again_once_it_has_shown_itself(pump: Workshop) -> None:
    async def story() -> None:
        policy = with_maintenance(pump.policy, session=SessionRule.OWNER)
        async with place(pump, policy, service=Visibility.AUTHORIZE) as here:
            owner, entering = await here.central(), way(pump)
            token = (await entering.enter(owner, print)).token
            assert await owner.open_smp()
            assert await served(owner)
            other = await here.central()
            assert not await other.open_smp()
            assert isinstance(other.trouble, GattRefused)
            assert other.trouble.not_authorized
            await owner.close()
            back = await here.central()
            assert await refused(back)
            assert await entering.attach(back, token) is None
            assert await back.open_smp()
            assert await served(back)
            assert await refused(other)

    run(story())


def test_an_answer_that_comes_after_the_gate_has_shut_is_not_sent(pump: Workshop) -> None:
    """Leaving over the SMP service itself: the mode service says what has become of it."""

    async def story() -> None:
        async with place(pump, service=Visibility.AUTHORIZE) as here:
            await here.open()
            central = await here.central()
            assert central.smp is not None
            assert central.mode is not None
            with pytest.raises(SilenceError):
                await central.smp.write(mode.ID, mode.Id.LEAVE, timeout_ms=1_000)
            assert here.status["gate"] == "shut"
            assert central.closed is None
            state = await central.mode.read(mode.ID, mode.Id.STATE)
            assert isinstance(state, Answer)
            assert (state.values["mode"], state.values["gate"]) == ("normal", False)

    run(story())


def test_a_device_that_cannot_be_asked_lets_nobody_in(pump: Workshop) -> None:
    """The power is gone, and what was open is not asked about any more."""

    async def story() -> None:
        async with place(pump, service=Visibility.AUTHORIZE) as here:
            await here.open()
            central = await here.central()
            ble_transport = here.world.peripheral._sink
            assert ble_transport is not None
            (connection,) = here.world.peripheral.connections
            assert ble_transport.may_access(connection, ble.CHARACTERISTIC_UUID)
            assert not ble_transport.may_access(connection + 1, ble.CHARACTERISTIC_UUID)
            assert not ble_transport.may_access(connection, mode.CONTROL_UUID)
            await here.world.device.power_cycle()
            assert not ble_transport.may_access(connection, ble.CHARACTERISTIC_UUID)
            await central.close()

    run(story())


def test_the_machine_asks_for_no_change_of_the_table(pump: Workshop) -> None:
    async def story() -> None:
        shown: list[ShowService] = []

        async with place(pump, service=Visibility.AUTHORIZE) as here:
            runtime = here.world.device
            effect = runtime._effect

            def noted(one: object) -> None:
                if isinstance(one, ShowService):
                    shown.append(one)
                effect(one)

            runtime._effect = noted
            await runtime.settled()
            shown.clear()  # at boot it is shown, once and for all
            await here.open()
            await here.move(moving=True)
            assert here.status["gate"] == "shut"
            assert shown == []

    run(story())


def test_refusals_of_another_kind_are_no_want_of_authorization() -> None:
    """Any other code, and a stack below that tells none."""
    codes = [code for code in (None, *range(0x100)) if GattRefused("no", code).not_authorized]
    assert codes == [0x08]
    assert issubclass(GattRefused, RemoteError)
