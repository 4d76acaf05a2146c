"""An audit over a radio: the whole device, its GATT table and a modelled air, in virtual time."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.audit.audits import SMALL, over, verdicts

from keyswitch.audit.checks import BY_ID
from keyswitch.audit.run import Audited, Auditor, Permitted
from keyswitch.audit.target import Firmware, NotReachedError, Target
from keyswitch.cli.audit_controls import LIMIT_S
from keyswitch.gate.events import ButtonHeld, InputChanged
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.policy_profile import expected_of
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.link.air import clock
from keyswitch.link.air.settings import parse_air
from keyswitch.policy.enums import Visibility
from keyswitch.policy.model import Policy, Value
from keyswitch.terms import Transport
from keyswitch.testing.holes.device import SECRET, make_image, signer_pem
from keyswitch.testing.world import VirtualWorld

AIR = parse_air("interval_ms=15,phy=2M,dle=251")
CHECKS = ("KS-106", "KS-108", "KS-119", "KS-301", "KS-303", "KS-308", "KS-402", "KS-407")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    key = tmp_path_factory.mktemp("key") / "image.pub.pem"
    key.write_bytes(signer_pem())
    over_ble = over(SMALL, Transport.BLE)
    return replace(over_ble, bootloader=replace(over_ble.bootloader, key=Path(key)))


class AtTheWorld:
    """Whoever is at the device."""

    def __init__(self, world: VirtualWorld) -> None:
        self._device = world.device

    async def set_input(self, name: str, value: Value) -> None:
        self._device.happen(InputChanged(name=name, value=value))
        await self._device.settled()

    async def hold_button(self, hold_ms: int) -> None:
        self._device.happen(ButtonHeld(hold_ms=hold_ms))
        await self._device.settled()

    async def power_cycle(self) -> None:
        await self._device.power_cycle()

    async def bring(self, mode: str) -> None:
        raise NotReachedError(mode)


def audit(policy: Policy, checks: Iterable[str] = CHECKS) -> Audited:
    async def story() -> Audited:
        new = make_image(2)
        async with VirtualWorld(policy, make_image(1).data, secret=SECRET, air=AIR) as world:
            target = Target(
                name="air",
                policy=policy,
                ways={Transport.BLE: world.endpoint()},
                strategy=ModeGroupStrategy("maintenance", Secret(SECRET), expected=expected_of(policy)),
                hand=AtTheWorld(world),
                next=Firmware(data=new.data, hash=new.hash, version=new.version),
                max_wait_ms=LIMIT_S * 1000,
            )
            auditor = Auditor(
                target,
                [BY_ID[check] for check in checks],
                permitted=Permitted(irreversible=True, resets=True),
                say=lambda _text: None,
                progress=lambda _words, _step, _steps: None,
            )
            return await auditor.run()

    return clock.run(story(), limit_s=LIMIT_S)


@pytest.mark.parametrize("service", Visibility)
def test_a_sound_device_passes_over_a_radio_where_there_is_something_to_try(
    policy: Policy, service: Visibility
) -> None:
    """Where the service is hidden or refused, the handle that a client has kept is written to: hiding is no gate."""
    audited = audit(replace(policy, gate=replace(policy.gate, service=service)))
    assert verdicts(audited) == dict.fromkeys(CHECKS, "pass")
    words = {part.why for found in audited.found if found.check == "KS-106" for part in found.parts}
    silent = "no answer, though a question behind it was answered, and nothing was different afterwards"
    assert (silent in words) is (service is not Visibility.ALWAYS)
    assert audited.left_behind == ()


def test_without_handles_a_hidden_service_is_inconclusive(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """As over an adapter of the system's, which tells no handles."""
    monkeypatch.setattr("keyswitch.audit.wire.Visit.smp_handle", None)
    audited = audit(replace(policy, gate=replace(policy.gate, service=Visibility.RECONNECT)), ["KS-106"])
    assert "hiding is no gate" in audited.found[0].why
    assert verdicts(audited) == {"KS-106": "inconclusive"}
