"""Uploads over the modelled Bluetooth LE link, in virtual time, between the whole device and the operator.

The bound is computed by `keyswitch.timing.bound`, from the rules of air and flash alone. Rates are image bytes over
the time from the first request to the last answer, erasing included.
"""

import asyncio
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from keyswitch.demo import workshop
from keyswitch.demo.workshop import Workshop
from keyswitch.host.access.credentials import Secret
from keyswitch.host.access.strategy import ModeGroupStrategy
from keyswitch.host.update.job import Goal, Job, JobImage, Outcome
from keyswitch.host.update.run import update
from keyswitch.link.air import clock
from keyswitch.link.air.settings import AirSettings
from keyswitch.mcuboot.flash import TIMES_BY_PROFILE, BytesSource
from keyswitch.mcuboot.image import Image, parse_image
from keyswitch.policy.secrets import read_secret
from keyswitch.testing.world import VirtualWorld
from keyswitch.timing import bound
from keyswitch.timing.rules import Phy

PAYLOAD = 384 * 1024
"""Bytes: long enough that neither the first nor the last event matters."""

SHARE = 0.9
"""Of the bound, that an upload must reach on an air without loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination."""

    interval_us: int = 15_000
    phy: Phy = Phy.LE_2M
    buf_size: int
    buf_count: int = 4
    loss: float = 0.0
    flash: str = "none"


CELLS = tuple(Cell(buf_size=buf_size, flash=flash) for flash in ("none", "nrf52840") for buf_size in (2475, 495))


def run() -> dict[str, object]:
    """Measure every cell."""
    with tempfile.TemporaryDirectory() as directory:
        payload = Path(directory) / "payload.bin"
        payload.write_bytes(bytes(range(256)) * (PAYLOAD // 256))
        files = workshop.make(Path(directory), payload)
        cells = [measure(cell, files) for cell in CELLS]
    return {"cells": cells, "missed": [line for cell in cells if (line := _missed(cell))]}


def _missed(cell: dict[str, Any]) -> str:
    ours, most = cell["ours_bytes_per_second"], cell["bound_bytes_per_second"]
    if cell["loss"] or ours >= SHARE * most:
        return ""
    return f"{cell['buf_size']} bytes, flash {cell['flash']}: {ours} B/s of {most}"


def measure(cell: Cell, files: Workshop) -> dict[str, Any]:
    """One cell: its bound, ours, and one request at a time."""
    limit = bound.upload_bound(
        interval_us=cell.interval_us,
        phy=cell.phy,
        buf_size=cell.buf_size,
        buf_count=cell.buf_count,
        flash=bound.NRF52840 if cell.flash == "nrf52840" else None,
    )
    ours, one = (clock.run(upload(cell, files, most), limit_s=3600) for most in (None, 1))
    share = 100 * ours / limit.bytes_per_second
    name = (
        f"{cell.interval_us / 1000:g} ms, {cell.phy.word}, {cell.buf_count} x {cell.buf_size} bytes, flash {cell.flash}"
    )
    print(
        f"{name}: "
        f"{ours / 1000:.1f} kB/s, {share:.0f} % of {limit.bytes_per_second / 1000:.1f} ({limit.limited_by}); "
        f"one request at a time {one / 1000:.1f}"
    )
    return {
        "transport": "ble",
        "interval_us": cell.interval_us,
        "phy": cell.phy.word,
        "buf_size": cell.buf_size,
        "buf_count": cell.buf_count,
        "loss": cell.loss,
        "flash": cell.flash,
        "bound_bytes_per_second": round(limit.bytes_per_second),
        "ours_bytes_per_second": ours,
        "window1_bytes_per_second": one,
        "peers": {},
    }


async def upload(cell: Cell, files: Workshop, most_outstanding: int | None) -> int:
    """Image bytes per second of one upload."""
    policy = replace(files.policy, smp=replace(files.policy.smp, buf_size=cell.buf_size, buf_count=cell.buf_count))
    secret = read_secret(policy)
    air = AirSettings(interval_us=cell.interval_us, phy=cell.phy, data_length=251, loss=cell.loss)
    data = files.new.read_bytes()
    parsed = parse_image(BytesSource(data))
    if not isinstance(parsed, Image):
        raise TypeError(parsed.line)
    job = Job(
        images=(JobImage(data=data, hash=parsed.hash, version=str(parsed.version)),),
        goal=Goal.UPLOAD,
        way=ModeGroupStrategy("maintenance", Secret(secret)),
        most_outstanding=most_outstanding,
    )
    world = VirtualWorld(
        policy, files.old.read_bytes(), secret=secret, air=air, flash_times=TIMES_BY_PROFILE[cell.flash]
    )
    async with world as here:
        async with asyncio.timeout(3000):
            result = await update(here.endpoint(), job)
    if result.outcome is not Outcome.STAGED or result.upload is None:
        raise RuntimeError(result.line)
    return round(result.upload.size * 1000 / result.upload.duration_ms)
