"""A health check that is a command: run while the new image is on trial, and ended before the trial ends."""

import asyncio
import shlex
from typing import Final

from keyswitch.errors import Field, InputError
from keyswitch.host.access.policy_profile import maintenance_mode, trial_ms
from keyswitch.host.update.job import HealthCheck
from keyswitch.policy.model import Policy

HEALTH_MS: Final = 90_000
"""Bound for a health command: while it runs the device is asked nothing, and the shipped policy ends a trial, and a
session that is idle, after 120 s."""

STDERR: Final = 2
"""The descriptor that a health command writes to: stdout belongs to the run's own lines."""


def health_bound_ms(policy: Policy | None, to: str | None) -> int:
    """How long a health command may take in the mode `to` (None: the policy's first maintenance mode)."""
    limit_ms = trial_ms(policy, to or maintenance_mode(policy)) if policy is not None else None
    return HEALTH_MS if limit_ms is None else min(HEALTH_MS, limit_ms)


def health_command(command: str, bound_ms: int) -> HealthCheck:
    """The check that runs `command`, as a shell reads it but without one; ended after `bound_ms`.

    Raises:
        InputError: it is no command.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise InputError(Field("health"), f"{command!r}: {error}", "a command as a shell reads it") from error
    if not words:
        raise InputError(Field("health"), "an empty command", "a command to run")

    async def check() -> str | None:
        try:
            process = await asyncio.create_subprocess_exec(*words, stdout=STDERR)
        except OSError as error:
            return f"{words[0]}: {error.strerror or error}"
        try:
            async with asyncio.timeout(bound_ms / 1000):
                code = await process.wait()
        except TimeoutError:
            return f"{words[0]} took longer than {bound_ms / 1000:g} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return f"{words[0]} ended with {code}" if code else None

    return check
