"""The operator's computer sleeps for ten minutes in the middle of an update of our whole device; the run goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

import pytest
from tests.host.test_whole_device import ON_TRIAL, Scissors, check, run, strike_at, updated

from keyswitch.demo.workshop import Workshop
from keyswitch.device.runtime.clock import DeviceClock
from keyswitch.host.update.events import Event, Uploading
from keyswitch.host.update.job import Goal, Outcome
from keyswitch.host.update.steps import WORK, StepName
from keyswitch.link.air import clock
from keyswitch.testing.world import VirtualWorld

ASLEEP_MS = 600_000


class Sleep(StrEnum):
    """What a computer's clock does while it is suspended."""

    STOPS = "stops"
    """Linux and macOS: the event loop has not noticed anything."""
    JUMPS = "jumps"
    """Windows: everything that was to happen meanwhile is due at once."""


def asleep(kind: Sleep) -> Callable[[VirtualWorld], None]:
    """The operator's computer sleeps for ten minutes; the device does not, and the links are dead."""

    def blow(here: VirtualWorld) -> None:
        for connection in here.air.connections:
            connection.silence()
        if kind is Sleep.STOPS:
            here.device._clock = DeviceClock(virtual=True)
            here.device.advance(ASLEEP_MS)
        else:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, clock.VirtualLoop)
            loop._jumping.now_ns += ASLEEP_MS * 1_000_000

    return blow


@pytest.mark.parametrize("kind", Sleep)
@pytest.mark.parametrize("step", [step for step in WORK[Goal.FULL] if step not in ON_TRIAL])
def test_a_computer_that_was_asleep_goes_on(pump: Workshop, step: StepName, kind: Sleep) -> None:
    check(*run(updated(pump, Scissors(), strike_at(step, asleep(kind)))))


@pytest.mark.parametrize("idle_ms", [None, 120_000])
@pytest.mark.parametrize("kind", Sleep)
def test_a_lease_that_outlives_the_sleep_lets_the_upload_go_on_where_it_was(
    pump: Workshop, kind: Sleep, idle_ms: int | None
) -> None:
    maintenance = replace(pump.policy.modes["maintenance"], idle_ms=idle_ms)
    policy = replace(pump.policy, modes={**pump.policy.modes, "maintenance": maintenance})
    struck: list[int] = []

    def strike(here: VirtualWorld, event: Event) -> None:
        if isinstance(event, Uploading) and event.progress.off > event.progress.size // 2 and not struck:
            struck.append(event.progress.off)
            asleep(kind)(here)

    result, status = run(updated(pump, Scissors(), strike, policy=policy))
    check(result, status)
    assert struck
    assert result.upload is not None
    assert (result.upload.resumed_at > 0) == (idle_ms is None)


@pytest.mark.parametrize("kind", Sleep)
def test_a_computer_asleep_during_the_trial_finds_the_old_image_back(pump: Workshop, kind: Sleep) -> None:
    told = run(updated(pump, Scissors(), strike_at(StepName.CONFIRM, asleep(kind))))
    check(*told, outcome=Outcome.REVERTED)
