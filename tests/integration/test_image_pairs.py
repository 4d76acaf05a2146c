"""A device with two images, the whole of it in virtual time: updated together, each confirmed, or taken back."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from tests.policy.samples import small

from keyswitch.device.server.components import Components
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.smp.reply import Answer, Refusal
from keyswitch.host.update.events import Event, StepBegun, StepFailed
from keyswitch.host.update.job import Goal, Job, JobImage, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.host.update.steps import StepName
from keyswitch.link.air import clock
from keyswitch.mcuboot import bootloader, slots
from keyswitch.mcuboot import trailer as trailers
from keyswitch.mcuboot.bootloader import BootConfig, BootReport
from keyswitch.mcuboot.flash import Flash
from keyswitch.mcuboot.layout import Layout, Slot, area
from keyswitch.mcuboot.ops import Op, carry_out
from keyswitch.mcuboot.trailer import SwapType
from keyswitch.policy.model import Policy
from keyswitch.replay.rig import unsigned_image
from keyswitch.smp.groups import image, mode, os
from keyswitch.testing.world import VirtualWorld

SECRET = bytes(range(32))
IMAGES = "[[bootloader.images]]\nslot_size = 32768\n[[bootloader.images]]\nslot_size = 24576\n"
OLD = [unsigned_image(1, number) for number in (0, 1)]
NEW = [
    JobImage(data=data, hash=data[-32:], version=f"2.{number}.0", number=number)
    for number, data in enumerate(unsigned_image(2, number) for number in (0, 1))
]


def two(more: str = "", of_the_core: str = "") -> Policy:
    return small(f"[update]\ntrial_deadline_s = 55\n{more}\n{IMAGES}{of_the_core}")


def world(policy: Policy, parts: Components | None = None) -> VirtualWorld:
    return VirtualWorld(policy, OLD[0], secret=SECRET, more_images=OLD[1:], parts=parts)


def way() -> ModeGroupStrategy:
    return ModeGroupStrategy("maintenance", Secret(SECRET))


def runs(here: VirtualWorld) -> list[str]:
    """What runs, with a question mark while it is not confirmed."""
    active = (each for each in here.device.status()["slots"] if each["active"])
    return [each["version"] + ("" if each["confirmed"] else "?") for each in active]


async def story_of(policy: Policy, parts: Components | None = None, **job: Any) -> tuple[Result, list[str], list[str]]:
    async with world(policy, parts) as here:
        result = await update(here.endpoint(), Job(**{"images": tuple(NEW), "way": way(), **job}))
        found = runs(here)
        await here.device.power_cycle()
        return result, found, runs(here)


def test_both_are_uploaded_in_one_step_that_is_never_told_as_undone() -> None:
    told: list[Event] = []

    async def updated() -> Result:
        async with world(two()) as here:
            return await update(here.endpoint(), Job(images=tuple(NEW), way=way()), sink=told.append)

    assert clock.run(updated(), limit_s=600).outcome is Outcome.CONFIRMED
    assert not [each for each in told if isinstance(each, StepFailed)]
    begun = [each.name for each in told if isinstance(each, StepBegun)]
    assert begun.count(StepName.UPLOAD) == 1


def test_both_are_armed_started_at_one_reset_and_each_confirmed() -> None:
    resets: list[str] = []

    def booted(flash: Flash, config: BootConfig, **at_reset: Any) -> BootReport:
        report = bootloader.boot(flash, config, **at_reset)
        resets.append(" ".join(each.done.name for each in report.images))
        return report

    result, found, afterwards = clock.run(story_of(two(), Components(boot=booted)), limit_s=600)
    assert result.outcome is Outcome.CONFIRMED, result
    assert found == afterwards == ["2.0.0", "2.1.0"]
    assert resets == ["NONE NONE", "TEST TEST", "NONE NONE"]
    after = [(each.image, each.version, each.confirmed) for each in result.after or () if each.active]
    before = [(each.image, each.version, each.confirmed) for each in result.before or () if each.active]
    assert before == [(0, "1.0.0", True), (1, "1.1.0", True)]
    assert after == [(0, "2.0.0", True), (1, "2.1.0", True)]


def test_both_start_at_one_reset_where_no_trailer_arms_them() -> None:
    policy = small(f'[bootloader]\nalgorithm = "direct-xip-no-revert"\n{IMAGES}')
    result, found, afterwards = clock.run(story_of(policy), limit_s=600)
    assert result.outcome is Outcome.CONFIRMED, result
    assert found == afterwards == ["2.0.0", "2.1.0"]


def test_where_the_health_check_fails_both_go_back() -> None:
    async def unwell() -> str | None:
        return "it hums"

    result, found, afterwards = clock.run(story_of(two(), health=unwell), limit_s=600)
    assert result.outcome is Outcome.FAILED, result
    assert "the health check says: it hums; the image was not confirmed" in result.detail
    assert found == afterwards == ["1.0.0", "1.1.0"]


def test_power_cut_between_the_two_exchanges_changes_nothing() -> None:
    cuts: list[str] = []

    def cut_once(flash: Flash, config: BootConfig, **at_reset: Any) -> BootReport:
        """Power is gone when the bootloader has exchanged image 0 and is about to touch image 1."""

        class _OffError(Exception):
            pass

        def do(flash: Flash, layout: Layout, plan: Iterable[Op]) -> None:
            steps = list(plan)
            of = {getattr(step, "slot", None) for step in steps}
            if not cuts and any(each is not None and each.image == 1 for each in of):
                cuts.append("between")
                raise _OffError
            carry_out(flash, layout, steps)

        try:
            return bootloader.boot(flash, config, **at_reset, do=do)
        except _OffError:
            return bootloader.boot(flash, config, **at_reset)

    result, found, afterwards = clock.run(story_of(two(), Components(boot=cut_once)), limit_s=600)
    assert cuts == ["between"]
    assert result.outcome is Outcome.CONFIRMED, result
    assert found == afterwards == ["2.0.0", "2.1.0"]


@pytest.mark.parametrize("of_the_core", ["", "copied = true\n"])
def test_power_cut_between_the_two_trailers_starts_nothing_that_stays(of_the_core: str) -> None:
    """The second trailer never reaches the flash: what starts alone is expected by no session, and goes back."""
    booted: list[str] = []

    def boot(flash: Flash, config: BootConfig, **at_reset: Any) -> BootReport:
        report = bootloader.boot(flash, config, **at_reset)
        booted.append(" ".join(each.done.name for each in report.images))
        return report

    def arm(flash: Flash, layout: Layout, slot: Slot, *, permanent: bool) -> slots.ArmResult:
        lost = slot.image == 1 and len(booted) == 1
        return slots.ArmResult.DONE if lost else slots.arm(flash, layout, slot, permanent=permanent)

    async def story() -> None:
        async with world(two("", of_the_core), Components(boot=boot, arm=arm)) as here:
            await update(here.endpoint(), Job(images=tuple(NEW), way=way(), goal=Goal.TEST))
            assert booted[:3] == ["NONE NONE", "TEST NONE", "REVERT NONE"]

    clock.run(story(), limit_s=900)


def test_where_one_slot_has_changed_the_other_image_is_not_started_alone() -> None:
    async def story() -> None:
        async with world(two()) as here:
            job = Job(images=tuple(NEW), way=way(), goal=Goal.UPLOAD, stay=True)
            assert (await update(here.endpoint(), job)).outcome is Outcome.STAGED
            smp = (await here.endpoint().connect()).smp
            assert smp is not None
            for new in NEW:
                assert isinstance(await smp.write(image.ID, image.Id.STATE, {"hash": new.hash}), Answer)
            pair = here.layout.pairs[1].secondary
            area(here.flash, pair).erase(0, here.layout.geometry.sector_size)
            await smp.write(os.ID, os.Id.RESET)
            await asyncio.sleep(2)
            await here.device.settled()
            state = here.device.server.core.state
            assert (state.mode, state.armed, runs(here)) == ("maintenance", (), ["1.0.0", "1.1.0"])
            kinds = [trailers.read_swap_type(here.flash, here.layout, number) for number in (0, 1)]
            assert kinds == [SwapType.NONE, SwapType.NONE]

    clock.run(story(), limit_s=600)


Scene = Callable[[VirtualWorld, Any], Awaitable[None]]


def on_trial(scene: Scene, policy: Policy) -> None:
    """Have both images on trial, and somebody at the device."""

    async def story() -> None:
        async with world(policy) as here:
            result = await update(here.endpoint(), Job(images=tuple(NEW), goal=Goal.TEST, way=way()))
            assert result.outcome is Outcome.ON_TRIAL, result
            connection = await here.endpoint().connect()
            await scene(here, connection.smp)

    clock.run(story(), limit_s=600)


@pytest.mark.parametrize("confirmed", [0, 1])
def test_one_that_is_confirmed_stays_and_the_other_goes_back(confirmed: int) -> None:
    kept = ["1.0.0", "1.1.0"]
    kept[confirmed] = f"2.{confirmed}.0"

    async def scene(here: VirtualWorld, smp: Any) -> None:
        assert runs(here) == ["2.0.0?", "2.1.0?"]
        asked = {"hash": NEW[confirmed].hash, "confirm": True}
        assert isinstance(await smp.write(image.ID, image.Id.STATE, asked), Answer)
        told = await smp.read(mode.ID, mode.Id.STATE)
        assert told.values["mode"] == "maintenance"
        await smp.write(mode.ID, mode.Id.LEAVE)
        await here.device.settled()
        await here.device.power_cycle()
        assert runs(here) == kept
        assert here.device.status()["mode"] == "normal"

    on_trial(scene, two())


def test_the_deadline_runs_on_until_the_second_is_confirmed() -> None:
    async def scene(here: VirtualWorld, smp: Any) -> None:
        assert isinstance(
            await smp.write(image.ID, image.Id.STATE, {"confirm": True}), Answer
        )  # image 0, as Zephyr has it
        assert runs(here) == ["2.0.0", "2.1.0?"]
        await asyncio.sleep(56)
        await here.device.settled()
        assert runs(here) == ["2.0.0", "1.1.0"]

    on_trial(scene, two())


# --- nRF5340: the network core is copied, and the application cannot read what runs there ---


def core_runs(here: VirtualWorld) -> str:
    """What the bootloader has found there."""
    report = here.device.server.core.report
    assert report is not None
    return str(report.images[1].running_version)


def test_one_after_the_other_each_for_itself() -> None:
    policy = two("simultaneous = false", "copied = true\n")

    async def story() -> None:
        async with world(policy) as here:
            both = await update(here.endpoint(), Job(images=tuple(NEW), way=way()))
            assert both.outcome is Outcome.REFUSED, both
            assert "an image of another number is pending" in both.detail
            assert (runs(here), core_runs(here)) == (["1.0.0"], "1.1.0")
            core = await update(here.endpoint(), Job(images=(NEW[1],), way=way()))
            assert core.outcome is Outcome.UNKNOWN, core
            assert "no list shows whether it runs" in core.detail
            assert (runs(here), core_runs(here)) == (["1.0.0"], "2.1.0")
            assert {each.image for each in core.after or ()} == {0}  # that it runs is said by nobody
            application = await update(here.endpoint(), Job(images=(NEW[0],), way=way(), goal=Goal.TEST))
            assert application.outcome is Outcome.ON_TRIAL, application
            await here.device.power_cycle()
            assert (runs(here), core_runs(here)) == (["1.0.0"], "2.1.0")

    clock.run(story(), limit_s=900)


def test_together_the_network_core_does_not_go_back_with_the_application() -> None:
    """What `keyswitch check` refutes (whole-revert), on the whole device."""

    async def scene(here: VirtualWorld, smp: Any) -> None:
        assert (runs(here), core_runs(here)) == (["2.0.0?"], "2.1.0")
        await here.device.power_cycle()
        assert (runs(here), core_runs(here)) == (["1.0.0"], "2.1.0")

    on_trial(scene, two("", "copied = true\n"))


def test_image_numbers_on_the_wire() -> None:
    """Slots are told by image number, an upload names its image, and slot n is of image n / 2."""

    async def story() -> None:
        async with world(two()) as here:
            result = await update(here.endpoint(), Job(images=(NEW[1],), way=way(), goal=Goal.UPLOAD, stay=True))
            assert result.outcome is Outcome.STAGED, result
            connection = await here.endpoint().connect()
            assert connection.smp is not None
            told = await connection.smp.read(image.ID, image.Id.SLOTS)
            assert isinstance(told, Answer)
            sizes = [(each["image"], [slot["size"] for slot in each["slots"]]) for each in told.values["images"]]
            assert sizes == [(0, [32_768] * 2), (1, [24_576] * 2)]
            listed = await connection.smp.read(image.ID, image.Id.STATE)
            assert isinstance(listed, Answer)
            places = [(each["image"], each["slot"], each["version"]) for each in listed.values["images"]]
            assert places == [(0, 0, "1.0.0"), (1, 0, "1.1.0"), (1, 1, "2.1.0")]
            for slot, done in ((2, False), (4, False), (3, True)):
                reply = await connection.smp.write(image.ID, image.Id.ERASE, {"slot": slot})
                assert isinstance(reply, Refusal) is not done, reply
            again = await connection.smp.read(image.ID, image.Id.STATE)
            assert isinstance(again, Answer)
            assert len(again.values["images"]) == 2

    clock.run(story(), limit_s=600)
