"""Whole updates by the operator over the air, to firmware that brings another revision of the policy."""

from dataclasses import replace
from typing import Any

from tests.integration.files import job_image

from keyswitch.demo.workshop import Workshop
from keyswitch.device.server.components import Components
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.policy_profile import expected_of
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.smp.reply import Answer
from keyswitch.host.update.job import Job, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.link.air import clock
from keyswitch.mcuboot import bootloader, slots
from keyswitch.mcuboot.bootloader import BootConfig, BootReport
from keyswitch.mcuboot.flash import Flash
from keyswitch.policy.load import load
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_secret
from keyswitch.smp.groups import image, mode
from keyswitch.testing.world import VirtualWorld


def revision(pump: Workshop, *changes: tuple[str, str]) -> Policy:
    """The pump's policy as a later firmware brings it."""
    text = pump.policy_file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return load(text.encode(), origin="revision", directory=pump.policy_file.parent)


class Firmware:
    """A bootloader that starts each image with the rules that it brings."""

    def __init__(self, brings: dict[bytes, Policy], other: Policy) -> None:
        self.brings, self.other = brings, other
        self.world: VirtualWorld | None = None

    def __call__(
        self, flash: Flash, config: BootConfig, *, counters: tuple[int, ...] = (), loader_asked: bool = False
    ) -> BootReport:
        report = bootloader.boot(flash, config, counters=counters, loader_asked=loader_asked)
        assert self.world is not None
        core = self.world.device.server.core
        core.policy = self.brings.get(report.images[0].running_hash, self.other)
        core.setup = replace(core.setup, policy=core.policy)
        return report


async def _updated(pump: Workshop, policy: Policy) -> tuple[Result, dict[str, Any], bytes]:
    new = job_image(pump.new)
    secret = read_secret(pump.policy)
    firmware = Firmware({new.hash: policy}, pump.policy)
    here = VirtualWorld(pump.policy, pump.old.read_bytes(), secret=secret, parts=Components(boot=firmware))
    firmware.world = here
    async with here:
        way = ModeGroupStrategy("maintenance", Secret(secret), expected=expected_of(pump.policy))
        result = await update(here.endpoint(), Job(images=(new,), way=way))
        return result, here.device.status(), here.device.server.core.policy.digest


def test_an_update_to_another_revision_of_the_policy_ends_confirmed(pump: Workshop) -> None:
    revised = revision(pump, (">= 30", ">= 20"), ("lease_s = 900", "lease_s = 600"))
    result, status, digest = clock.run(_updated(pump, revised), limit_s=2_400)
    assert result.outcome is Outcome.CONFIRMED, result
    assert digest == revised.digest
    assert (status["running"]["version"], status["mode"], status["gate"]) == ("1.1.0", "normal", "shut")


def test_an_update_to_a_policy_without_that_mode_reverts(pump: Workshop) -> None:
    renamed = revision(pump, ("[modes.maintenance]", "[modes.service]"), ('to = "maintenance"', 'to = "service"'))
    result, status, digest = clock.run(_updated(pump, renamed), limit_s=2_400)
    assert result.outcome is Outcome.REVERTED, result
    assert digest == pump.policy.digest
    assert (status["running"]["version"], status["mode"], status["gate"]) == ("1.0.0", "normal", "shut")


def test_the_first_image_with_a_gate_is_confirmed_over_the_air(pump: Workshop) -> None:
    """Firmware without a gate has armed it; the operator who has done that asks, reads the slots and confirms."""

    async def story() -> tuple[dict[str, Any], Any, dict[str, Any]]:
        here = VirtualWorld(pump.policy, pump.old.read_bytes(), secret=read_secret(pump.policy))
        pair = here.layout.pairs[0]
        slots.install(here.flash, here.layout, pair.secondary, pump.new.read_bytes())
        slots.arm(here.flash, here.layout, pair.secondary, permanent=False)
        async with here:
            connection = await here.endpoint().connect()
            assert connection.smp is not None
            told = await connection.smp.read(mode.ID, mode.Id.STATE)
            confirmed = await connection.smp.write(image.ID, image.Id.STATE, {"confirm": True})
            assert isinstance(told, Answer)
            assert isinstance(confirmed, Answer)
            await connection.close()
            await here.device.power_cycle()
            return dict(told.values), confirmed.values, here.device.status()

    told, confirmed, status = clock.run(story(), limit_s=600)
    assert (told["mode"], told["gate"]) == ("normal", False)
    assert [each["confirmed"] for each in confirmed["images"] if each.get("active")] == [True]
    assert (status["running"]["version"], status["mode"], status["gate"]) == ("1.1.0", "normal", "shut")
