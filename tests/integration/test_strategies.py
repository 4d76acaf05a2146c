"""A whole update under every way of showing the SMP service and of being addressed; what the radio shows meanwhile."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.files import job_image
from tests.integration.places import with_maintenance
from tests.integration.test_first_light import AIR, run, way

from keyswitch.demo.workshop import Workshop
from keyswitch.device.storage.identity import load_identity
from keyswitch.device.storage.state_dir import BONDS, StateDir
from keyswitch.errors import InputError
from keyswitch.gate.events import ButtonHeld, InputChanged
from keyswitch.gatt import services
from keyswitch.host.connect.probe import probe_gate
from keyswitch.host.connect.verdict import Gate
from keyswitch.host.update.job import Job, Outcome
from keyswitch.host.update.run import update
from keyswitch.link.ports import GattRefused, Sighting
from keyswitch.policy.enums import Identity, SessionRule, Visibility
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_secret
from keyswitch.reasons import Reason
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import mode
from keyswitch.testing.world import DEVICE_ADDRESS, SECOND_ADDRESS, VirtualWorld


def policy_of(pump: Workshop, service: Visibility, identity: Identity = Identity.SAME) -> Policy:
    return replace(pump.policy, gate=replace(pump.policy.gate, service=service, identity=identity))


def world_of(pump: Workshop, policy: Policy) -> VirtualWorld:
    return VirtualWorld(policy, pump.old.read_bytes(), secret=read_secret(pump.policy), air=AIR)


async def heard(here: VirtualWorld) -> Sighting:
    """One sighting of the device, with its name."""
    adapter = here.adapter()
    async with asyncio.timeout(5), aclosing(adapter.scan(5_000)) as sightings:
        async for sighting in sightings:
            if sighting.name and sighting.manufacturer is not None:
                await adapter.close()
                return sighting
    raise AssertionError("not heard")


CONNECTIONS = {Visibility.RECONNECT: 3, Visibility.LIVE: 3, Visibility.ALWAYS: 2, Visibility.AUTHORIZE: 2}
"""Of a whole update: at first, after the reset, and after entering where the service was not there before."""


@pytest.mark.parametrize("identity", Identity)
@pytest.mark.parametrize("service", Visibility)
def test_a_whole_update(pump: Workshop, service: Visibility, identity: Identity) -> None:
    async def story() -> None:
        addresses: list[str] = []

        def note(event: dict[str, object]) -> None:
            if event["event"] == "connected":
                addresses.append(here.peripheral.address)

        policy = policy_of(pump, service, identity)
        here = VirtualWorld(policy, pump.old.read_bytes(), secret=read_secret(pump.policy), air=AIR, report=note)
        async with here:
            before = await heard(here)
            result = await update(here.endpoint(), Job(images=(job_image(pump.new),), way=way(pump)))
            assert result.outcome is Outcome.CONFIRMED, result
            await asyncio.sleep(1)
            after = await heard(here)
            assert before.services == after.services == frozenset({mode.SERVICE_UUID})
            assert before.address == after.address == DEVICE_ADDRESS
            status = here.device.status()
            assert (status["mode"], status["running"]["version"]) == ("normal", "1.1.0")
            assert len(addresses) == CONNECTIONS[service]
        second = {SECOND_ADDRESS} if identity is Identity.SECOND and service is Visibility.RECONNECT else set[str]()
        assert set(addresses) == {DEVICE_ADDRESS} | second

    run(story())


def test_an_owner_updates_where_each_access_is_asked_about(pump: Workshop) -> None:
    """After the reset the session is nobody's: the service is refused until the operator has shown that it is its."""

    async def story() -> None:
        policy = with_maintenance(policy_of(pump, Visibility.AUTHORIZE), session=SessionRule.OWNER)
        connected: list[dict[str, object]] = []

        def note(event: dict[str, object]) -> None:
            if event["event"] == "connected":
                connected.append(event)

        here = VirtualWorld(policy, pump.old.read_bytes(), secret=read_secret(pump.policy), air=AIR, report=note)
        async with here:
            result = await update(here.endpoint(), Job(images=(job_image(pump.new),), way=way(pump)))
            assert result.outcome is Outcome.CONFIRMED, result
            assert len(connected) == CONNECTIONS[Visibility.AUTHORIZE]

    run(story())


def test_an_operator_that_was_refused_goes_on_once_a_button_opens_the_gate(pump: Workshop) -> None:
    """Between connecting and asking: what was refused then is asked for again, over the same connection."""

    async def story() -> None:
        async with world_of(pump, policy_of(pump, Visibility.AUTHORIZE)) as here:
            connection = await here.endpoint().connect()
            assert connection.smp is None
            here.device.happen(ButtonHeld(hold_ms=5_000))
            verdict = await probe_gate(connection)
            assert (verdict.gate, verdict.reason) == (Gate.OPEN, None)
            assert verdict.slots is not None
            await connection.close()

    run(story())


@pytest.mark.parametrize("service", Visibility)
def test_what_a_central_sees_outside_maintenance_and_what_it_is_told(pump: Workshop, service: Visibility) -> None:
    async def story() -> None:
        async with world_of(pump, policy_of(pump, service)) as here:
            connection = await here.endpoint().connect()
            assert (connection.smp is not None) == (service is Visibility.ALWAYS)
            refused = isinstance(connection.trouble, GattRefused) and connection.trouble.not_authorized
            assert refused == (service is Visibility.AUTHORIZE)
            verdict = await probe_gate(connection)
            assert (verdict.gate, verdict.reason) == (Gate.SHUT, Reason.WRONG_MODE)
            await connection.close()

    run(story())


def test_in_maintenance_the_smp_service_is_advertised(pump: Workshop) -> None:
    async def story() -> None:
        for service in Visibility:
            async with world_of(pump, policy_of(pump, service)) as here:
                here.device.happen(ButtonHeld(hold_ms=5_000))
                await asyncio.sleep(0.5)
                sighting = await heard(here)
                assert sighting.services == frozenset({ble.SERVICE_UUID})
                assert sighting.manufacturer is not None
                beacon = mode.Beacon.decode(sighting.manufacturer[1])
                assert beacon is not None
                assert beacon.mode_index == pump.policy.modes["maintenance"].index

    run(story())


def test_device_information_and_battery_are_told(pump: Workshop) -> None:
    async def story() -> None:
        async with world_of(pump, policy_of(pump, Visibility.RECONNECT)) as here:
            here.device.happen(InputChanged(name="battery_percent", value=73))
            sighting = await heard(here)
            link = await here.adapter().connect(sighting.address, 5_000)
            assert await link.read(services.BATTERY_SERVICE_UUID, services.BATTERY_LEVEL_UUID) == b"\x49"
            read = {
                uuid: await link.read(services.DEVICE_INFORMATION_UUID, uuid)
                for uuid in (services.MODEL_UUID, services.FIRMWARE_REVISION_UUID, services.SERIAL_UUID)
            }
            assert list(read.values()) == [b"Pump 7", b"1.0.0", b"Pump 7"]
            await link.close()

    run(story())


def test_an_identity_is_kept_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    drawn = iter([b"\x01" * 6, b"\x02" * 6, b"\x03" * 16])
    with StateDir.open(tmp_path) as state:
        first = load_identity(state, lambda _: next(drawn))
        assert (first.address, first.second_address) == ("C1:01:01:01:01:01", "C2:02:02:02:02:02")
        again = load_identity(state, lambda _: b"")
        assert (again.address, again.second_address) == (first.address, first.second_address)
        assert (tmp_path / BONDS).stat().st_mode & 0o777 == 0o600
        for damaged in (
            {},
            {"addresses": []},
            {"addresses": ["C1:01:01:01:01:01"]},
            {"addresses": ["01:01:01:01:01:01"] * 2},
        ):
            state.write(BONDS, {**damaged, "bonds": {"schema": 1, "identities": {}}})
            with pytest.raises(InputError, match="addresses"):
                load_identity(state, lambda _: b"")
