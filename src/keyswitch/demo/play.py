"""Plays the story: makes the files, starts the device, plays each scene within its bound, sums up."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

from keyswitch.demo import workshop
from keyswitch.demo.child import DeviceProcess
from keyswitch.demo.scene import DemoStep, DemoStepResult, Observed, Summary, Teller
from keyswitch.demo.story import SCENES, DemoStage
from keyswitch.errors import KeyswitchError
from keyswitch.link.air.settings import parse_air
from keyswitch.link.targets import BleTarget, open_adapter
from keyswitch.timing.bound import upload_bound
from keyswitch.timing.rules import Phy

AIR: Final = "interval_ms=15,phy=2M,dle=251"
"""The demo's radio: what a phone of today negotiates at its best."""

SCENE_WITHIN_MS: Final = 240_000
"""A bound for what hangs, not for what is slow: on a quiet machine the longest scene takes ten seconds."""


async def play(teller: Teller, *, payload: Path | None = None, air: str = AIR) -> Summary:
    """Play it all, in a directory of its own that is removed afterwards.

    Raises:
        InputError: the payload or the air cannot be used.
        KeyswitchError: the device did not start.
    """
    began = time.monotonic()
    settings = parse_air(air)
    with tempfile.TemporaryDirectory(prefix="keyswitch-demo-") as directory:
        files = workshop.make(Path(directory), payload)
        process = await DeviceProcess.start(policy=files.policy_file, state=files.state, image=files.old, air=air)
        async with process as device:
            transport = str(device.ready["ble"])
            adapter = open_adapter(BleTarget(text=f"hci:{transport}", transport=transport))
            stage = DemoStage(workshop=files, device=device, adapter=adapter, teller=teller)
            try:
                played = [await _play_one(scene, stage) for scene in SCENES]
            finally:
                await stage.down()
                await adapter.close()
        smp = files.policy.smp
        bound = upload_bound(
            interval_us=settings.interval_us or 15_000,
            buf_size=smp.buf_size,
            buf_count=smp.buf_count,
            phy=settings.phy or Phy.LE_1M,
        )
        summary = Summary(
            scenes=tuple(played),
            image_bytes=files.new.stat().st_size,
            duration_ms=round((time.monotonic() - began) * 1000),
            upload_bytes_per_second=stage.uploaded.bytes_per_second if stage.uploaded else 0,
            link_bound_bytes_per_second=round(bound.bytes_per_second),
            air=air,
        )
    teller.summary(summary)
    return summary


async def _play_one(scene: DemoStep[DemoStage], stage: DemoStage) -> DemoStepResult:
    stage.teller.begins(scene.name, scene.tried, scene.expected)
    began = time.monotonic()
    try:
        async with asyncio.timeout(SCENE_WITHIN_MS / 1000):
            observed = await scene.act(stage)
    except TimeoutError:
        observed = Observed(text=f"nothing within {SCENE_WITHIN_MS} ms", ok=False)
    except KeyswitchError as error:
        observed = Observed(text=f"{type(error).__name__}: {error}", ok=False)
    played = DemoStepResult(
        name=scene.name,
        tried=scene.tried,
        expected=scene.expected,
        observed=observed,
        duration_ms=round((time.monotonic() - began) * 1000),
    )
    stage.teller.ends(played)
    return played
