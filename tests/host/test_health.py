"""How long a health command may take: less than what ends the trial meanwhile."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from keyswitch.cli.update_options import HEALTH_MS, _health, _health_ms
from keyswitch.demo.workshop import Workshop
from keyswitch.host.ours import trial_ms
from keyswitch.policy.load import read_policy
from keyswitch.policy.model import Policy


@pytest.fixture
def shipped() -> Policy:
    return read_policy(Path("examples/pump/policy.toml"))


def with_limits(policy: Policy, *, deadline_ms: int | None, idle_ms: int | None) -> Policy:
    modes = {**policy.modes, "maintenance": replace(policy.modes["maintenance"], idle_ms=idle_ms)}
    return replace(policy, modes=modes, update=replace(policy.update, trial_deadline_ms=deadline_ms))


@pytest.mark.parametrize(
    ("deadline_ms", "idle_ms", "bound_ms"),
    [
        (120_000, 120_000, 90_000),
        (5_000, 120_000, 3_750),
        (120_000, 60_000, 45_000),
        (600_000, 600_000, 90_000),
        (None, None, 90_000),
    ],
)
def test_shorter_than_deadline_and_idle_time(
    shipped: Policy, deadline_ms: int | None, idle_ms: int | None, bound_ms: int
):
    policy = with_limits(shipped, deadline_ms=deadline_ms, idle_ms=idle_ms)
    assert _health_ms(policy, None) == bound_ms
    assert _health_ms(policy, "maintenance") == bound_ms


def test_the_usual_bound_is_below_what_the_shipped_policy_and_the_demo_end_a_trial_by(shipped: Policy, pump: Workshop):
    mode = shipped.modes["maintenance"]
    assert mode.idle_ms is not None
    assert shipped.update.trial_deadline_ms is not None
    assert min(mode.idle_ms, shipped.update.trial_deadline_ms) > HEALTH_MS
    assert trial_ms(pump.policy, "maintenance") == 3_750
    assert _health_ms(None, None) == HEALTH_MS


def test_a_command_that_takes_longer_is_ended_and_said():
    check = _health("sleep 30", 50)
    assert check is not None
    assert asyncio.run(check()) == "sleep took longer than 0.05 s"
