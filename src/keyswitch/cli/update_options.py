"""What the options of `keyswitch update` mean: files read and checked, a job made, before anything is opened."""

import asyncio
import shlex
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import click

from keyswitch.cli.opening import open_reach
from keyswitch.cli.progress import Show
from keyswitch.errors import InputError
from keyswitch.exits import Exit
from keyswitch.host.images import CheckedImage, read_images
from keyswitch.host.job import ConfirmBy, Goal, HealthCheck, Job, Outcome
from keyswitch.host.ours import confirm_by, image_keys, image_limits, read_keys, way_into
from keyswitch.host.update import update
from keyswitch.host.way import NoWay, Way
from keyswitch.mcuboot.verify import NO_LIMITS
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy

HEALTH_MS: Final = 120_000
"""Bound for a health command: shorter than the trial deadlines that policies have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options, checked against each other.

    Attributes:
        target: as it was written.
        image: file to install, None with `--only confirm`.
        policy: the device's policy.
        images: what is in the file.
        job: what is to be done.
    """

    target: str
    image: Path | None
    policy: Policy | None
    images: tuple[CheckedImage, ...]
    job: Job

    @classmethod
    def of(cls, *, target: str, image: Path | None, **given: Any) -> Self:
        """Read the files that the options name.

        Raises:
            InputError: a file cannot be used, or options contradict each other.
        """
        goal = Goal(given["only"] or "full")
        if image is None and goal is not Goal.CONFIRM:
            raise InputError("IMAGE", "missing", "a signed image, or --only confirm")
        policy = read_policy(given["policy"]) if given["policy"] is not None else None
        images = () if image is None else _images(image, policy, given)
        job = Job(
            images=tuple(checked.image for checked in images),
            goal=goal,
            way=_way(policy, given),
            confirm_by=_confirm_by(policy, given["confirm_by"]),
            health=_health(given["health"]),
            most_outstanding=given["window"],
            stay=given["stay"],
        )
        return cls(target=target, image=image, policy=policy, images=images, job=job)


async def run(options: Options, show: Show) -> Exit:
    """Carry the update out; SIGINT and SIGTERM end it, and leave the device as it is."""
    reach = open_reach(options.target)
    task = asyncio.ensure_future(update(reach, options.job, sink=show))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        result = await task
    except asyncio.CancelledError:
        click.echo("interrupted: the same command goes on from what the device has", err=True)
        return Outcome.INTERRUPTED.exit_code
    finally:
        await reach.close()
    return result.outcome.exit_code


def _images(image: Path, policy: Policy | None, given: dict[str, Any]) -> tuple[CheckedImage, ...]:
    keys = read_keys(*given["keys"])
    if not keys and policy is not None:
        keys = image_keys(policy)
    limits = image_limits(policy) if policy is not None else NO_LIMITS
    return read_images(image, keys=keys, limits=limits, number=given["image_number"], overrule=given["unchecked"])


def _way(policy: Policy | None, given: dict[str, Any]) -> Way:
    if policy is not None:
        return way_into(policy, to=given["to"], secret=given["secret"])
    for name in ("to", "secret"):
        if given[name] is not None:
            raise InputError(f"--{name}", "means nothing without a policy", "--policy FILE")
    return NoWay()


def _confirm_by(policy: Policy | None, word: str | None) -> ConfirmBy:
    if word is not None:
        return ConfirmBy(word)
    return confirm_by(policy) if policy is not None else ConfirmBy.OPERATOR


def _health(command: str | None) -> HealthCheck | None:
    if command is None:
        return None
    words = shlex.split(command)
    if not words:
        raise InputError("--health", "an empty command", "a command to run")

    async def check() -> str | None:
        try:
            process = await asyncio.create_subprocess_exec(*words)
        except OSError as error:
            return f"{words[0]}: {error.strerror or error}"
        try:
            async with asyncio.timeout(HEALTH_MS / 1000):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            return f"{words[0]} took longer than {HEALTH_MS // 1000} s"
        return f"{words[0]} ended with {code}" if code else None

    return check
