"""Whole updates where an image starts because it lies there: by our operator, over the air, in virtual time."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.mcuboot import imgtool_images as images

from keyswitch.demo.workshop import Workshop
from keyswitch.errors import InputError
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.update.events import Message
from keyswitch.host.update.job import Job, JobImage, Outcome, Result
from keyswitch.host.update.run import update
from keyswitch.link.air import clock
from keyswitch.mcuboot.config import LoaderEntrance
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import Image, parse_image
from keyswitch.mcuboot.layout import Algorithm
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_secret
from keyswitch.testing.world import VirtualWorld

SLOT_SIZE = 458_752


def policy_for(pump: Workshop, directory: Path, algorithm: Algorithm, *, gated: bool = True) -> Policy:
    key = directory / "root-ec-p256.pub.pem"
    key.write_bytes(images.public_pem("ecdsa-p256"))
    loader = algorithm is Algorithm.FIRMWARE_LOADER
    boot = replace(
        pump.policy.bootloader,
        key=key,
        algorithm=algorithm,
        loader_entrance=(LoaderEntrance.BOOT_MODE, LoaderEntrance.NO_APPLICATION) if loader else (),
        loader_gated=loader and gated,
    )
    return replace(pump.policy, bootloader=boot, update=replace(pump.policy.update, trial_deadline_ms=None))


def image_for(version: str, *options: str, slot: int | None = None, size: int = 9000) -> JobImage:
    data = images.signed(version, *options, slot_size=SLOT_SIZE, size=size)
    parsed = parse_image(BytesSource(data))
    assert isinstance(parsed, Image)
    return JobImage(data=data, hash=parsed.hash, version=version, slot=slot)


def linked(version: str) -> tuple[JobImage, JobImage]:
    """A package's two files, each linked for one slot."""
    here = image_for(version, "--rom-fixed", "0", slot=0)
    return here, image_for(version, "--rom-fixed", hex(SLOT_SIZE), slot=1)


async def updated(here: VirtualWorld, policy: Policy, *new: JobImage) -> tuple[Result, list[str]]:
    said: list[str] = []
    way = ModeGroupStrategy("maintenance", Secret(read_secret(policy)))
    endpoint = here.endpoint()
    job = Job(images=new, way=way, downgrade=True, bootloader=policy.bootloader.algorithm.boot_mode)
    result = await update(
        endpoint, job, sink=lambda event: said.append(event.text) if isinstance(event, Message) else None
    )
    await endpoint.close()
    return result, said


def test_direct_xip_without_revert_takes_the_file_for_the_free_slot_twice(pump: Workshop, tmp_path: Path) -> None:
    policy = policy_for(pump, tmp_path, Algorithm.DIRECT_XIP_NO_REVERT)

    async def story() -> None:
        async with VirtualWorld(policy, linked("1.0.0")[0].data, secret=read_secret(policy)) as here:
            for version, slot in (("1.1.0", 1), ("1.2.0", 0)):
                result, said = await updated(here, policy, *linked(version))
                assert result.outcome is Outcome.CONFIRMED, result
                assert f"direct-XIP: of image 0 the file for slot {slot} is installed" in said
                await here.device.power_cycle()
                status = here.device.status()
                assert status["running"]["version"] == version
                assert [each["slot"] for each in status["slots"] if each["active"]] == [slot]
                assert status["gate"] == "shut"

    clock.run(story(), limit_s=1200)


def test_without_revert_nothing_is_sent_that_would_not_start(pump: Workshop, tmp_path: Path) -> None:
    policy = policy_for(pump, tmp_path, Algorithm.DIRECT_XIP_NO_REVERT)

    async def story() -> None:
        async with VirtualWorld(policy, linked("1.1.0")[0].data, secret=read_secret(policy)) as here:
            result, _ = await updated(here, policy, *linked("1.0.0"))
            assert (result.outcome, result.sent) == (Outcome.REFUSED, None)
            assert result.detail == "1.0.0 would not start: the bootloader runs the higher version, which is 1.1.0"

    clock.run(story(), limit_s=600)


def test_the_operator_starts_the_firmware_loader_and_updates_the_one_slot(pump: Workshop, tmp_path: Path) -> None:
    policy = policy_for(pump, tmp_path, Algorithm.FIRMWARE_LOADER)
    loader = image_for("0.3.0", size=4000)

    async def story() -> None:
        async with VirtualWorld(
            policy, image_for("1.0.0").data, secret=read_secret(policy), loader=loader.data
        ) as here:
            result, said = await updated(here, policy, image_for("1.1.0"))
            assert result.outcome is Outcome.CONFIRMED, result
            (line,) = [each for each in said if "firmware loader is started" in each]
            assert "until the upload is whole and the device was reset there is no application" in line
            status = here.device.status()
            assert (status["running"]["version"], status["gate"]) == ("1.1.0", "shut")
            again, _ = await updated(here, policy, image_for("1.1.0"))
            assert again.outcome is Outcome.ALREADY_RUNNING, again

    clock.run(story(), limit_s=1200)


def test_after_a_power_cut_in_the_upload_the_loader_runs_and_the_operator_goes_on_there(
    pump: Workshop, tmp_path: Path
) -> None:
    policy = policy_for(pump, tmp_path, Algorithm.FIRMWARE_LOADER)
    loader = image_for("0.3.0", size=4000)

    async def story() -> None:
        async with VirtualWorld(
            policy, image_for("1.0.0").data, secret=read_secret(policy), loader=loader.data
        ) as here:
            here.flash.erase(0, policy.bootloader.sector_size)
            await here.device.power_cycle()
            assert here.device.status()["running"]["version"] == "0.3.0"
            result, said = await updated(here, policy, image_for("1.1.0"))
            assert result.outcome is Outcome.CONFIRMED, result
            assert not [each for each in said if "is started" in each]
            assert here.device.status()["running"]["version"] == "1.1.0"

    clock.run(story(), limit_s=1200)


def test_with_a_single_slot_the_operator_says_that_nothing_can_be_sent(pump: Workshop, tmp_path: Path) -> None:
    policy = policy_for(pump, tmp_path, Algorithm.SINGLE_SLOT)

    async def story() -> None:
        async with VirtualWorld(policy, image_for("1.0.0").data, secret=read_secret(policy)) as here:
            result, _ = await updated(here, policy, image_for("1.1.0"))
            assert result.outcome is Outcome.REFUSED
            assert "a single slot, in which the image runs" in result.detail
            assert "serial recovery" in result.next_step
            assert here.device.status()["gate"] == "shut"

    clock.run(story(), limit_s=600)


def test_a_loader_without_the_gate_is_not_shown(pump: Workshop, tmp_path: Path) -> None:
    policy = policy_for(pump, tmp_path, Algorithm.FIRMWARE_LOADER, gated=False)
    with pytest.raises(InputError, match=r"bootloader\.loader_gated: false: the loader of a virtual device has"):
        VirtualWorld(policy, image_for("1.0.0").data, secret=read_secret(policy))
