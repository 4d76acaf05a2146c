"""A device that was paired, and comes back at another address: private, or one that nobody has keys for."""

import asyncio

import pytest
from bumble import hci, smp
from bumble.smp import Session
from tests.link.radios import ADDRESS, ADVERTISEMENT, World, bonds, table

from keyswitch.errors import LinkLostError
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.link.air.clock import run
from keyswitch.link.bumble.bonds import Bonds
from keyswitch.link.ports import PairingError, PairingFailure
from keyswitch.smp.groups.mode import STATE_UUID, StateFlags, StateValue
from keyswitch.terms import Security

OURS = "C0:00:00:00:00:01"
ELSEWHERE = "F0:00:00:00:00:08"
SECURE = table(security=Security.ENCRYPTED)


async def move(world: World, address: hci.Address) -> str:
    """The device is at another address, with the bonds that it has."""
    radio = world.device.radio
    await radio.advertise(None)
    radio._radio.device.random_address = address
    if address.is_static:
        radio._radio.device.static_address = address  # it is what a pairing tells, too
    await radio._command(hci.HCI_LE_Set_Random_Address_Command(random_address=address))
    await radio.advertise(ADVERTISEMENT)
    return address.to_string(False)


@pytest.fixture
def keeps_its_bonds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that lets no pairing replace a bond, as Zephyr does where neither was authenticated."""
    pairing = Session.on_smp_pairing_request_command_async

    async def refuse(self: Session, command: smp.SMP_Pairing_Request_Command) -> None:
        store = self.manager.device.keystore
        if isinstance(store, Bonds) and store.has(str(self.connection.peer_address)):
            self.send_pairing_failed(smp.ErrorCode.AUTHENTICATION_REQUIREMENTS)
        else:
            await pairing(self, command)

    monkeypatch.setattr(Session, "on_smp_pairing_request_command_async", refuse)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.usefixtures("keeps_its_bonds")
def test_a_private_address_is_resolved_and_its_bond_used(*, private: bool):
    """Whether the pairing was at a private address, too; and in another process, which has the bonds alone."""

    async def main() -> None:
        theirs, ours = bonds(), Bonds(OURS)

        async def encrypted(world: World, at: str) -> None:
            link = await world.adapter(bonds=Bonds(OURS, ours.document()), address=OURS).connect(at, 5_000)
            await link.pair()
            assert link.security is Security.ENCRYPTED
            await link.close()

        async with World(shown=SECURE, bonds=theirs) as world:
            first = hci.Address.generate_private_address(theirs.irk)
            adapter = world.adapter(bonds=ours, address=OURS)
            link = await adapter.connect(await move(world, first) if private else ADDRESS, 5_000)
            await link.pair()
            await asyncio.sleep(0.5)
            await link.close()
            link = await adapter.connect(await move(world, hci.Address.generate_private_address(theirs.irk)), 5_000)
            await link.pair()
            await link.close()
            assert ours.peers == (ADDRESS,)
        async with World(shown=SECURE, bonds=theirs) as world:
            await encrypted(world, await move(world, hci.Address.generate_private_address(theirs.irk)))

    run(main())


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.usefixtures("keeps_its_bonds")
def test_a_bonded_device_is_known_by_its_identity(*, private: bool):
    """It tells no token, and has another private address each time. Nobody else is taken for it."""

    async def main() -> None:
        async with World(shown=SECURE, bonds=(theirs := bonds())) as world:
            if private:
                await move(world, hci.Address.generate_private_address(theirs.irk))
            endpoint = await paired_once(world)
            await move(world, hci.Address.generate_private_address(theirs.irk))
            connection = await endpoint.connect()
            assert connection.gatt is not None
            assert (connection.gatt.address, connection.gatt.security) == (ADDRESS, Security.ENCRYPTED)
            await connection.close()
            await move(world, hci.Address.generate_private_address(bytes(16)))
            with pytest.raises(LinkLostError, match="was not heard"):
                await endpoint.connect(timeout_ms=3_000)

    run(main())


@pytest.mark.usefixtures("keeps_its_bonds")
def test_a_bond_that_only_the_device_has_is_told_apart():
    async def main() -> None:
        async with World(shown=SECURE, bonds=bonds()) as world:
            adapter = world.adapter()
            link = await adapter.connect(ADDRESS, 5_000)
            await link.pair()
            await asyncio.sleep(0.5)
            await link.close()
            adapter.forget(ADDRESS)
            link = await adapter.connect(ADDRESS, 5_000)
            with pytest.raises(PairingError, match="keeps an older bond with this computer") as failed:
                await link.pair()
            assert failed.value.failure is PairingFailure.UNMET

    run(main())


async def paired_once(world: World) -> BleEndpoint:
    """Our way to the device, over which it was paired, and encrypted with the keys of that."""
    state = StateValue(mode_index=0, flags=StateFlags(0), lease_s=0, token=b"1234")
    world.device.radio.set_value(STATE_UUID, state.encode())
    endpoint = BleEndpoint(world.adapter(address=OURS), target="hci:it", name="Pump 7", pair=True)
    for _ in range(2):
        await (await endpoint.connect()).close()
        await asyncio.sleep(0.5)
    return endpoint


@pytest.mark.parametrize("pairable", [True, False])
@pytest.mark.usefixtures("keeps_its_bonds")
def test_an_address_that_does_not_stay_is_named(*, pairable: bool):
    """At another address there are no keys. The device keeps its bond, or has none and takes no pairing now."""

    async def main() -> None:
        async with World(shown=SECURE, bonds=(theirs := bonds())) as world:
            endpoint = await paired_once(world)
            endpoint.learn(address=await move(world, hci.Address(ELSEWHERE)))
            world.device.radio.pairable = pairable
            if not pairable:
                theirs.forget(OURS)
            with pytest.raises(PairingError, match=f"paired at {ADDRESS}; it is at {ELSEWHERE} now") as failed:
                await endpoint.connect()
            assert failed.value.failure is PairingFailure.MOVED

    run(main())


@pytest.mark.usefixtures("keeps_its_bonds")
def test_a_device_that_moved_and_forgot_is_paired_anew():
    async def main() -> None:
        async with World(shown=SECURE, bonds=(theirs := bonds())) as world:
            endpoint = await paired_once(world)
            endpoint.learn(address=await move(world, hci.Address(ELSEWHERE)))
            theirs.forget(OURS)
            connection = await endpoint.connect()
            assert connection.gatt is not None
            assert (connection.gatt.address, connection.gatt.security) == (
                ELSEWHERE,
                Security.ENCRYPTED,
            )

    run(main())


@pytest.mark.parametrize("failure", [PairingFailure.UNMET, PairingFailure.NOT_NOW])
@pytest.mark.usefixtures("keeps_its_bonds")
def test_where_it_was_paired_a_refusal_says_what_the_device_said(failure: PairingFailure):
    async def main() -> None:
        async with World(shown=SECURE, bonds=(theirs := bonds())) as world:
            endpoint = await paired_once(world)
            endpoint._adapter.forget(ADDRESS)
            if failure is PairingFailure.NOT_NOW:
                theirs.forget(OURS)
                world.device.radio.pairable = False
            with pytest.raises(PairingError) as failed:
                await endpoint.connect()
            assert failed.value.failure is failure

    run(main())
