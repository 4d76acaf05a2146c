"""Products whose bootloader is built for SHA-512 or for pure signatures: a whole update, and what each side refuses."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.mcuboot import imgtool_images as images

from keyswitch.demo.workshop import Workshop
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.update.job import Job, JobImage, Outcome
from keyswitch.host.update.run import update
from keyswitch.link.air import clock
from keyswitch.mcuboot.flash import BytesSource
from keyswitch.mcuboot.image import Image, parse_image
from keyswitch.mcuboot.keys import VerifiedHash
from keyswitch.policy.model import Policy
from keyswitch.policy.secrets import read_secret
from keyswitch.testing.world import VirtualWorld

OPTIONS = {
    VerifiedHash.SHA256: (),
    VerifiedHash.SHA512: ("--sha", "512"),
    VerifiedHash.PURE: ("--pure",),
}


def policy_for(pump: Workshop, directory: Path, build: VerifiedHash) -> Policy:
    key = directory / "root-ed25519.pub.pem"
    key.write_bytes(images.public_pem("ed25519"))
    return replace(pump.policy, bootloader=replace(pump.policy.bootloader, key=key, hash=build))


def image_for(build: VerifiedHash, version: str) -> JobImage:
    data = images.signed(version, *OPTIONS[build], key="ed25519", slot_size=458_752)
    parsed = parse_image(BytesSource(data))
    assert isinstance(parsed, Image)
    return JobImage(data=data, hash=parsed.hash, version=version)


@pytest.mark.parametrize("build", OPTIONS)
def test_a_whole_update_is_confirmed(pump: Workshop, tmp_path: Path, build: VerifiedHash) -> None:
    """Image list, session record and confirmation carry the hash that such a product shows: 64 bytes, or 32."""
    policy, old, new = policy_for(pump, tmp_path, build), image_for(build, "1.0.0"), image_for(build, "1.1.0")

    async def story() -> None:
        async with VirtualWorld(policy, old.data, secret=read_secret(policy)) as here:
            way = ModeGroupStrategy("maintenance", Secret(read_secret(policy)))
            result = await update(here.endpoint(), Job(images=(new,), way=way))
            assert result.outcome is Outcome.CONFIRMED, result
            await here.device.power_cycle()
            running = here.device.status()["running"]
            assert running == {"version": "1.1.0", "hash": new.hash.hex()}
            assert len(new.hash) == (32 if build is VerifiedHash.SHA256 else 64)

    clock.run(story(), limit_s=600)
