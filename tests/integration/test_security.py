"""Maintenance that asks for a secure link: over the whole device, with every kind of pairing that can happen."""

import asyncio
from dataclasses import replace

import pytest
from tests.integration.files import job_image
from tests.integration.test_first_light import AIR, run, way

from keyswitch.demo.workshop import Workshop
from keyswitch.gate.events import ButtonHeld
from keyswitch.host.connect.ble_endpoint import BleEndpoint
from keyswitch.host.connect.probe import probe_gate
from keyswitch.host.connect.verdict import Gate
from keyswitch.host.smp.client import SmpClient
from keyswitch.host.smp.gatt_channel import GattChannel
from keyswitch.host.smp.reply import Answer
from keyswitch.host.update.job import Job, Outcome
from keyswitch.host.update.run import update
from keyswitch.link.ports import GattRefused
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_secret
from keyswitch.reasons import Reason
from keyswitch.smp.framing import ble
from keyswitch.smp.groups import os as os_group
from keyswitch.terms import Security
from keyswitch.testing.world import VirtualWorld


def policy_of(pump: Workshop, security: Security) -> Policy:
    modes = {
        name: replace(mode, security=security) if mode.maintenance else mode for name, mode in pump.policy.modes.items()
    }
    return replace(pump.policy, modes=modes)


def world_of(pump: Workshop, security: Security) -> VirtualWorld:
    return VirtualWorld(policy_of(pump, security), pump.old.read_bytes(), secret=read_secret(pump.policy), air=AIR)


@pytest.mark.parametrize("security", [Security.ENCRYPTED, Security.AUTHENTICATED])
def test_without_pairing_nobody_is_heard_and_everybody_is_told_why(pump: Workshop, security: Security) -> None:
    async def story() -> None:
        async with world_of(pump, security) as here:
            here.device.happen(ButtonHeld(hold_ms=5_000))
            connection = await here.endpoint().connect(smp_shown=True)
            assert connection.smp is None
            verdict = await probe_gate(connection)
            assert (verdict.gate, verdict.reason) == (Gate.SHUT, Reason.SECURITY)
            await connection.close()
            result = await update(here.endpoint(), Job(images=(job_image(pump.new),), way=way(pump)))
            assert result.outcome is not Outcome.CONFIRMED
            assert here.device.status()["running"]["version"] == "1.0.0"

    run(story())


@pytest.mark.parametrize(
    ("security", "types_passkey", "heard"),
    [
        (Security.ENCRYPTED, False, True),
        (Security.ENCRYPTED, True, True),
        (Security.AUTHENTICATED, False, False),
        (Security.AUTHENTICATED, True, True),
    ],
)
def test_just_works_is_encrypted_and_never_authenticated(
    pump: Workshop, security: Security, *, types_passkey: bool, heard: bool
) -> None:
    async def story() -> None:
        async with world_of(pump, security) as here:

            async def passkey() -> int | None:
                await asyncio.sleep(1)  # a person reads the panel
                return int(here.passkeys[-1])

            here.device.happen(ButtonHeld(hold_ms=5_000))
            adapter = here.adapter(ask_passkey=passkey) if types_passkey else here.adapter()
            name = here.policy.device.name
            endpoint = BleEndpoint(adapter, target=name, name=name)
            sighting = await endpoint.connect(smp_shown=True)
            await sighting.close()
            link = await adapter.connect(here.peripheral.address, 5_000)
            await link.pair()
            for _ in range(2):
                if heard:
                    client = SmpClient(await GattChannel.open(link, ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID))
                    assert isinstance(await client.write(os_group.ID, os_group.Id.ECHO, {"d": "hi"}), Answer)
                else:
                    with pytest.raises(GattRefused):
                        await GattChannel.open(link, ble.SERVICE_UUID, ble.CHARACTERISTIC_UUID)
                await link.close()
                link = await adapter.connect(here.peripheral.address, 5_000)
                await link.pair()  # with the keys of the first time
            await link.close()
            assert len(here.passkeys) == types_passkey

    run(story())
